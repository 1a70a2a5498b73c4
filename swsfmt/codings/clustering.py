"""Classes of the rows and columns of a matrix, so that few tables of frequencies tell its symbols well: co-clustering.

Rows and columns are put in order of their magnitude, cut into classes, and then move, rows and columns in turn, to the
class whose tables code them in the fewest bits. All numbers are integers, so that equal matrices have equal classes on
every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..entropy import rans
from ..entropy.arrays import Symbols
from ..entropy.logarithms import UNIT, log2
from ..entropy.protocol import Indices, Labels
from ..entropy.rans import MAX_CLASSES, Classes

# Elements that classes are learned from, about.
_SAMPLE = 1 << 18
# Of a sample, rows and columns.
_LEAST_LINES = 384
# A matrix of fewer rows or columns has one class of each.
_FEW_LINES = 8
# Turns for rows and for columns.
_TURNS = 2
# What a symbol takes in a table of frequencies, in bits, about.
_LEVEL_BITS = 4
# With more tables than that a tensor takes longer to decode; they must save something to be taken: 1 / 2**9.
_FEW_PAIRS = 16
_SLOW_SHIFT = 8
# Of a cost: UNIT is shifted by so much; and what a symbol that a class has not costs at most, in bits.
_SHIFT = 4
_MOST_BITS = 18


def find_classes(symbols: Symbols, magnitudes: Indices, threads: int = 1) -> Classes:
    """Classes of a matrix of symbols, shape (rows, columns). magnitudes : of each symbol of the alphabet."""
    rows, columns = symbols.shape
    if min(rows, columns) < _FEW_LINES:
        # Classes across lines of few elements would have to be told one by one.
        return Classes(np.zeros(rows, np.uint8), np.zeros(columns, np.uint8), 1, 1)
    alphabet = len(magnitudes)
    sample = _sample(symbols)
    scale = max(1, symbols.size // sample.size)
    classes = _start(sample, magnitudes)
    for _ in range(_TURNS):
        classes = _turn(sample, classes, alphabet)
    classes = _merged(sample, classes, alphabet, scale, symbols.shape)
    if classes.row_classes * classes.column_classes > 1:
        classes = _turn(sample, classes, alphabet)
    if sample.size < symbols.size:
        classes = _all_lines(symbols, sample, classes, alphabet, threads)
    return _compact(classes)


def _steps(shape: tuple[int, ...]) -> tuple[int, int]:
    """Of the rows and columns of a sample: every so many."""
    rows, columns = shape
    if rows * columns <= _SAMPLE:
        return 1, 1
    of_rows = min(-(-rows * columns // _SAMPLE), max(1, rows // _LEAST_LINES))
    return of_rows, max(1, min(rows // of_rows * columns // _SAMPLE, columns // _LEAST_LINES))


def _sample(symbols: Symbols) -> Symbols:
    of_rows, of_columns = _steps(symbols.shape)
    return np.ascontiguousarray(symbols[::of_rows, ::of_columns])


def _start(symbols: Symbols, magnitudes: Indices) -> Classes:
    rows, columns = symbols.shape
    costs = np.zeros((MAX_CLASSES, len(magnitudes), MAX_CLASSES), np.int32)
    costs[0, :, 0] = magnitudes
    of_rows = rans.row_costs(symbols, np.zeros(columns, np.uint8), costs)[:, 0]
    of_columns = rans.column_costs(symbols, np.zeros(rows, np.uint8), costs)[:, 0]
    return Classes(_cut(of_rows), _cut(of_columns), _most(rows), _most(columns))


def _most(lines: int) -> int:
    """How many classes so many lines have at first: a power of two."""
    return min(MAX_CLASSES, 1 << max(0, (lines // 2).bit_length() - 1))


def _cut(sums: Indices) -> Labels:
    """Classes of equally many lines, by their sums."""
    labels = np.empty(len(sums), np.uint8)
    labels[np.argsort(sums, kind="stable")] = np.arange(len(sums)) * _most(len(sums)) // len(sums)
    return labels


def _turn(symbols: Symbols, classes: Classes, alphabet: int) -> Classes:
    """Rows, then columns, move to the classes that code them best."""
    classes = classes._replace(rows=_best_rows(symbols, classes, rans.counts(symbols, classes, alphabet)))
    return classes._replace(columns=_best_columns(symbols, classes, rans.counts(symbols, classes, alphabet)))


def _best_rows(symbols: Symbols, classes: Classes, counts: Indices, threads: int = 1) -> Labels:
    """The class of each row. counts : of each symbol in each pair of classes"""
    costs = np.zeros((MAX_CLASSES, counts.shape[2], MAX_CLASSES), np.int32)
    costs[: classes.column_classes, :, : classes.row_classes] = _costs(counts).transpose(1, 2, 0)
    return _cheapest(rans.row_costs(symbols, classes.columns, costs, threads), classes.row_classes)


def _best_columns(symbols: Symbols, classes: Classes, counts: Indices) -> Labels:
    costs = np.zeros((MAX_CLASSES, counts.shape[2], MAX_CLASSES), np.int32)
    costs[: classes.row_classes, :, : classes.column_classes] = _costs(counts).transpose(0, 2, 1)
    return _cheapest(rans.column_costs(symbols, classes.rows, costs), classes.column_classes)


def _cheapest(sums: Indices, classes: int) -> Labels:
    """Of so many classes the one in which each line costs least."""
    labels: Labels = sums[:, :classes].argmin(axis=1).astype(np.uint8)
    return labels


def _costs(counts: Indices) -> npt.NDArray[np.int32]:
    """Of each symbol in each pair of classes. One that does not occur costs as one that occurs half a time."""
    totals = counts.sum(axis=2, keepdims=True)
    bits = log2(np.maximum(2 * totals, 1)) - log2(np.maximum(2 * counts, 1))
    most = _MOST_BITS * UNIT
    return (np.where(totals > 0, np.minimum(bits, most), most) >> _SHIFT).astype(np.int32)


def _merged(symbols: Symbols, classes: Classes, alphabet: int, scale: int, shape: tuple[int, ...]) -> Classes:
    """Fewer classes, where labels and tables take more than they save: neighbours become one, step by step."""
    counts = rans.counts(symbols, classes, alphabet)
    size = _size(counts, scale, shape)
    while True:
        halves = [_halved(counts, axis) for axis in (0, 1) if counts.shape[axis] > 1]
        sizes = [_size(half, scale, shape) for half in halves]
        if not halves or min(sizes) >= size:
            break
        size = min(sizes)
        counts = halves[sizes.index(size)]
    of_rows, of_columns, _ = counts.shape
    return Classes(
        classes.rows // (classes.row_classes // of_rows),
        classes.columns // (classes.column_classes // of_columns),
        of_rows,
        of_columns,
    )


def _halved(counts: Indices, axis: int) -> Indices:
    """With pairs of neighbours in one."""
    return np.add.reduceat(counts, np.arange(0, counts.shape[axis], 2), axis=axis)


def _size(counts: Indices, scale: int, shape: tuple[int, ...]) -> int:
    """Of a matrix of that shape with these classes, in bits, about. counts : of a sample, a part of 1 / scale."""
    of_rows, of_columns, _ = counts.shape
    labels = shape[0] * (of_rows - 1).bit_length() + shape[1] * (of_columns - 1).bit_length()
    size: int = _entropy(counts) * scale + labels + _LEVEL_BITS * int(np.count_nonzero(counts))
    return size + (size >> _SLOW_SHIFT) if of_rows * of_columns > _FEW_PAIRS else size


def _entropy(counts: Indices) -> int:
    """Of all symbols, in bits."""
    totals = counts.sum(axis=2)
    units = (totals * log2(np.maximum(totals, 1))).sum() - (counts * log2(np.maximum(counts, 1))).sum()
    return int(units) // UNIT


def _all_lines(symbols: Symbols, sample: Symbols, classes: Classes, alphabet: int, threads: int) -> Classes:
    """The classes of all rows and columns, by the tables of the sample."""
    of_rows, of_columns = _steps(symbols.shape)
    counts = rans.counts(sample, classes, alphabet)
    if of_columns > 1:
        classes = classes._replace(columns=_best_columns(symbols[::of_rows], classes, counts))
    return classes._replace(rows=_best_rows(symbols, classes, counts, threads))


def _compact(classes: Classes) -> Classes:
    """Without classes that no line has."""
    (rows, row_classes), (columns, column_classes) = (_dense(classes.rows), _dense(classes.columns))
    return Classes(rows, columns, row_classes, column_classes)


def _dense(labels: Labels) -> tuple[Labels, int]:
    used, dense = np.unique(labels, return_inverse=True)
    return dense.reshape(-1).astype(np.uint8), len(used)
