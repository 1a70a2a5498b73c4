"""Optimal code lengths of at most 12 bits and canonical codewords.

Larmore & Hirschberg, "A Fast Algorithm for Optimal Length-Limited Huffman Codes" (JACM 1990): package-merge.
Everything is integer arithmetic with ties broken by symbol, so that equal counts give equal codes on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import backend
from .protocol import KRAFT_ONE as KRAFT_ONE
from .protocol import MAX_LENGTH as MAX_LENGTH


def code_lengths(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Code lengths that minimise sum(counts * lengths), each at most `MAX_LENGTH`.

    counts : int64 array of shape (alphabet,), at least two of them above zero, at most 4096.
    Returns uint8 of the same shape; 0 where the count is 0. The Kraft sum is exactly 1.
    """
    lengths = np.zeros(len(counts), np.uint8)
    used = np.flatnonzero(counts)
    if not 2 <= len(used) <= KRAFT_ONE:
        raise ValueError(f"a Huffman code needs 2 to {KRAFT_ONE} used symbols, not {len(used)}")
    order = used[np.argsort(counts[used], kind="stable")]
    leaves = counts[order].astype(np.int64)
    lengths[order] = np.frombuffer(backend.kernels.code_lengths(leaves, MAX_LENGTH), np.uint8)
    return lengths


def kraft_sum(lengths: npt.NDArray[np.uint8]) -> int:
    """The Kraft sum in units of 2**-12; a complete code has `KRAFT_ONE`."""
    used = lengths[lengths > 0].astype(np.int64)
    return int((np.int64(1) << (MAX_LENGTH - used)).sum())


def canonical_codewords(lengths: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Codewords ordered by (length, symbol), for a complete code, to be written least significant bit first."""
    return np.frombuffer(backend.kernels.codewords(lengths), np.uint16)
