"""Shards of a model become .sws files where transformers would write them as safetensors files.

It has one function for that, and takes no other one. `install` puts one of ours before it, which does something else
only within `encoding`, in the same thread. A version of transformers that writes in another way writes dense files, and
they are encoded when they are there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeAlias

import torch
from transformers import modeling_utils

Encode: TypeAlias = Callable[[Mapping[str, torch.Tensor], str, Mapping[str, str] | None], None]
"""Writes tensors, in place of a safetensors file of that path, with its metadata."""

_WRITE = "safe_save_file"
_INSTALLED = "_of_swsfmt"
_encode: ContextVar[Encode | None] = ContextVar("encode", default=None)


def install() -> None:
    """Once for a process."""
    function = getattr(modeling_utils, _WRITE, None)
    if function is not None and not hasattr(function, _INSTALLED):
        setattr(modeling_utils, _WRITE, _writing(function))
        setattr(getattr(modeling_utils, _WRITE), _INSTALLED, True)


@contextmanager
def encoding(encode: Encode) -> Iterator[None]:
    """A block in which this thread writes no safetensors files of models."""
    before = _encode.set(encode)
    try:
        yield
    finally:
        _encode.reset(before)


def _writing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def save_file(tensors: Any, filename: Any, metadata: Any = None) -> Any:
        encode = _encode.get()
        if encode is None:
            return original(tensors, filename, metadata)
        encode(tensors, os.fspath(filename), metadata)
        return None

    return save_file
