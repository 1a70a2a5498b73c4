"""What goes to the terminal: lines, one JSON object. Nothing that comes out of a file can steer the terminal."""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from swsfmt import SwsWarning
from swsfmt.write.atomic import write_all

MANY = 1000
"""So many tensors are for a program or a pager: what takes long to lay out is left out from here on."""


def escape(text: str) -> str:
    """Control characters, direction marks, lone surrogates and the like as backslash escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def line(text: str, *, err: bool = False) -> None:
    """One line, whatever `text` holds."""
    block(escape(text), err=err)


def block(text: str, *, err: bool = False) -> None:
    """Lines that have been escaped already; what the terminal's encoding lacks is escaped too."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    _echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Warnings of this package as one line each on stderr; those of others as Python shows them."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, SwsWarning):
                line(f"sws: warning: {message}", err=True)
            else:
                others(message, category, *place, **more)

        warnings.simplefilter("always", SwsWarning)
        warnings.showwarning = show
        yield


def json_object(value: dict[str, Any]) -> None:
    """The one object that `--json` prints; where it lists very much, without the blanks and line ends for people."""
    is_long = any(isinstance(entry, list) and len(entry) > MANY for entry in value.values())
    # With an indent Python's slow encoder is at work.
    _echo(json.dumps(value, indent=None if is_long else 2), err=False)


def _echo(text: str, *, err: bool) -> None:
    stream: Any = sys.stderr if err else sys.stdout
    raw = getattr(stream, "buffer", None)
    try:
        if isinstance(raw, io.FileIO):
            # With PYTHONUNBUFFERED: on a full disk it takes less than it is given, and nobody would know.
            write_all(raw, f"{text}\n".encode(stream.encoding, stream.errors))
        else:
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


def negative_zeros(counts: Iterable[int], file_bytes: int) -> None:
    """Say on stderr that a file has many. counts : how many each tensor has."""
    held = [count for count in counts if count]
    # Each costs a bit at least: a hundredth of the file is worth a line.
    if sum(held) * 100 >= max(1, file_bytes) * 8:
        where = plural(len(held), "tensor")
        text = f"{sum(held):,} negative zeros (-0.0) in {where} are a value of their own"
        line(f"sws: {text}; encode --positive-zeros stores 0.0, often in far less", err=True)
