"""All formats, and which of them a file has."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .. import arguments
from ..errors import CheckpointWarning, located, warn
from ..limits import DEFAULT_LIMITS, Limits
from . import prefixes
from .arrays import Npy, Npz
from .checkpoint import Checkpoint
from .file import CheckpointFile, FileLike
from .formats import CheckpointFormat, FileFormat, check_key, recognise
from .gguf import Gguf
from .onnx import Onnx
from .pytorch import PyTorch
from .safetensors import Safetensors
from .sharded import ShardedIndex

DEFAULT = Safetensors()
"""What is written where no suffix says more."""

FILE_FORMATS: tuple[FileFormat, ...] = (
    PyTorch(),
    DEFAULT,
    Npz(),
    Npy(),
    # Last: that it is one, its first bytes only suggest.
    Onnx(),
)
FORMATS: tuple[CheckpointFormat, ...] = (*FILE_FORMATS, Gguf(), ShardedIndex(FILE_FORMATS))


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


def read(source: CheckpointFile, key: str | None = None, strip_prefix: str | Iterable[str] | None = None) -> Checkpoint:
    """Raises as `open_checkpoint` does."""
    if key is not None:
        arguments.instance(key, str, "key", "a string")
    chosen = format_of(source)
    with located(file=source.path):
        check_key(chosen, key)
        checkpoint = chosen.read(source, key)
        unwanted = [] if strip_prefix is None else arguments.strings(strip_prefix, "strip_prefix")
        if unwanted:
            checkpoint = prefixes.strip(checkpoint, unwanted)
    prefix = prefixes.of_wrapper(checkpoint.tensors)
    if prefix:
        where = "" if source.path is None else f"{source.path}: "
        text = f"{where}names have {prefix!r} in them, as wrappers of models put it there; strip_prefix={prefix!r} "
        warn(f"{text}(sws: --strip-prefix {prefix}) takes it away", CheckpointWarning)
    return checkpoint


def open_checkpoint(
    file: FileLike,
    key: str | None = None,
    *,
    strip_prefix: str | Iterable[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Checkpoint:
    """Open a checkpoint: of PyTorch, safetensors, .npz, .npy, GGUF, or the index of shards; its content tells which.

    Tensors of all but PyTorch stay on disk until they are asked for, so that a checkpoint may be larger than memory. Of
    PyTorch checkpoints only tensors are loaded: code in them never runs. A quantised tensor of GGUF is the float32 one
    that it dequantises to, stored by `convert` as levels and scales; metadata that is no string becomes JSON. Types
    without levels need package `gguf`.
    file : a path, a file in memory, or an open binary file such as `sys.stdin.buffer`; the path of a folder stands for
        the checkpoint in it, ``model.safetensors`` or its index, ``pytorch_model.bin`` or its index, and the like
    key : the entry of a PyTorch checkpoint that holds the tensors, e.g. "state_dict", or a way down: "state.model"
    strip_prefix : to be taken away from names, or several; e.g. "module.", which DistributedDataParallel puts there
    limits : for what a small file may stand for: the sizes of expanded tensors and compressed arrays; a file may be as
        large as it is
    Raises `InputError` for what is no checkpoint, is damaged, or has what a .sws file cannot store, and where the
    package that reads it is not installed; `LimitError`, `OSError`. A `CheckpointWarning` says what the shards have
    otherwise than the index, and names the prefix where all names have one that a wrapper puts there.
    """
    return read(CheckpointFile.open(file, limits), key, strip_prefix)
