"""The bits that the file takes for each symbol, from the coder's own tables and the file's own size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

import swsfmt.torch
from swsfmt.entropy.huffman import code_lengths


def file_size(state: Mapping[str, Tensor]) -> int:
    """Bytes of the .sws file of a state_dict."""
    return len(swsfmt.torch.save(state))


def without(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The state_dict with the tensors of these names all zero: what its file takes, it takes for any weights."""
    zeroed = set(names)
    return {name: torch.zeros_like(tensor) if name in zeroed else tensor for name, tensor in state.items()}


def symbol_bits(counts: Tensor, file_bits: int) -> Tensor:
    """Bits of an entry of each symbol: its codeword, and an equal share in all that the file holds besides.

    counts : how often each symbol occurs, int64 of shape (1 + K,); symbol 0 is zero, which has no entry
    file_bits : bits that the file takes for all entries; so many the bits of all symbols come to, times their counts
    """
    occurring = counts.cpu().numpy()[1:]
    used = np.flatnonzero(occurring)
    entries = int(occurring.sum())
    # A symbol that does not occur yet would get a codeword that is about as long as the longest one.
    lengths = np.full(len(occurring), np.log2(max(2, entries)), np.float32)
    lengths[used] = code_lengths(occurring[used]) if len(used) > 1 else 0
    codewords = float(lengths[used] @ occurring[used])
    position = max(0.0, file_bits - codewords) / max(1, entries)
    bits = torch.from_numpy(np.concatenate([np.zeros(1, np.float32), lengths + np.float32(position)]))
    return bits.to(counts.device)
