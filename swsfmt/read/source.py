"""Where the bytes of a file come from: a path, a URL, a buffer. A reader asks for the prefix, then for payloads."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

import numpy as np

from .. import arguments
from ..errors import ChangedError, InputError, TruncatedError

File: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, a URL (anything with ://), a file that is in memory, or a binary file that is open, from where it stands."""


class Source(Protocol):
    """size : bytes of the whole file. name : for messages, or None.

    Several threads may read at once, and so may processes that were forked meanwhile. One that is pickled opens its
    file again, wherever it comes to.
    """

    size: int
    name: str | None

    def read_at(self, offset: int, count: int) -> memoryview:
        """Exactly `count` bytes from `offset` on. Writable where nobody else holds them."""

    def close(self) -> None:
        """Give the file back."""


class BytesSource:
    """A file in memory. What its owner may change is copied before it is looked at, payload by payload."""

    def __init__(self, data: bytes | bytearray | memoryview, name: str | None = None) -> None:
        view = arguments.data(data)
        self._may_change = not isinstance(view.obj, bytes)
        self._data = view.toreadonly()
        self.size = len(self._data)
        self.name = name

    def read_at(self, offset: int, count: int) -> memoryview:
        part = self._data[offset : offset + count]
        return memoryview(bytearray(part)) if self._may_change else part

    def close(self) -> None:
        """The memory is the caller's."""

    def __reduce__(self) -> tuple[type[BytesSource], tuple[bytes]]:
        return type(self), (bytes(self._data),)


def state_of(file: int | str) -> tuple[int, int]:
    """Size and time of change of a file, open or of that path; equal for a file that is what it was."""
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns


def check_unchanged(file: int | str, state: tuple[int, int], name: str) -> None:
    """Raise `ChangedError`, about the file of that name, where its state is another one now."""
    if state_of(file) != state:
        raise ChangedError("the file has changed since it was opened", file=name)


@contextmanager
def unchanged(file: int | str, state: tuple[int, int], name: str) -> Iterator[None]:
    """A block that reads the file. Raises as `check_unchanged`, before it and after it.

    What seems to be damaged in the block may have been written to.
    """
    check_unchanged(file, state, name)
    try:
        yield
    finally:
        check_unchanged(file, state, name)


class PathSource:
    """A file on disk, open until `close`.

    path : absolute
    state : its size and time of change, where it has to be the file that it was. Raises `ChangedError` for another one.
    """

    def __init__(self, path: str | bytes | os.PathLike[str], state: tuple[int, int] | None = None) -> None:
        self.name: str | None = os.fsdecode(path)
        if Path(self.name).is_dir():
            raise InputError("this is a folder, not a file", file=self.name)
        # A relative path means something else to a process in another folder.
        self.path = os.path.abspath(self.name)
        self._file = open(self.name, "rb", buffering=0)  # noqa: SIM115
        self._lock = threading.Lock()
        self._state = state_of(self._file.fileno())
        self.size, _ = self._state
        if state is not None:
            try:
                check_unchanged(self._file.fileno(), state, self.name)
            except ChangedError:
                self._file.close()
                raise

    def read_at(self, offset: int, count: int) -> memoryview:
        # NumPy asks for large pages, which makes reading twice as fast.
        data = np.empty(count, np.uint8).data
        done = 0
        while done < count:
            # The system reads no more than 2 GiB at once.
            read = self._read_into(data[done:], offset + done)
            if not read:
                raise TruncatedError("the file became shorter while it was read", file=self.name, offset=offset)
            done += read
        return data

    def _read_into(self, data: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            # Where the file stands is one for all threads and for all processes that were forked.
            return os.preadv(self._file.fileno(), [data], offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.readinto(data) or 0

    def close(self) -> None:
        self._file.close()

    def __reduce__(self) -> tuple[type[PathSource], tuple[str, tuple[int, int]]]:
        return type(self), (self.path, self._state)


def open_path(path: str | os.PathLike[str] | BinaryIO) -> Source:
    """A path or a URL, whatever its type, or an open file: a path given as bytes is not a file in memory."""
    if hasattr(path, "read"):
        # Not at the top, as the next one.
        from .opened import open_file

        return open_file(path)
    if isinstance(path, str) and "://" in path:
        # Not at the top: most files are no further than the disk.
        from .remote import UrlSource

        return UrlSource(path)
    checked = arguments.path(path)
    if stat.S_ISFIFO(os.stat(checked).st_mode):
        # It gives its bytes once, from the first to the last.
        with open(checked, "rb") as pipe:
            return BytesSource(pipe.read(), os.fsdecode(checked))
    return PathSource(checked)


def open_source(file: File) -> Source:
    """Whatever a `File` may be."""
    if isinstance(file, bytes | bytearray | memoryview):
        return BytesSource(file)
    if not hasattr(file, "read"):
        arguments.instance(file, (str, os.PathLike), "file", "a path, a URL or the bytes of a file")
    return open_path(file)
