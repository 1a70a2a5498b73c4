"""Shards of a model become .sws files where transformers would write them as safetensors files.

It has one function for that, and takes no other one. `install` puts one of ours before it, which does something else
only within `encoding`, in the same thread. A version of transformers that writes in another way writes dense files, and
they are encoded when they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import torch
from transformers import modeling_utils

Encode: TypeAlias = Callable[[Mapping[str, torch.Tensor], str, Mapping[str, str] | None], None]
"""Writes tensors, in place of a safetensors file of that name, with its metadata."""

_WRITE = "safe_save_file"
_INSTALLED = "_of_swsfmt"
# For which folder, and what encodes there.
_encoding: ContextVar[tuple[Path, Encode] | None] = ContextVar("encoding", default=None)


def install() -> None:
    """Once for a process."""
    function = getattr(modeling_utils, _WRITE, None)
    if function is not None and not hasattr(function, _INSTALLED):
        setattr(modeling_utils, _WRITE, _writing(function))
        setattr(getattr(modeling_utils, _WRITE), _INSTALLED, True)


@contextmanager
def encoding(folder: Path, encode: Encode) -> Iterator[None]:
    """A block in which this thread writes no safetensors files of models into a folder.

    Those in folders below it stay what they are: a part of the model that is saved there is another model.
    """
    before = _encoding.set((folder.resolve(), encode))
    try:
        yield
    finally:
        _encoding.reset(before)


def _writing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def save_file(tensors: Any, filename: Any, metadata: Any = None) -> Any:
        path, current = Path(filename), _encoding.get()
        if current is None or path.parent.resolve() != current[0]:
            return original(tensors, filename, metadata)
        current[1](tensors, path.name, metadata)
        return None

    return save_file
