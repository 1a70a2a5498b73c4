"""The levels and scales of a tensor that comes as floats: of fake quantisation, or of quantised weights multiplied out.

A search looks at a few blocks first: ordinary floats are told after a handful of elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...dtypes import BY_NAME, F32, Bits, DType
from ...entropy import grid, reals
from ...entropy.scaled import Factor, Operation, Product
from ...errors import ChangedError
from ...tensor import Elements, TensorInfo
from ..estimates import entropy_bits
from . import tables
from .params import Form, Params, Shift, factor_shape

Levels = npt.NDArray[np.int32]

# Digits of the mantissa; a level has at most as many.
_DIGITS = {"F32": 24, "F16": 11, "BF16": 8}
_MOST = (1 << 15) - 1
# Fewer elements cannot save what a record with parts takes more.
_LEAST = 256
_GROUPS = (256, 128, 64, 32, 16, 8)
# Rows that are looked at first, and groups of each; elements for one step of a whole tensor.
_ROWS, _FEW_GROUPS, _SAMPLE = 4, 2, 1 << 10
# Elements whose levels are made at a time.
_BLOCK = 1 << 18
# Cuts that all of a tensor is tried with, after a few of its blocks had steps.
_TRIES = 2
# What parts take beside their elements, in bits, about, and a level in a code table.
_PART_BITS, _LEVEL_BITS = 256, 4
# Where so many steps of 8 are numbers of float16, the others may be small multiples of such numbers.
_OF_EIGHT, _TIMES = 7, 8
# Dtypes that scales have where it is exact for all of them.
_HALVES = (BY_NAME["F16"], BY_NAME["BF16"])


class Layout(NamedTuple):
    """How a tensor is cut: rows of `columns` elements, of which blocks have a step each.

    blocks : the same, for each dimension
    is_transposed : whether the rows are the columns of the tensor
    is_group : whether a row may have several blocks
    """

    columns: int
    block: int
    blocks: tuple[int, ...]
    is_transposed: bool = False
    is_group: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """layout. steps, offsets : of each block, offsets None where there are none. levels : their dtype."""

    layout: Layout
    steps: grid.Steps
    offsets: grid.Steps | None
    levels: DType

    @property
    def form(self) -> Form:
        return Form(1, Shift.NONE if self.offsets is None else Shift.OFFSET)

    def infos(self, tensor: TensorInfo) -> list[TensorInfo]:
        """Of the parts."""
        shape = factor_shape(tensor.shape, self.layout.blocks)
        factors = [factor for factor in (self.steps, self.offsets) if factor is not None]
        return [TensorInfo(self.levels, tensor.shape), *(TensorInfo(_narrowest(factor), shape) for factor in factors)]

    def part(self, elements: Elements, number: int) -> Elements:
        """Levels or factors. Raises `ChangedError` where the elements are not what they were."""
        info = self.infos(elements.info)[number]
        if number:
            factor = self.steps if number == 1 else self.offsets
            assert factor is not None
            return Elements(info, reals.to_bits(reals.widened(factor), info.dtype))
        bits = np.empty(info.numel, self.levels.bits)
        factors = [
            Factor(operation, values.view(F32.bits), F32, self.layout.blocks)
            for operation, values in ((Operation.MULTIPLY, self.steps), (Operation.ADD, self.offsets))
            if values is not None
        ]
        product = Product(info.shape, factors, elements.info.dtype, each=False)
        for start, levels in self.each_levels(elements):
            given = elements.bits[start : start + len(levels)]
            own, made = bits[start : start + len(levels)], np.empty(len(levels), elements.info.dtype.bits)
            own[:] = _stored(levels, given, elements.info.dtype, self.levels)
            product.into(made, own, self.levels, start)
            if not np.array_equal(made, given):
                raise ChangedError
        return Elements(info, bits)

    def each_levels(self, elements: Elements) -> Iterator[tuple[int, Levels]]:
        """Of a part of the elements after the other: its first one, and the levels."""
        layout, rows = self.layout, elements.info.numel // self.layout.columns
        columns, blocks = layout.columns, (1, layout.block)
        if layout.is_transposed:
            columns, blocks = rows, (layout.columns, 1)
        for start in range(0, len(elements.bits), _BLOCK):
            bits = elements.bits[start : start + _BLOCK]
            yield start, grid.levels_of(bits, elements.info.dtype, columns, blocks, self.steps, self.offsets, start)


def _stored(levels: Levels, bits: Bits, dtype: DType, kind: DType) -> Bits:
    """Levels as elements of their dtype; floats have a negative zero."""
    if kind.kind != "float":
        return levels.astype(kind.numbers).view(kind.bits)
    sign = bits == dtype.bits.type(dtype.negative_zero or 0)
    return reals.to_bits(np.where(sign, -0.0, levels.astype(np.float64)), kind)


def _layouts(shape: tuple[int, ...]) -> Iterator[Layout]:
    numel, last = int(np.prod(shape)), shape[-1]
    yield Layout(numel, numel, shape)
    if len(shape) > 1:
        row = numel // shape[0]
        if 1 < row < numel:
            yield Layout(row, row, (1, *shape[1:]))
        if 1 < last < numel:
            yield Layout(numel // last, numel // last, (*shape[:-1], 1), is_transposed=True)
    for group in _GROUPS:
        if group < last:
            yield Layout(last, group, (*[1] * (len(shape) - 1), group), is_group=True)


def search(elements: Elements, threads: int = 1) -> tuple[Params, int] | None:
    """The parameters and the size of the parts, in bits, about; None where there are no levels and scales."""
    info = elements.info
    if info.dtype.name not in _DIGITS or info.numel < _LEAST:
        return None
    layouts = list(_layouts(info.shape))
    tries = [(layout, False) for layout in layouts]
    if info.dtype == F32:
        tries += [(layout, True) for layout in layouts if layout.is_group]
    failures = 0
    for layout, affine in tries:
        if _steps(*_sample(elements, layout), info.dtype, layout, affine) is None:
            continue
        found = _steps(_rows(elements, layout), layout.columns, info.dtype, layout, affine, threads)
        if found is not None:
            return _measured(elements, layout, found[0], found[1] if affine else None)
        failures += 1
        if failures == _TRIES:
            break
    table = tables.search(elements)
    return None if table is None else _measured_table(elements, table)


def _steps(
    rows: Bits, columns: int, dtype: DType, layout: Layout, affine: bool, threads: int = 1
) -> tuple[grid.Steps, grid.Steps] | None:
    most = min(_MOST, (1 << _DIGITS[dtype.name]) - 1)
    return grid.steps_of(rows, dtype, columns, min(layout.block, columns), affine, most, threads)


def _rows(elements: Elements, layout: Layout) -> Bits:
    if not layout.is_transposed:
        return elements.bits
    transposed: Bits = np.ascontiguousarray(elements.bits.reshape(layout.columns, -1).T).reshape(-1)
    return transposed


def _sample(elements: Elements, layout: Layout) -> tuple[Bits, int]:
    """A few rows, or a few groups of them, or elements from all over one that has one step; and the length of a row."""
    if layout.block == elements.info.numel:
        some = elements.bits[:: max(1, elements.info.numel // _SAMPLE)][:_SAMPLE]
        return some, len(some)
    bits = (
        elements.bits.reshape(layout.columns, -1).T
        if layout.is_transposed
        else elements.bits.reshape(-1, layout.columns)
    )
    rows, columns = bits[:: max(1, len(bits) // _ROWS)][:_ROWS], layout.columns
    if layout.is_group:
        rows, columns = rows[:, : min(_FEW_GROUPS, columns // layout.block) * layout.block], layout.block
    return np.ascontiguousarray(rows).reshape(-1), columns


def _measured_table(elements: Elements, table: tables.Table) -> tuple[Params, int]:
    info = elements.info
    counts = np.unique(table.part(elements, 0).bits, return_counts=True)[1]
    size = entropy_bits(counts) + 32 * len(table.scales) + _PART_BITS
    return Params(table.form, [table.blocks(info)], infos=table.infos(info), grid=table), size


def _measured(
    elements: Elements, layout: Layout, steps: grid.Steps, offsets: grid.Steps | None
) -> tuple[Params, int] | None:
    info = elements.info
    steps = _filled(_of_half(steps))
    own = Grid(layout, steps, offsets, F32)
    zero = info.dtype.negative_zero
    has_sign = bool((elements.bits == info.dtype.bits.type(zero or 0)).any())
    counts, least, greatest = _counts(own, elements)
    own = Grid(layout, steps, offsets, _dtype_of(least, greatest, has_sign))
    try:
        own.part(elements, 0)
    except ChangedError:
        return None
    size = entropy_bits(counts) + _LEVEL_BITS * int(np.count_nonzero(counts))
    for factor in (steps, offsets):
        if factor is not None:
            size += 8 * len(factor) * _narrowest(factor).itemsize + _PART_BITS
    return Params(own.form, [layout.blocks] * (1 + (offsets is not None)), infos=own.infos(info), grid=own), size


def _counts(own: Grid, elements: Elements) -> tuple[npt.NDArray[np.int64], int, int]:
    """How often each level occurs, and the least and the greatest one."""
    counts = np.zeros(2 * _MOST * _TIMES + 1, np.int64)
    middle, least, greatest = _MOST * _TIMES, 0, 0
    for _, levels in own.each_levels(elements):
        low, high = int(levels.min()), int(levels.max())
        counts[middle + low : middle + high + 1] += np.bincount(levels - low, minlength=high - low + 1)
        least, greatest = min(least, low), max(greatest, high)
    return counts, least, greatest


def _dtype_of(least: int, greatest: int, has_sign: bool) -> DType:
    """For levels. has_sign : whether one is -0.0"""
    size = max(-least, greatest)
    if has_sign:
        return BY_NAME["F16" if size <= 1 << 11 else "F32"]
    if size <= 127:
        return BY_NAME["I8"]
    return BY_NAME["U8" if least == 0 and greatest <= 255 else "I16" if size <= _MOST else "I32"]


def _is_half(steps: grid.Steps) -> npt.NDArray[np.bool_]:
    return _is_of(steps, _HALVES[0])


def _is_of(steps: grid.Steps, dtype: DType) -> npt.NDArray[np.bool_]:
    """Which of them are numbers of a dtype."""
    wide = reals.widened(steps)
    is_of: npt.NDArray[np.bool_] = reals.rounded(wide, dtype) == wide
    return is_of


def _narrowest(steps: grid.Steps) -> DType:
    return next((dtype for dtype in _HALVES if _is_of(steps, dtype).all()), F32)


def _of_half(steps: grid.Steps) -> grid.Steps:
    """Where most steps are numbers of float16, so can be those of blocks whose levels have a common divisor."""
    is_half = _is_half(steps)
    if is_half.all() or 8 * np.count_nonzero(is_half) < _OF_EIGHT * len(steps):
        return steps
    out = steps.copy()
    for times in range(2, _TIMES + 1):
        left = ~_is_half(out)
        divided = (steps[left].astype(np.float64) / times).astype(np.float32)
        is_exact = _is_half(divided) & (divided.astype(np.float64) * times == steps[left])
        out[np.flatnonzero(left)[is_exact]] = divided[is_exact]
    return out


def _filled(steps: grid.Steps) -> grid.Steps:
    """A block of zeros has the step of the one before."""
    places = np.maximum.accumulate(np.where(steps > 0, np.arange(len(steps)), -1))
    first = steps[steps > 0][:1]
    return np.where(places >= 0, steps[places], first[0] if len(first) else np.float32(1)).astype(np.float32)
