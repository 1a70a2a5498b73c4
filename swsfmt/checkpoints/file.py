"""Where a checkpoint comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from .. import arguments
from ..errors import InputError
from ..format.index import SIGNATURE

FileLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, a file in memory, or an open binary file, which is read to its end."""

_HEAD = 512


@dataclass(frozen=True)
class CheckpointFile:
    """A file of which the beginning has been read, enough to see what it is.

    path : None for what has no path
    head : its first bytes
    data : all of it where it cannot be read from `path`, or only once; else None
    """

    path: str | None
    head: bytes
    data: bytes | None

    @classmethod
    def open(cls, file: FileLike) -> CheckpointFile:
        """Raises `OSError`; `InputError` for a file that is open for text."""
        if isinstance(file, str | os.PathLike):
            path = os.fsdecode(arguments.path(file, "file"))
            with open(path, "rb") as opened:
                head = opened.read(_HEAD)
                # A pipe, as from <(command), gives its bytes only once.
                return cls(path, head, None if opened.seekable() else head + opened.read())
        if not isinstance(file, bytes | bytearray | memoryview) and not callable(getattr(file, "read", None)):
            text = "a path, the bytes of a file or an open binary file"
            raise InputError(f"file must be {text}, not {arguments.a(file)}")
        data = bytes(file) if isinstance(file, bytes | bytearray | memoryview) else file.read()
        if not isinstance(data, bytes):
            raise InputError("this file is open for text; open it for bytes: open(path, 'rb')")
        return cls(None, data[:_HEAD], data)

    @property
    def is_sws(self) -> bool:
        return self.head.startswith(SIGNATURE)

    @property
    def content(self) -> str | bytes:
        """What a library can read: all bytes where they are here, else the path."""
        if self.data is not None:
            return self.data
        assert self.path is not None
        return self.path
