"""What every record of the index begins with (spec 4)."""

from __future__ import annotations

from ..protocol import Head


def record_head(index: bytes, position: int) -> Head | None:
    """In Python there is one reader of the index, `swsfmt.format`, and nothing is won by another."""
    return None
