"""Torch tensors: their bytes, comparison bit for bit, and files of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def raw(tensor: torch.Tensor) -> bytes:
    """The elements as bytes in C order, conjugation and negation resolved."""
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether dtype, shape and every bit are equal."""
    return a.dtype == b.dtype and a.shape == b.shape and raw(a) == raw(b)


def saved(value: Any, path: Path, **kwargs: Any) -> Path:
    """The path of a new checkpoint of torch."""
    torch.save(value, path, **kwargs)
    return path
