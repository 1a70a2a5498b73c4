"""Where files come from and where they go: paths, `-`, and the rules for replacing what is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

from swsfmt import InputError
from swsfmt.checkpoints import find

STANDARD = "-"


def shown(name: str, standard: str = "stdin") -> str:
    """A name for people."""
    return standard if name == STANDARD else name


def checkpoint(name: str) -> str:
    """The path of the checkpoint where a folder was given, else the name as it is. Raises `InputError`."""
    return str(find(name)) if name != STANDARD and Path(name).is_dir() else name


def source(name: str) -> str | bytes:
    """What the library takes: the path, or all bytes of what can be read only once."""
    if name == STANDARD:
        return sys.stdin.buffer.read()
    return Path(name).read_bytes() if Path(name).is_fifo() else name


def destination(output: str) -> str | BinaryIO:
    """What the library writes to: the path, or stdout."""
    return sys.stdout.buffer if output == STANDARD else output


def output_for(name: str, output: str | None, default: str) -> str:
    """The output that was asked for, or the default, which stdin has not."""
    if output is not None:
        return output
    if name == STANDARD:
        raise click.UsageError("input from stdin needs -o OUTPUT")
    return default


def check_output(
    output: str, inputs: Iterable[str | Path], *, force: bool, as_json: bool, new_folder: bool = False
) -> None:
    """Refuse an output that must not be written, before any work is done for it.

    new_folder : whether the folder that it is to be in will be made
    """
    if output == STANDARD:
        if as_json:
            raise click.UsageError("--json and -o - both write to stdout; choose one")
        return
    target = Path(output)
    folder = target.parent.parent if new_folder and not target.parent.exists() else target.parent
    if not folder.is_dir():
        raise InputError(f"the folder {str(folder)!r} does not exist", file=output)
    if any(target.exists() and Path(name).exists() and os.path.samefile(target, name) for name in inputs):
        raise InputError("this is the input, it would be written over; choose another with -o", file=output)
    # lexists: a link that leads nowhere would be replaced as well.
    if not os.path.lexists(target):
        return
    if target.exists() and not target.is_file():
        raise InputError("this is not a regular file, it cannot be replaced", file=output)
    if not force:
        raise InputError("this exists already; --force replaces it", file=output)
