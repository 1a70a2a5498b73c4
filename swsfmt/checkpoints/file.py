"""Where a checkpoint comes from."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from .. import arguments
from ..errors import InputError
from ..format.index import SIGNATURE
from ..format.not_sws import HEAD
from ..limits import DEFAULT_LIMITS, Limits
from ..read.opened import open_file
from ..read.source import state_of, unchanged
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
    state : size and time of change when it was opened; None for what is in memory
    limits : for what a small file may stand for
    """

    path: str | None
    head: bytes
    size: int
    data: bytes | None
    state: tuple[int, int] | None = None
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
                    state = state_of(opened.fileno())
                    return cls(path, head, state[0], None, state, limits)
                # A pipe, as from <(command), gives its bytes only once.
                return cls._in_memory(path, head + opened.read(), limits)
        if isinstance(file, bytes | bytearray | memoryview | mmap.mmap):
            return cls._in_memory(None, bytes(file), limits)
        if not callable(getattr(file, "read", None)):
            text = "a path, the bytes of a file or an open binary file"
            raise InputError(f"file must be {text}, not {arguments.a(file)}")
        source = open_file(file)
        return cls._in_memory(None, bytes(source.read_at(0, source.size)), limits)

    @classmethod
    def _in_memory(cls, path: str | None, data: bytes, limits: Limits) -> CheckpointFile:
        return cls(path, data[:HEAD], len(data), data, limits=limits)

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

    def unchanged(self) -> AbstractContextManager[None]:
        """A block that reads the file. Raises `ChangedError` where it was written to since it was opened."""
        if self.state is None:
            return nullcontext()
        assert self.path is not None
        return unchanged(self.path, self.state, self.path)

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
        return cls(os.path.abspath(content), source.state)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Raises `ChangedError` where the file has changed, or does meanwhile, `OSError`."""
        if isinstance(self.content, bytes):
            yield io.BytesIO(self.content)
            return
        assert self.state is not None
        with open(self.content, "rb") as file, unchanged(file.fileno(), self.state, self.content):
            yield file

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes. Raises `ChangedError` where the file has changed, `OSError`."""
        with self.opened() as file:
            file.seek(offset)
            return file.read(size)
