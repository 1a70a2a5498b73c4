"""What a format is to this package. To add one: a module with its class, and a line in `registry`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Protocol

from ..errors import InputError
from ..format.index import SIGNATURE
from ..format.not_sws import GIT_LFS_POINTER, is_git_lfs_pointer, other_kind
from ..read.reader import Reader
from .checkpoint import Checkpoint
from .file import CheckpointFile


class CheckpointFormat(Protocol):
    """A format that can be read.

    name : for messages, with its article
    has_entries : whether tensors may lie in an entry of the file, which `key` then names
    """

    name: str
    has_entries: bool

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins like this has the format. What it is called does not count."""

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Raises `InputError` for a file that is damaged or has what cannot be stored, `OSError`."""


class FileFormat(CheckpointFormat, Protocol):
    """A format that can be written too, all tensors in one file.

    suffixes : of files that are to have the format, with the dot, in lower case
    has_metadata : whether it has a place for the string-to-string map of a .sws file
    """

    suffixes: tuple[str, ...]
    has_metadata: bool

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Write the tensors of an open .sws file. Raises `InputError` for what the format cannot hold, `FormatError`.

        file : is written from its start to its end; it need not be seekable
        threads : that decode
        """


def recognise(head: bytes, formats: Sequence[CheckpointFormat]) -> CheckpointFormat:
    """Which of these formats a file has that begins with `head`. Raises `InputError` for none."""
    if not head:
        raise InputError("the file is empty")
    if head.startswith(SIGNATURE):
        raise InputError("this is a .sws file already")
    if is_git_lfs_pointer(head):
        raise InputError(GIT_LFS_POINTER)
    for candidate in formats:
        if candidate.recognises(head):
            return candidate
    other = other_kind(head)
    if other is not None:
        raise InputError(f"this is {other}")
    raise InputError(f"this is neither {' nor '.join(candidate.name for candidate in formats)}")


def check_key(chosen: CheckpointFormat, key: str | None) -> None:
    """Raise `InputError` for a key where there are no entries."""
    if key is not None and not chosen.has_entries:
        raise InputError(f"key= (sws: --key) is for PyTorch checkpoints, this is {chosen.name}")
