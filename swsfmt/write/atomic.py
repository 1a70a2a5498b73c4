"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: str | bytes | os.PathLike[str], data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file so that `path` holds either what it held before or all of `data`, whenever the process ends.

    data : the content, or its pieces in order, which are asked for one by one.
    Raises `OSError` that names `path`, and what the pieces raise.
    """
    with replacement(path) as file:
        for piece in [data] if isinstance(data, bytes) else data:
            file.write(piece)


@contextmanager
def replacement(path: str | bytes | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` at the end of the `with` statement, and is gone after an error."""
    target = Path(os.path.realpath(os.fsdecode(path)))  # a link stays a link
    temporary = target.with_name(f".sws-{os.urandom(6).hex()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                os.chmod(temporary, target.stat().st_mode & 0o777)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        # What is about another file keeps its name.
        if error.filename in (None, temporary, str(temporary)):
            error.filename = os.fsdecode(path)
            # None would be printed, as the second of two files.
            del error.filename2
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
