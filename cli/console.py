"""What goes to the terminal: lines, one JSON object. Nothing that comes out of a file can steer the terminal."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from swsfmt.errors import CheckpointWarning


def escape(text: str) -> str:
    """Control characters, direction marks, lone surrogates and the like as backslash escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def line(text: str, *, err: bool = False) -> None:
    """One line, whatever `text` holds."""
    block(escape(text), err=err)


def block(text: str, *, err: bool = False) -> None:
    """Lines that have been escaped already; what the terminal's encoding lacks is escaped too."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    _echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def json_object(value: dict[str, Any]) -> None:
    """The one object that `--json` prints."""
    _echo(json.dumps(value, indent=2), err=False)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """What the library warns of in this block goes to stderr, a line each; other warnings go where they would."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, CheckpointWarning):
                line(f"sws: warning: {message}", err=True)
            else:
                usual(message, category, *place, **more)

        warnings.simplefilter("always", CheckpointWarning)
        warnings.showwarning = show
        yield


def _echo(text: str, *, err: bool) -> None:
    try:
        click.echo(text, err=err)
    except OSError as error:
        error.filename = "stderr" if err else "stdout"
        raise


def size(count: int) -> str:
    return f"{count:,} bytes"


def times(ratio: float) -> str:
    return f"{ratio:,.2f}x"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
