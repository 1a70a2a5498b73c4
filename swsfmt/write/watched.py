"""Errors of the system under a library that writes a file and makes errors of its own of them, as torch does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO


class Watched:
    """A file to be written to, and the error that writing to it has raised."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def watched(file: BinaryIO) -> Iterator[Any]:
    """The file, to give to a library. Whatever that raises after an `OSError` of the file is raised as the latter."""
    seen = Watched(file)
    try:
        yield seen
    except Exception as error:
        if seen.error is None or seen.error is error:
            raise
        raise seen.error from error
