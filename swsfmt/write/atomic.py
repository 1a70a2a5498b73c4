"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError


def write_atomically(path: str | bytes | os.PathLike[str], data: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file so that `path` holds either what it held before or all of `data`, whenever the process ends.

    data : the content, or its pieces in order, which are asked for one by one.
    Raises `OSError` that names `path`, and what the pieces raise.
    """
    with replacement(path) as file:
        for piece in [data] if isinstance(data, bytes) else data:
            file.write(piece)


def write_to(target: str | bytes | os.PathLike[str] | BinaryIO, pieces: Iterable[bytes | memoryview]) -> int:
    """Write a file, atomically, or to a binary file that is open, from where it stands; return how many bytes.

    Raises `OSError`, what the pieces raise, and `InputError` for a file that is open for text.
    """
    size = 0

    def counted() -> Iterator[bytes | memoryview]:
        nonlocal size
        for piece in pieces:
            size += memoryview(piece).nbytes
            yield piece

    if isinstance(target, str | bytes | os.PathLike):
        write_atomically(target, counted())
        return size
    for piece in counted():
        try:
            write_all(target, piece)
        except TypeError as error:
            raise InputError("this file is open for text; open it for bytes: open(path, 'wb')") from error
        except ValueError as error:
            raise InputError(f"this file cannot be written to: {error}") from error
    if hasattr(target, "flush"):
        target.flush()
    return size


def write_all(target: Any, piece: bytes | memoryview) -> None:
    """A file without a buffer may write less than it is given. Others may say nothing of how much they have written."""
    rest = memoryview(piece).cast("B")
    while rest:
        written = target.write(rest)
        if written is None and not isinstance(target, io.RawIOBase):
            return
        if not written:
            raise OSError(errno.EAGAIN, "the file takes no more bytes")
        rest = rest[written:]


@contextmanager
def replacement(path: str | bytes | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` at the end of the `with` statement, and is gone after an error.

    What is no regular file is never replaced: a device or a pipe is written to as it is, bit by bit, and a folder, a
    socket and a pipe that nobody reads are refused with the `OSError` of the system.
    """
    name = os.fsdecode(path)
    if name.endswith(tuple(filter(None, (os.sep, os.altsep)))):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    target = Path(os.path.realpath(name))  # a link stays a link
    with _about(name, target):
        if is_replaceable(name):
            with _replacing(target) as file:
                yield file
            return
        # A pipe that nobody reads would keep us waiting, maybe for ever.
        descriptor = os.open(name, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "set_blocking"):
                os.set_blocking(descriptor, True)
            yield file


def is_replaceable(path: str | os.PathLike[str]) -> bool:
    """Whether another file may take the place of `path`: a regular file, or none. Links are followed.

    Not what has no name of its own, as a file that was deleted and is known by /proc/self/fd alone.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return True
    target = os.path.realpath(path)
    return stat.S_ISREG(status.st_mode) and os.path.exists(target) and os.path.samestat(status, os.stat(target))


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    temporary = target.with_name(f".sws-{os.urandom(6).hex()}.tmp")
    with _about(str(target), temporary):
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
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _about(name: str, actual: Path) -> Iterator[None]:
    """Errors about no file, or about the one that is really written to, are about `name`."""
    try:
        yield
    except OSError as error:
        # What is about another file keeps its name.
        if error.filename in (None, actual, str(actual)):
            error.filename = name
            # None would be printed, as the second of two files.
            del error.filename2
        raise
