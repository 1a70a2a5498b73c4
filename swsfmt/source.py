"""Where the bytes of a file come from: a path or a buffer. A reader asks for the prefix, then for single payloads."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from .errors import InputError, TruncatedError


class Source(Protocol):
    """size : bytes of the whole file. name : for messages, or None."""

    size: int
    name: str | None

    def read_at(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset` on."""

    def close(self) -> None:
        """Give the file back."""


class BytesSource:
    """A file in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).cast("B")
        self.size = len(self._data)
        self.name: str | None = None

    def read_at(self, offset: int, count: int) -> bytes:
        return bytes(self._data[offset : offset + count])

    def close(self) -> None:
        self._data.release()


class PathSource:
    """A file on disk, open until `close`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        if Path(path).is_dir():
            raise InputError("this is a folder, not a file", file=self.name)
        self._file = open(path, "rb")  # noqa: SIM115
        self.size = os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            raise TruncatedError("the file became shorter while it was read", file=self.name, offset=offset)
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
