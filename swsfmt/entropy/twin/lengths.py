"""Optimal code lengths that are bounded: package-merge (Larmore & Hirschberg, JACM 1990)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import Indices


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
