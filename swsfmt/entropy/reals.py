"""Numbers of the dtypes of the registry as float64, and back: integer arithmetic where a processor could interfere.

A processor may be set to take subnormal floats for zero (torch.set_flush_denormal); what a file holds must not change.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits, DType

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

# Bits of exponent and mantissa, and the bias.
_LAYOUT = {
    "F16": (5, 10, 15),
    "BF16": (8, 7, 127),
    "F32": (8, 23, 127),
    "F8_E4M3": (4, 3, 7),
    "F8_E5M2": (5, 2, 15),
    "F8_E4M3FNUZ": (4, 3, 8),
    "F8_E5M2FNUZ": (5, 2, 16),
}
_INTEGERS = ("signed", "unsigned")
NUMBERS = frozenset({*_LAYOUT, "F8_E8M0", "U8", "I8", "U16", "I16", "U32", "I32"})
"""The dtypes whose numbers float64 holds exactly, but for its own."""


def of_bits(bits: Bits, dtype: DType) -> Doubles:
    """The numbers that elements are."""
    if dtype.kind in _INTEGERS or dtype.name == "F64":
        return bits.view(dtype.numbers).astype(np.float64)
    if dtype.itemsize == 1:
        return table(dtype)[bits]
    return _floats(bits, dtype.name)


@cache
def table(dtype: DType) -> Doubles:
    """What each of the 256 bytes is, for a float of one byte."""
    every = np.arange(256)
    if dtype.name == "F8_E8M0":
        return np.where(every == 255, np.nan, 2.0 ** (every - 127.0))
    return _floats(every, dtype.name)


def _floats(bits: npt.NDArray[Any], name: str) -> Doubles:
    exponent_bits, mantissa_bits, bias = _LAYOUT[name]
    bits = bits.astype(np.int64)
    mantissa, exponent = bits & (1 << mantissa_bits) - 1, bits >> mantissa_bits & (1 << exponent_bits) - 1
    sign = bits >> (exponent_bits + mantissa_bits)
    whole = np.where(exponent > 0, mantissa | 1 << mantissa_bits, mantissa)
    size = np.ldexp(whole.astype(np.float64), (np.maximum(exponent, 1) - bias - mantissa_bits).astype(np.int32))
    most = (1 << exponent_bits) - 1
    if name.endswith("FNUZ"):
        size = np.where((sign == 1) & (exponent == 0) & (mantissa == 0), np.nan, size)
    elif name == "F8_E4M3":
        size = np.where((exponent == most) & (mantissa == 7), np.nan, size)
    else:
        size = np.where(exponent == most, np.where(mantissa == 0, np.inf, np.nan), size)
    return np.where(sign == 1, -size, size)


def to_bits(values: Doubles, dtype: DType) -> Bits:
    """Elements of F16, BF16, F32 or F64: each number rounded to the nearest, ties to even. There is one NaN.

    values : for F16 and BF16, those of float32
    """
    if dtype.name == "F64":
        return np.where(np.isnan(values), np.uint64(0x7FF8 << 48), values.view(np.uint64)).astype(dtype.bits)
    _, mantissa_bits, bias = _LAYOUT[dtype.name]
    width = 8 * dtype.itemsize
    # The lowest exponent is that of the smallest normal number too.
    exponent = np.maximum(np.frexp(values)[1] - 1, 1 - bias)
    exponent = np.where(np.isfinite(values) & (values != 0), exponent, 1 - bias)
    whole = np.rint(np.ldexp(np.where(np.isfinite(values), np.abs(values), 0.0), mantissa_bits - exponent))
    # A carry goes on into the exponent.
    bits = (exponent + bias - 1 << mantissa_bits) + whole.astype(np.int64)
    infinite = (1 << width - 1) - (1 << mantissa_bits)
    bits = (
        np.where(np.isinf(values) | (bits > infinite), infinite, bits)
        | np.signbit(values).astype(np.int64) << width - 1
    )
    quiet = infinite | 1 << mantissa_bits - 1
    return np.where(np.isnan(values), quiet, bits).astype(dtype.bits)


def rounded(values: Doubles, dtype: DType) -> Doubles:
    """What `to_bits` makes of numbers."""
    return of_bits(to_bits(values, dtype), dtype)


def to_single(values: Doubles) -> Singles:
    """Numbers as float32, rounded to the nearest, ties to even."""
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
        small = np.abs(values) < 2.0**-126
        if small.any():
            whole = np.rint(np.abs(values[small]) * 2.0**149).astype(np.uint32)
            single.view(np.uint32)[small] = whole | np.signbit(values[small]).astype(np.uint32) << np.uint32(31)
    return single


def widened(values: Singles | Doubles) -> Doubles:
    """The same numbers as float64."""
    if values.dtype.itemsize == 8:
        return values.astype(np.float64, copy=False)
    return _floats(values.view(np.uint32), "F32")
