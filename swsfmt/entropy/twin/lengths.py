"""Optimal code lengths that are bounded: package-merge (Larmore & Hirschberg, JACM 1990)."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ..protocol import MAX_LENGTH, Indices


def code_lengths(counts: Indices, limit: int) -> npt.NDArray[np.uint8]:
    # level[i] tells which items of list i are packages of two items of list i - 1.
    packages = np.empty(0, np.int64)
    level: list[npt.NDArray[np.bool_]] = []
    for _ in range(limit):
        items = np.concatenate([counts, packages])
        merged = np.argsort(items, kind="stable")
        level.append(merged >= len(counts))
        items = items[merged]
        packages = items[0 : len(items) // 2 * 2 : 2] + items[1::2]

    # The first 2n - 2 items of the last list are the solution; a leaf among them adds one to its length.
    depth = np.zeros(len(counts) + 1, np.int64)
    taken = 2 * len(counts) - 2
    for is_package in reversed(level):
        in_packages = int(np.count_nonzero(is_package[:taken]))
        depth[0] += 1
        depth[taken - in_packages] -= 1
        taken = 2 * in_packages
    return np.cumsum(depth[:-1]).astype(np.uint8)


def codewords(lengths: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    sizes = lengths[order].astype(np.int64)
    # In units of 2**-12 the canonical code is the running sum of the sizes of the code space before it.
    space = np.int64(1) << (MAX_LENGTH - sizes)
    out = np.zeros(len(lengths), np.uint16)
    out[order] = _flipped()[np.cumsum(space) - space]
    return out


@cache
def _flipped() -> npt.NDArray[np.uint16]:
    """Each number of `MAX_LENGTH` bits with its bits in reverse order."""
    numbers = np.arange(1 << MAX_LENGTH, dtype=np.uint16)
    out = np.zeros_like(numbers)
    for bit in range(MAX_LENGTH):
        out |= ((numbers >> np.uint16(bit)) & np.uint16(1)) << np.uint16(MAX_LENGTH - 1 - bit)
    return out
