"""The checkpoint in a folder, as Hugging Face's libraries name it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

from .. import arguments
from ..errors import InputError

MODEL = "model.safetensors"
"""What is written into a folder: what transformers reads first."""
SLASHES = tuple(filter(None, (os.sep, os.altsep)))

_STEMS = {".safetensors": ("model", "diffusion_pytorch_model", "adapter_model"), ".bin": ("pytorch_model",)}
_STEMS[".bin"] += _STEMS[".safetensors"][1:]
_INDEX = ".index.json"
# Of the names above those of safetensors files go first, as in transformers and diffusers: where both kinds are there,
# they hold the same. Any other file must be the only one of its kind.
_KINDS = [
    [f"{stem}{suffix}{index}" for stem, index in product(stems, ("", _INDEX))] for suffix, stems in _STEMS.items()
]
_OTHERS = (
    ".safetensors",
    ".safetensors.index.json",
    ".bin.index.json",
    ".pt",
    ".pth",
    ".bin",
    ".npz",
    ".npy",
    ".gguf",
    ".onnx",
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.[a-z]+$")
# What is beside a model, or a part of it.
_BESIDE = re.compile(rf"{_SHARD.pattern}|^rng_state(_\d+)?\.pth$")
# What the Trainer of transformers puts beside a model.
_NO_MODEL = {"training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "optimizer.bin", "scheduler.bin"}


def find(path: str | os.PathLike[str]) -> Path:
    """The checkpoint in a folder: ``model.safetensors`` or its index, ``pytorch_model.bin`` or its index, those that
    diffusers and peft write, else the only file that has the suffix of a checkpoint.

    Raises `InputError` where there is none or where there are several, `OSError`.
    """
    folder = Path(os.fsdecode(arguments.path(path, "path")))
    names = {entry.name for entry in os.scandir(folder) if entry.is_file()}
    others = sorted(name for name in names if _is_other(name.lower()))
    for kind in [*_KINDS, others]:
        there = [name for name in kind if name in names]
        if len(there) == 1:
            return folder / there[0]
        if there:
            text = f"there are several checkpoints in this folder, {arguments.listed(there)}; give the path of one"
            raise InputError(text, file=str(path))
    text = f"there is no checkpoint in this folder, such as {MODEL}"
    if any(_SHARD.search(name.lower()) for name in names):
        text = "there are shards in this folder, but no index, such as model.safetensors.index.json, that names them"
    below = [entry.name for entry in os.scandir(folder) if entry.is_dir() and _holds_one(Path(entry))]
    if below:
        text += f"; there is one in {arguments.listed(sorted(below))}"
    raise InputError(text, file=str(path))


@contextmanager
def made(path: Path | None) -> Iterator[None]:
    """Make a folder, if it is not there, for what is written in this block; after an error it is gone again."""
    is_new = path is not None and not path.is_dir()
    if path is not None and is_new:
        path.mkdir()
    try:
        yield
    except BaseException:
        if path is not None and is_new:
            with suppress(OSError):
                path.rmdir()
        raise


def _is_other(name: str) -> bool:
    """Whether a file may be a checkpoint of which nobody has fixed the name, which is given in lower case here."""
    return name.endswith(_OTHERS) and name not in _NO_MODEL and not _BESIDE.search(name)


def _holds_one(folder: Path) -> bool:
    return any((folder / name).is_file() for kind in _KINDS for name in kind)
