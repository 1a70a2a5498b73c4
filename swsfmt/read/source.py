"""Where the bytes of a file come from: a path, a URL, a buffer. A reader asks for the prefix, then for payloads."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from .. import arguments
from ..errors import InputError, TruncatedError

File: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview
"""A path, a URL (anything with ://), or a file that is in memory."""


class Source(Protocol):
    """size : bytes of the whole file. name : for messages, or None."""

    size: int
    name: str | None

    def read_at(self, offset: int, count: int) -> memoryview:
        """Exactly `count` bytes from `offset` on. Writable where nobody else holds them."""

    def close(self) -> None:
        """Give the file back."""


class BytesSource:
    """A file in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = arguments.data(data).toreadonly()
        self.size = len(self._data)
        self.name: str | None = None

    def read_at(self, offset: int, count: int) -> memoryview:
        return self._data[offset : offset + count]

    def close(self) -> None:
        """The memory is the caller's."""


class PathSource:
    """A file on disk, open until `close`. Several threads may read at once."""

    def __init__(self, path: str | bytes | os.PathLike[str]) -> None:
        self.name: str | None = os.fsdecode(path)
        if Path(self.name).is_dir():
            raise InputError("this is a folder, not a file", file=self.name)
        self._file = open(self.name, "rb")  # noqa: SIM115
        self._lock = threading.Lock()
        self.size = os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, count: int) -> memoryview:
        # NumPy asks for large pages, which makes reading twice as fast.
        data = np.empty(count, np.uint8).data
        # Where the file stands is one for all threads.
        with self._lock:
            self._file.seek(offset)
            read = self._file.readinto(data)
        if read != count:
            raise TruncatedError("the file became shorter while it was read", file=self.name, offset=offset)
        return data

    def close(self) -> None:
        self._file.close()


def open_path(path: str | os.PathLike[str]) -> Source:
    """A path or a URL, whatever its type: a path given as bytes is not a file in memory."""
    if isinstance(path, str) and "://" in path:
        # Not at the top: most files are no further than the disk.
        from .remote import UrlSource

        return UrlSource(path)
    return PathSource(arguments.path(path))


def open_source(file: File) -> Source:
    """Whatever a `File` may be."""
    if isinstance(file, bytes | bytearray | memoryview):
        return BytesSource(file)
    arguments.instance(file, (str, os.PathLike), "file", "a path, a URL or the bytes of a file")
    return open_path(file)
