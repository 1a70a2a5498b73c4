"""Levels with their scales, zeros and offsets, to the bit (spec 5.8).

All is done in float64, where each operation on two floats of 32 bits leaves more than twice the digits that remain: to
round afterwards gives what one operation in 32 bits gives. So no setting of the processor changes anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...dtypes import BY_ID
from .. import reals
from ..arrays import Elements, Indices
from ..scaled_protocol import Reals, ScaledFactor

# Elements that are computed at a time.
_BLOCK = 1 << 16


def dequantize(
    levels: Elements,
    dtype: int,
    table: Reals,
    shape: Indices,
    first: int,
    factors: tuple[ScaledFactor, ...],
    kind: int,
    each: bool,
    out: Elements,
) -> None:
    wide = BY_ID[kind].name == "F64"
    with np.errstate(all="ignore"):
        for start in range(0, len(out), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(out)))
            places = np.arange(first + part.start, first + part.stop)
            values = reals.of_bits(levels[part], BY_ID[dtype]) if wide else _single(levels[part], dtype)
            values = reals.widened(values)
            values = reals.rounded(values, BY_ID[kind]) if each else values
            for operation, numbers, blocks in factors:
                factor = reals.widened(numbers)[_numbers(places, shape, blocks)]
                values = (np.subtract, np.multiply, np.add)[operation](values, factor)
                if not wide:
                    values = reals.widened(reals.to_single(values))
                values = reals.rounded(values, BY_ID[kind]) if each else values
            out[part] = reals.to_bits(values, BY_ID[kind])


def _single(levels: Elements, dtype: int) -> Reals:
    return reals.to_single(reals.of_bits(levels, BY_ID[dtype]))


def _numbers(places: Indices, shape: Indices, blocks: Indices) -> npt.NDArray[Any]:
    """The number of the factor of each element. places : of the elements, in C order"""
    numbers = np.zeros(len(places), np.int64)
    stride, step = 1, 1
    for length, block in zip(shape[::-1].tolist(), blocks[::-1].tolist(), strict=True):
        numbers += places // stride % length // block * step
        stride *= length
        step *= -(-length // block)
    return numbers
