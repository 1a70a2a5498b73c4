"""Levels with their scales: what the kernel takes as arrays, in parts for threads (spec 5.8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..dtypes import F32, Bits, DType
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


class Product:
    """What makes elements of levels: the factors, made ready once for all parts of a tensor.

    shape : of the whole tensor, which has elements
    dtype : of its elements
    each : whether each operation is rounded to `dtype`, not the last one alone
    """

    def __init__(self, shape: tuple[int, ...], factors: Sequence[Factor], dtype: DType, each: bool) -> None:
        self._dtype, self._each, self._is_wide = dtype, each, dtype.name == "F64"
        lengths, merged = _merged(shape, [factor.blocks for factor in factors])
        self._shape = np.array(lengths, np.int64)
        self._factors = tuple(
            (int(factor.operation), self._numbers(factor), np.array(blocks, np.int64))
            for factor, blocks in zip(factors, merged, strict=True)
        )

    def _numbers(self, factor: Factor) -> Reals:
        if factor.dtype == F32 and not self._is_wide and not self._each:
            return np.require(factor.bits, requirements=["C", "A"]).view(np.float32)
        numbers = reals.of_bits(factor.bits, factor.dtype)
        if self._is_wide:
            return numbers
        single = reals.to_single(numbers)
        return reals.to_single(reals.rounded(reals.widened(single), self._dtype)) if self._each else single

    def into(self, out: Bits, levels: Bits, dtype: DType, first: int = 0, threads: int = 1) -> None:
        """Elements first to first + len(out) - 1, of so many levels of that dtype."""
        table: Reals = _NO_TABLE
        if dtype.itemsize == 1 and dtype.kind == "other":
            table = reals.table(dtype) if self._is_wide else reals.to_single(reals.table(dtype))
        data = np.require(levels, requirements=["C", "A"])
        own = out if out.flags.aligned else np.empty_like(out)
        kind, each = self._dtype.id, self._each

        def part(start: int, stop: int) -> None:
            backend.kernels.dequantize(
                data[start:stop],
                dtype.id,
                table,
                self._shape,
                first + start,
                self._factors,
                kind,
                each,
                own[start:stop],
            )

        in_parts(part, len(data), threads, _PART)
        if own is not out:
            out[:] = own


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
