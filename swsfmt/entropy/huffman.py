"""Optimal code lengths of at most 12 bits and canonical codewords.

Larmore & Hirschberg, "A Fast Algorithm for Optimal Length-Limited Huffman Codes" (JACM 1990): package-merge.
Everything is integer arithmetic with ties broken by symbol, so that equal counts give equal codes on every machine.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .native import load

_native: Any = load("swsfmt.entropy._native")

MAX_LENGTH = 12
KRAFT_ONE = 1 << MAX_LENGTH


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
    if _native is None:
        lengths[order] = _package_merge(leaves)
    else:
        lengths[order] = np.frombuffer(_native.code_lengths(leaves, MAX_LENGTH), np.uint8)
    return lengths


def _package_merge(leaves: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Code lengths of counts in ascending order."""
    # level[i] tells which items of list i are packages of two items of list i - 1.
    packages = np.empty(0, np.int64)
    level: list[npt.NDArray[np.bool_]] = []
    for _ in range(MAX_LENGTH):
        items = np.concatenate([leaves, packages])
        merged = np.argsort(items, kind="stable")
        level.append(merged >= len(leaves))
        items = items[merged]
        packages = items[0 : len(items) // 2 * 2 : 2] + items[1::2]

    # The first 2n - 2 items of the last list are the solution; a leaf among them adds one to its length.
    depth = np.zeros(len(leaves) + 1, np.int64)
    taken = 2 * len(leaves) - 2
    for is_package in reversed(level):
        in_packages = int(np.count_nonzero(is_package[:taken]))
        depth[0] += 1
        depth[taken - in_packages] -= 1
        taken = 2 * in_packages
    return np.cumsum(depth[:-1]).astype(np.uint8)


def kraft_sum(lengths: npt.NDArray[np.uint8]) -> int:
    """The Kraft sum in units of 2**-12; a complete code has `KRAFT_ONE`."""
    used = lengths[lengths > 0].astype(np.int64)
    return int((np.int64(1) << (MAX_LENGTH - used)).sum())


def canonical_codewords(lengths: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Codewords ordered by (length, symbol), as in RFC 1951 section 3.2.2, for a complete code.

    Returned bit-reversed: written as a field (least significant bit first) a codeword goes in from its first bit.
    """
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    sizes = lengths[order].astype(np.int64)
    # In units of 2**-12 the canonical code is the running sum of the sizes of the code space before it.
    space = np.int64(1) << (MAX_LENGTH - sizes)
    codewords = np.zeros(len(lengths), np.uint16)
    codewords[order] = _flipped()[np.cumsum(space) - space]
    return codewords


@cache
def _flipped() -> npt.NDArray[np.uint16]:
    """Each number of `MAX_LENGTH` bits with its bits in reverse order."""
    numbers = np.arange(1 << MAX_LENGTH, dtype=np.uint16)
    out = np.zeros_like(numbers)
    for bit in range(MAX_LENGTH):
        out |= ((numbers >> np.uint16(bit)) & np.uint16(1)) << np.uint16(MAX_LENGTH - 1 - bit)
    return out
