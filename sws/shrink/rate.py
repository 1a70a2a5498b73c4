"""The bits that the file takes for each symbol, from the coder's own tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

import swsfmt
import swsfmt.torch
from swsfmt.entropy.huffman import code_lengths


def file_size(state: Mapping[str, Tensor]) -> int:
    """Bytes of the .sws file of a state_dict."""
    return len(swsfmt.torch.save(state))


def symbol_bits(state: Mapping[str, Tensor], counts: Tensor) -> Tensor:
    """Bits of an entry of each symbol: its codeword, and what an entry's position costs on average in this file.

    state : the quantised network
    counts : how often each symbol occurs, int64 of shape (1 + K,); symbol 0 is zero, which has no entry
    """
    report = swsfmt.inspect(swsfmt.torch.save(state))
    entries = max(1, int(counts[1:].sum()))
    position = sum(tensor.section_bits["column_indices"] for tensor in report.tensors) / entries
    device, counts = counts.device, counts.cpu()
    used = np.flatnonzero(counts.numpy()[1:]) + 1
    bits = torch.full(counts.shape, float(counts[1:].sum().clamp(min=2).log2()) + position)
    if len(used) > 1:
        bits[used] = torch.from_numpy(code_lengths(counts.numpy()[used]).astype(np.float32)) + position
    elif len(used) == 1:
        bits[used] = position
    bits[0] = 0
    return bits.to(device)
