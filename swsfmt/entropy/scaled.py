"""Levels with their scales: what the kernel takes as arrays, in parts for threads (spec 5.8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..dtypes import Bits, DType
from . import backend, reals
from .kernels import in_parts
from .scaled_protocol import Reals

# Elements of a part that is worth a thread.
_PART = 1 << 16
_NO_TABLE = np.zeros(0, np.float32)


class Operation(IntEnum):
    """What is done with a factor."""

    SUBTRACT = 0
    MULTIPLY = 1
    ADD = 2


@dataclass(frozen=True, eq=False)
class Factor:
    """A scale, a zero or an offset.

    bits, dtype : its elements, flat
    blocks : for each dimension of the tensor, how many of its elements have the same factor
    """

    operation: Operation
    bits: Bits
    dtype: DType
    blocks: tuple[int, ...]


def dequantize(
    levels: Bits,
    levels_dtype: DType,
    shape: tuple[int, ...],
    factors: Sequence[Factor],
    dtype: DType,
    each: bool,
    out: Bits,
    *,
    first: int = 0,
    threads: int = 1,
) -> None:
    """Elements of `dtype` into `out`: each level with its factors, in their order.

    levels : of elements first to first + len(levels) - 1
    shape : of the whole tensor, which has elements
    each : whether each operation is rounded to `dtype`, not the last one alone
    """
    wide = dtype.name == "F64"
    merged_shape, merged = _merged(shape, [factor.blocks for factor in factors])
    own = []
    for factor, blocks in zip(factors, merged, strict=True):
        numbers = reals.of_bits(factor.bits, factor.dtype)
        if not wide:
            numbers = reals.widened(reals.to_single(numbers))
        if each:
            numbers = reals.rounded(numbers, dtype)
        values = numbers if wide else reals.to_single(numbers)
        own.append((int(factor.operation), values, np.array(blocks, np.int64)))
    table: Reals = _NO_TABLE
    if levels_dtype.itemsize == 1 and levels_dtype.kind == "other":
        table = reals.table(levels_dtype) if wide else reals.to_single(reals.table(levels_dtype))
    lengths = np.array(merged_shape, np.int64)
    data = np.require(levels, requirements=["C", "A"])
    aligned = out if out.flags.aligned else np.empty_like(out)

    def part(start: int, stop: int) -> None:
        backend.kernels.dequantize(
            data[start:stop],
            levels_dtype.id,
            table,
            lengths,
            first + start,
            tuple(own),
            dtype.id,
            each,
            out[start:stop],
        )

    in_parts(part, len(data), threads, _PART)
    if aligned is not out:
        out[:] = aligned


def _merged(shape: tuple[int, ...], blocks: Sequence[tuple[int, ...]]) -> tuple[list[int], list[list[int]]]:
    """The same elements with as few dimensions as all factors allow: long rows are computed faster."""
    lengths, merged = [1], [[1] for _ in blocks]
    for number, length in enumerate(shape):
        if length == 1:
            continue
        pairs = [(own[-1], of_tensor[number]) for own, of_tensor in zip(merged, blocks, strict=True)]
        joined = [_joined(lengths[-1], length, block, inner) for block, inner in pairs]
        if all(joined):
            lengths[-1] *= length
            for own, block in zip(merged, joined, strict=True):
                own[-1] = block
        else:
            lengths.append(length)
            for own, (_, inner) in zip(merged, pairs, strict=True):
                own.append(inner)
    return lengths, merged


def _joined(outer_length: int, length: int, outer: int, inner: int) -> int:
    """The block of two dimensions that become one; 0 where there is none."""
    if outer_length == 1:
        return inner
    if inner == length:
        return outer * length
    return inner if outer == 1 and length % inner == 0 else 0


def blocks_of(shape: Sequence[int], counts: Sequence[int]) -> int:
    """How many factors there are. counts : elements of a block in each dimension."""
    return math.prod(-(-length // count) for length, count in zip(shape, counts, strict=True))
