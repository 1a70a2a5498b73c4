"""All formats, and which of them a file has."""

from __future__ import annotations

import os

from ..errors import InputError, located
from .checkpoint import Checkpoint
from .file import CheckpointFile, FileLike
from .formats import CheckpointFormat, FileFormat, recognise
from .pytorch import PyTorch
from .safetensors import Safetensors
from .sharded import ShardedIndex

DEFAULT = Safetensors()
"""What is written where no suffix says more."""

FILE_FORMATS: tuple[FileFormat, ...] = (
    PyTorch(),
    DEFAULT,
)
FORMATS: tuple[CheckpointFormat, ...] = (*FILE_FORMATS, ShardedIndex(FILE_FORMATS))


def format_of(source: CheckpointFile) -> CheckpointFormat:
    """The format of a file, told by its content. Raises `InputError`."""
    with located(file=source.path):
        return recognise(source.head, FORMATS)


def recognise_file(file: FileLike) -> str:
    """What a checkpoint is, with an article, told by its first bytes: "a safetensors file". Nothing else is looked at.

    file : as for `open_checkpoint`
    Raises `InputError` for what is no checkpoint, `OSError`.
    """
    return format_of(CheckpointFile.open(file)).name


def is_checkpoint(source: CheckpointFile) -> bool:
    """Whether a file begins like one of a known format, which a .sws file does not."""
    return any(candidate.recognises(source.head) for candidate in FORMATS)


def format_for(path: str | os.PathLike[str]) -> FileFormat | None:
    """The format that a file of that name is to have; None where the suffix does not tell."""
    suffix = os.path.splitext(path)[1].lower()
    return next((candidate for candidate in FILE_FORMATS if suffix in candidate.suffixes), None)


def suffixes() -> str:
    """All suffixes that `format_for` knows, those of the default first, for messages."""
    others = [candidate for candidate in FILE_FORMATS if candidate is not DEFAULT]
    *most, last = [suffix for candidate in (DEFAULT, *others) for suffix in candidate.suffixes]
    return f"{', '.join(most)} or {last}"


def read(source: CheckpointFile, key: str | None = None) -> Checkpoint:
    """Raises as `open_checkpoint` does."""
    chosen = format_of(source)
    with located(file=source.path):
        if key is not None and not chosen.has_entries:
            raise InputError(f"--key is for PyTorch checkpoints, this is {chosen.name}")
        return chosen.read(source, key)


def open_checkpoint(file: FileLike, key: str | None = None) -> Checkpoint:
    """Open a PyTorch checkpoint, a safetensors file or the index of a sharded one; its content tells which it is.

    Tensors of safetensors files stay on disk until they are asked for, so that a checkpoint may be larger than the
    memory. Of PyTorch checkpoints only tensors are loaded: code in them never runs.
    file : a path, a file in memory, or an open binary file such as `sys.stdin.buffer`
    key : the entry of a PyTorch checkpoint that holds the tensors, e.g. "state_dict"
    Raises `InputError` for what is no checkpoint, is damaged, or has what a .sws file cannot store, and where the
    package that reads it is not installed; `OSError`.
    """
    return read(CheckpointFile.open(file), key)
