"""What each level costs: the lengths of the codes that the file will have, by classes of rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swsfmt.codings.clustering import find_classes
from swsfmt.entropy import rans

from .kernels.protocol import Bytes, Floats, Integers

REACH = 255
"""Of a table: levels beyond cost what the last one costs, an escape."""
# A level that no weight has in a class counts as this much of a weight.
_UNSEEN = 0.1
_ROWS = 256


@dataclass(frozen=True)
class Lengths:
    """rows, columns : classes, uint8. bits : float32 (row classes, column classes, 2 * reach + 1). reach : of levels"""

    rows: Bytes
    columns: Bytes
    bits: Floats
    reach: int

    @property
    def column_classes(self) -> int:
        return int(self.bits.shape[1])


def none(rows: int, columns: int) -> Lengths:
    """Where the rate does not count."""
    return Lengths(np.zeros(rows, np.uint8), np.zeros(columns, np.uint8), np.zeros((1, 1, 3), np.float32), 1)


def lengths_of(levels: Integers) -> Lengths:
    """Of a matrix of levels, with the classes that the coder of the file would find."""
    reach = int(min(max(1, int(levels.max()), -int(levels.min())), REACH))
    width = 2 * reach + 1
    # Symbols as the coder has them: zero, the positive ones, the negative ones. Some rows at a time, for the memory.
    numbers = np.empty(levels.shape, np.uint16)
    for first in range(0, len(levels), _ROWS):
        symbols = np.clip(levels[first : first + _ROWS], -reach, reach)
        numbers[first : first + _ROWS] = np.where(symbols >= 0, symbols, reach - symbols)
    magnitudes = np.concatenate([np.arange(reach + 1), np.arange(1, reach + 1)])
    classes = find_classes(numbers, magnitudes)
    counts = rans.counts(numbers, classes, width).astype(np.float64)
    counts = np.concatenate([counts[:, :, :reach:-1], counts[:, :, : reach + 1]], axis=2)
    # Neighbours tell what a level would cost that happens not to occur.
    smooth = np.pad(counts, ((0, 0), (0, 0), (1, 1)), mode="edge")
    counts = np.where(counts > 0, counts, _UNSEEN + (smooth[:, :, :-2] + smooth[:, :, 2:]) / 8)
    bits = np.log2(counts.sum(2, keepdims=True)) - np.log2(counts)
    return Lengths(classes.rows, classes.columns, np.ascontiguousarray(bits, np.float32), reach)


def rate(levels: Integers, lengths: Lengths) -> float:
    """Bits of all levels."""
    own = np.clip(levels, -lengths.reach, lengths.reach) + lengths.reach
    return float(lengths.bits[lengths.rows[:, None], lengths.columns[None, :], own].sum(dtype=np.float64))
