"""A binary file that somebody else has opened, and closes: of the system, in memory, of fsspec, in a zip archive."""

from __future__ import annotations

import io
import os
import stat
import threading
from typing import Any, BinaryIO

from ..errors import InputError, TruncatedError


def open_file(file: Any) -> OpenFileSource:
    """What is in the file from where it stands to its end; of one that can seek only what is asked for is read.

    Raises `InputError` for a file that is open for text or for writing alone, or that is closed; `OSError`.
    """
    try:
        start, is_binary = _place(file), isinstance(file.read(0), bytes)
    except (ValueError, TypeError) as error:
        raise InputError(f"this file cannot be read: {error}") from error
    if not is_binary:
        raise InputError("this file is open for text; open it for bytes: open(path, 'rb')")
    return OpenFileSource(io.BytesIO(file.read()), 0) if start is None else OpenFileSource(file, start)


class OpenFileSource:
    """The part of such a file from `start` to its end. Where it stands afterwards is not said."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self._start = start
        self._descriptor = _descriptor(file)
        self._lock, self._process = threading.Lock(), os.getpid()
        file.seek(0, os.SEEK_END)
        # mmap.seek says nothing before Python 3.13.
        self.size = max(0, file.tell() - start)
        name = getattr(file, "name", None)
        self.name: str | None = name if isinstance(name, str) else None

    def read_at(self, offset: int, count: int) -> memoryview:
        data = bytearray(count)
        view = memoryview(data)
        done = 0
        while done < count:
            part = self._read(self._start + offset + done, count - done)
            if not part:
                raise TruncatedError("the file became shorter while it was read", file=self.name, offset=offset)
            view[done : done + len(part)] = part
            done += len(part)
        return view

    def _read(self, offset: int, count: int) -> bytes:
        if self._descriptor is not None:
            # Where the file stands is one for all processes that were forked.
            return os.pread(self._descriptor, min(count, 1 << 30), offset)
        if self._process != os.getpid():
            # Its lock may be held for ever in the process that was forked, and where it stands is one for both.
            if not isinstance(self._file, io.BytesIO):
                raise InputError("this file was opened in another process; open it anew here", file=self.name)
            self._lock, self._process = threading.Lock(), os.getpid()
        with self._lock:
            self._file.seek(offset)
            return self._file.read(count)

    def close(self) -> None:
        """The file is the caller's."""

    def __reduce__(self) -> tuple[Any, ...]:
        return open_file, (io.BytesIO(self.read_at(0, self.size)),)


def _place(file: Any) -> int | None:
    """Where a file stands; None where it cannot go back."""
    if hasattr(file, "seekable") and not file.seekable():
        return None
    try:
        place: int = file.tell()
        file.seek(place)
    except (OSError, AttributeError):
        return None
    return place


def _descriptor(file: Any) -> int | None:
    """That of a plain file of the system, which can be read without moving it."""
    if not hasattr(os, "pread") or not isinstance(file, io.FileIO | io.BufferedReader | io.BufferedRandom):
        return None
    if isinstance(file, io.BufferedReader) and not isinstance(file.raw, io.FileIO):
        return None
    file.flush()
    descriptor = file.fileno()
    return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
