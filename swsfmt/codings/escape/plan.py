"""Which elements of a tensor stand apart from the others: those that are not zero, or those that are rare.

Sizes are estimated, in integers where they decide, to be equal on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits, DType
from ...entropy import escape
from ...entropy import planes as fields
from ...entropy.bitmap import Live
from ...entropy.huffman import code_lengths
from ...entropy.kernels import distinct
from ...entropy.logarithms import UNIT, log2
from ...format.codebook import MAX_VALUES
from ...tensor import Elements
from ..estimates import entropy_bits, value_counts
from ..matrix import matrix_shape
from ..sampling import Sampled, has_planes, is_rotated

Counts = npt.NDArray[np.int64]

# Elements that are looked at first, to see whether it may pay; and those that say how often values occur. In blocks.
_FIRST, _SAMPLE, _BLOCKS = 1 << 13, 1 << 18, 32
# Where fewer than one element in so many is zero, or occurs twice among the first, nothing is gained.
_ONE_ZERO_IN, _ONE_REPEAT_IN = 32, 16
# How many values may be kept; one more is the mark.
_KEPT = [MAX_VALUES - 1, *((1 << bits) - 1 for bits in range(11, 0, -1))]
# Values that stand apart may be kept among themselves, where there are not more than so many.
_KEPT_BELOW = 3 << 11
# What the records of the parts take, and a symbol in a code table, in bits, about.
_PART_BITS, _TABLE_BITS = 2 * 96, 4
# Elements that are looked at in one go, to save memory.
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Plan:
    """What `Params` has, and about how many bits all parts take."""

    bits: int
    count: int
    mark: int | None = None
    kept: Bits | None = None


def plan(elements: Sampled) -> Plan | None:
    """The smaller way to store a tensor in two parts; None where neither can pay."""
    first = _blocks(elements.bits, _FIRST)
    zeros = len(first) - int(np.count_nonzero(first))
    mask = _Mask(elements) if zeros * _ONE_ZERO_IN >= len(first) else None
    plans = []
    if mask is not None and mask.count:
        values = escape.gather(mask.live.view(np.uint8), elements.bits, mask.count)
        # It has changed since; the writer finds out.
        if values is None:
            return None
        apart = _of_values(values, elements.info.dtype)
        plans.append(Plan(mask.bits + apart + _PART_BITS, mask.count))
    values, counts = value_counts(first)
    repeats = counts[values != 0]
    if int(repeats[repeats > 1].sum()) * _ONE_REPEAT_IN >= len(first) - zeros > 0:
        wide = _wide(elements, mask)
        plans += [] if wide is None else [wide]
    return min(plans, key=lambda plan: plan.bits, default=None)


class _Mask:
    """Where a tensor is not zero.

    count : of these elements
    bits : what their positions take, about
    """

    def __init__(self, elements: Elements) -> None:
        self.live: Live = elements.bits != 0
        self.count = int(np.count_nonzero(self.live))
        self.bits = 0
        shape = matrix_shape(elements.info.shape)
        matrix, size = self.live.reshape(shape), 1
        for axis, lines in enumerate(shape):
            living = int(np.count_nonzero(matrix.any(axis=1 - axis)))
            size *= living
            self.bits += lines if living < lines else 0
        # An entry has a codeword of a bit at least, unless there is nothing else.
        if self.count < size:
            self.bits += max(entropy_bits(np.array([self.count, size - self.count])), self.count)


def _wide(elements: Sampled, mask: _Mask | None) -> Plan | None:
    """Frequent values are symbols of a codebook, and so is the mark; all others stand apart."""
    # No codes are smaller than their entropy. Planes with contexts are, so that these are chosen anyway.
    if mask is None and has_planes(elements.info.dtype) and elements.entropy >= elements.forms.bits:
        return None
    values, counts = elements.values
    is_zero = values == 0
    zeros = int(counts[is_zero].sum())
    order = np.argsort(-counts[~is_zero], kind="stable")
    values, counts = values[~is_zero][order], counts[~is_zero][order]
    often = int(np.count_nonzero(counts > 1))
    if often == 0:
        return None
    # Zero is a symbol for nothing, where there is none it is the mark.
    keeps_zero = zeros > 1
    apart = 0 if keeps_zero else zeros
    of_planes = _of_planes(elements.sample, elements.info.dtype)
    value_bits = 8 * elements.info.dtype.itemsize + _TABLE_BITS
    if mask is None and elements.scaled(_most_saved(counts, zeros, of_planes, value_bits)) <= _PART_BITS:
        return None
    # Nothing that takes as much as planes is of use, nor what takes more before its rare values are looked at.
    least, best = elements.scaled(of_planes), 0
    for kept in sorted({min(kept, often) for kept in _KEPT}, reverse=True):
        table = kept * value_bits
        if table >= least:
            continue
        rare = int(counts[kept:].sum()) + apart
        of_symbols = np.append(counts[:kept], max(1, rare))
        dense = _huffman(np.append(of_symbols, zeros) if keeps_zero else of_symbols)
        bits = elements.scaled(dense)
        if keeps_zero and mask is not None:
            bits = min(bits, mask.bits + elements.scaled(_huffman(of_symbols)))
        bits += table
        if rare and bits < least:
            of_rare = _of_counts(values[kept:], counts[kept:], elements.info.dtype, kept)
            bits += elements.scaled(of_rare)
        if bits < least:
            least, best = bits, kept
    if best == 0:
        return None
    chosen = np.sort(values[:best])
    if keeps_zero:
        chosen = np.insert(chosen, 0, 0)
    mark = _mark(chosen, elements.info.dtype)
    count = 0
    for start in range(0, len(elements.bits), _BLOCK):
        count += escape.keep(elements.bits[start : start + _BLOCK], chosen, mark)[1]
    return Plan(least + _PART_BITS, count, mark, chosen) if count else None


def _most_saved(counts: Counts, zeros: int, of_planes: int, value_bits: int) -> int:
    """What a codebook takes off planes at most, in bits: no codewords are shorter than ideal ones, no values cheaper.

    counts : of each value, without zero. of_planes : of all elements. value_bits : of a value in the codebook
    """
    total = int(counts.sum()) + zeros
    each, ideal = of_planes * UNIT // total, int(log2(np.array([total]))[0])
    saved = counts * (each - ideal + log2(counts)) - value_bits * UNIT
    of_zeros = zeros * (each - ideal + int(log2(np.array([max(zeros, 1)]))[0]))
    return (int(saved[saved > 0].sum()) + max(of_zeros, 0)) // UNIT


def _mark(kept: Bits, dtype: DType) -> int:
    """An element that is not kept: one that can be stored in any narrower type, where there is one."""
    infinity = {"F32": 0x7F800000, "F64": 0x7FF0000000000000}.get(dtype.name)
    taken = set(kept.tolist())
    for mark in (0, dtype.negative_zero, infinity):
        if mark is not None and mark not in taken:
            return mark
    return next(mark for mark in range(len(taken) + 1) if mark not in taken)


def _blocks(bits: Bits, size: int) -> Bits:
    """So many elements from all over, which are what all of them are like; all where there are no more."""
    if len(bits) <= size:
        return bits
    block = size // _BLOCKS
    starts = np.arange(_BLOCKS) * (len(bits) - block) // (_BLOCKS - 1)
    taken: Bits = bits[(starts[:, None] + np.arange(block)).ravel()]
    return taken


def _of_values(values: Bits, dtype: DType) -> int:
    """What elements take as a tensor of their own, in bits, about: as they are, in planes, or with a codebook."""
    own = distinct(values, MAX_VALUES + 1)
    sample = _blocks(values, _SAMPLE)
    bits = _of_planes(sample, dtype) * len(values) // len(sample)
    if own is not None:
        counts = value_counts(sample)[1]
        symbols = entropy_bits(counts) * len(values) // len(sample)
        bits = min(bits, symbols + len(own) * (8 * dtype.itemsize + _TABLE_BITS))
    return bits


def _of_counts(values: Bits, counts: Counts, dtype: DType, kept: int) -> int:
    """The same of values that occur so often; of many values some are kept in turn, about as many as of the others."""
    bits = _of_planes(np.repeat(values, counts), dtype)
    if 2 * len(values) < int(counts.sum()) and len(values) <= _KEPT_BELOW:
        symbols = entropy_bits(counts) + int(counts.sum()) // 2
        bits = min(bits, symbols + len(values) * (8 * dtype.itemsize + _TABLE_BITS))
    return bits


def _of_planes(elements: Bits, dtype: DType) -> int:
    """What byte planes take, each coded or as it is."""
    if not has_planes(dtype):
        return 8 * dtype.itemsize * len(elements)
    counts = fields.Counts(elements, is_rotated(dtype)).of((8,) * dtype.itemsize)
    return sum(min(8 * len(elements), entropy_bits(own)) for own in counts)


def _huffman(counts: Counts) -> int:
    """What symbols that occur so often take with the best code."""
    return int((counts * code_lengths(counts)).sum()) if len(counts) > 1 else 0
