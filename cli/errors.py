"""Exceptions -> exit codes, one line of text, one JSON object."""

from __future__ import annotations

import os
from typing import Any

import click

from swsfmt import FormatError, MismatchError, SwsError

OK, ERROR, USAGE, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 130


def exit_code(error: Exception) -> int:
    if isinstance(error, click.ClickException):
        return error.exit_code
    return DAMAGED if isinstance(error, FormatError | MismatchError) else ERROR


def is_expected(error: Exception) -> bool:
    """Whether this says something about the input, not about a bug in this program."""
    return isinstance(error, SwsError | OSError | MemoryError)


def message(error: Exception) -> str:
    """The error with its place, for people."""
    if isinstance(error, SwsError):
        return str(error)
    file = _file(error)
    return f"{file}: {_bare(error)}" if file else _bare(error)


def as_dict(error: Exception) -> dict[str, Any]:
    """The error for `--json`."""
    return {
        "type": type(error).__name__,
        "message": _bare(error),
        "file": _file(error),
        "tensor": getattr(error, "tensor", None),
        "offset": getattr(error, "offset", None),
    }


def _bare(error: Exception) -> str:
    """The message without the place."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, SwsError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, OSError) and error.args:
        # With a file name Python shows nothing else of what has no number.
        return f"{type(error).__name__}: {error.args[0]}"
    if isinstance(error, MemoryError):
        return "out of memory"
    return f"{type(error).__name__}: {error}"


def _file(error: Exception) -> str | None:
    name = error.filename if isinstance(error, OSError) else getattr(error, "file", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else None
