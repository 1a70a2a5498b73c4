"""Where a checkpoint comes from."""

from __future__ import annotations

import io
import mmap
import os
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from .. import arguments
from ..errors import InputError
from ..format.index import SIGNATURE
from ..format.not_sws import HEAD
from ..limits import DEFAULT_LIMITS, Limits
from ..read.source import check_unchanged, state_of
from . import folder

FileLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | mmap.mmap | BinaryIO
"""A path, a file in memory, or an open binary file, which is read from where it stands to its end.

The path of a folder is that of the checkpoint in it; see `find`.
"""


@dataclass(frozen=True)
class CheckpointFile:
    """A file of which the beginning has been read, enough to see what it is.

    path : None for what has no path
    head : its first bytes
    size : in bytes
    data : all of it where it cannot be read from `path`, or only once; else None
    limits : for what a small file may stand for
    """

    path: str | None
    head: bytes
    size: int
    data: bytes | None
    limits: Limits = DEFAULT_LIMITS

    @classmethod
    def open(cls, file: FileLike, limits: Limits = DEFAULT_LIMITS) -> CheckpointFile:
        """Raises `OSError`; `InputError` for what is no file or open for text, and for a folder without checkpoint."""
        arguments.instance(limits, Limits, "limits", "a swsfmt.Limits")
        if isinstance(file, str | os.PathLike):
            path = os.fsdecode(arguments.path(file, "file"))
            if os.path.isdir(path):
                path = os.fspath(folder.find(path))
            with open(path, "rb") as opened:
                head = opened.read(HEAD)
                if opened.seekable():
                    return cls(path, head, os.fstat(opened.fileno()).st_size, None, limits)
                # A pipe, as from <(command), gives its bytes only once.
                return cls._in_memory(path, head + opened.read(), limits)
        if isinstance(file, bytes | bytearray | memoryview | mmap.mmap):
            return cls._in_memory(None, bytes(file), limits)
        if not callable(getattr(file, "read", None)):
            text = "a path, the bytes of a file or an open binary file"
            raise InputError(f"file must be {text}, not {arguments.a(file)}")
        try:
            data = file.read()
        except ValueError as error:
            raise InputError(f"this file cannot be read: {error}") from error
        if isinstance(data, bytearray | memoryview):
            data = bytes(data)
        if not isinstance(data, bytes):
            raise InputError("this file is open for text; open it for bytes: open(path, 'rb')")
        return cls._in_memory(None, data, limits)

    @classmethod
    def _in_memory(cls, path: str | None, data: bytes, limits: Limits) -> CheckpointFile:
        return cls(path, data[:HEAD], len(data), data, limits)

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

    def check_decoded(self, size: int, what: str) -> None:
        """Raise `LimitError` for more bytes than the limit and than the file: a large one is no surprise to anybody."""
        if size > self.size:
            self.limits.check("max_decoded_bytes", size, what)

    def opened(self) -> BinaryIO:
        """The file from its start, to be closed. Raises `OSError`."""
        content = self.content
        return io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb")


@dataclass(frozen=True)
class Origin:
    """A file that is opened again for each tensor, by any process that sees it under its path.

    content : its path, or all bytes
    state : size and time of change when it was opened, of a file that has a path
    """

    content: str | bytes
    state: tuple[int, int] | None

    @classmethod
    def of(cls, source: CheckpointFile) -> Origin:
        content = source.content
        if isinstance(content, bytes):
            return cls(content, None)
        # A relative path means something else to a process in another folder.
        path = os.path.abspath(content)
        return cls(path, state_of(path))

    def opened(self) -> BinaryIO:
        """Raises `InputError` where the file has changed, `OSError`."""
        if isinstance(self.content, bytes):
            return io.BytesIO(self.content)
        assert self.state is not None
        check_unchanged(self.content, self.state, self.content)
        return open(self.content, "rb")

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes. Raises `InputError` where the file has changed, `OSError`."""
        with self.opened() as file:
            file.seek(offset)
            return file.read(size)
