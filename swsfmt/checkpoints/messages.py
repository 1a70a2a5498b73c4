"""What is named in messages, cut where a file would make it endless."""

from __future__ import annotations

from collections.abc import Iterable

_MOST, _LONGEST = 8, 100


def brief(value: object) -> str:
    """A name or key in quotes."""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def listed(values: Iterable[object]) -> str:
    """At most eight of them."""
    shown = [brief(value) for value in values]
    return ", ".join(shown[:_MOST]) + (f", ... ({len(shown):,} in all)" if len(shown) > _MOST else "")
