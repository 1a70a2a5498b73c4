"""The quantised types of GGUF: which bytes of a block are levels, scales and minima.

Rows are cut into blocks. Each is some bytes with a level for each element, and scales as floats; in the larger blocks
of the K types small integers scale each group of elements before. Layouts are those of ggml-quants.c, as package
`gguf` has them: an element is level x scale, or level x scale - minimum, in float32.

Products of a level and two scales have at most 23 bits: they are exact, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
"""Blocks, one in each row."""
Array: TypeAlias = npt.NDArray[Any]
Take: TypeAlias = Callable[[Bytes], Array]
"""Gives numbers of blocks, those of one block in each row."""

F16 = np.dtype("<f2")
I8 = np.dtype("i1")
U8 = np.dtype("u1")
F32 = np.dtype("<f4")


@dataclass(frozen=True)
class Numbers:
    """Levels or factors.

    per : how many elements of a row have the same one
    dtype : F16, F32, I8 or U8
    """

    per: int
    dtype: np.dtype[Any]
    take: Take


@dataclass(frozen=True)
class BlockType:
    """A quantised type.

    name : as GGUF has it
    elements, size : of a block, and its bytes
    scales : all are multiplied with the level
    minimum : a level and a scale, whose product is added; they hold its opposite. Or a single number
    """

    name: str
    elements: int
    size: int
    levels: Take
    scales: Sequence[Numbers]
    minimum: Sequence[Numbers] = ()


def _bytes(start: int, stop: int) -> Take:
    return lambda blocks: blocks[:, start:stop]


def _int8(start: int, stop: int) -> Take:
    return lambda blocks: blocks[:, start:stop].view(I8)


def _half(start: int) -> Take:
    return lambda blocks: np.ascontiguousarray(blocks[:, start : start + 2]).view(F16)


def _opposite(start: int) -> Take:
    """A float16 of the other sign."""
    return lambda blocks: (np.ascontiguousarray(blocks[:, start : start + 2]).view("<u2") ^ 0x8000).view(F16)


def _fields(bytes_: Bytes, groups: int, shifts: Sequence[int]) -> Bytes:
    """Each group of bytes, moved right by each of the shifts: all first fields of a group, then all second ones."""
    return (bytes_.reshape(len(bytes_), groups, 1, -1) >> np.array(shifts, U8)[:, None]).reshape(len(bytes_), -1)


def _nibbles(start: int, stop: int, groups: int = 1) -> Take:
    """In each group all lower ones go before all upper ones."""
    return lambda blocks: _fields(blocks[:, start:stop], groups, (0, 4)) & 15


def _pairs(start: int, stop: int) -> Take:
    """Fields of two bits, groups of 32 bytes."""
    return lambda blocks: _fields(blocks[:, start:stop], (stop - start) // 32, (0, 2, 4, 6)) & 3


def _bits(start: int, stop: int) -> Take:
    """All first bits, then all second ones."""
    return lambda blocks: _fields(blocks[:, start:stop], 1, range(8)) & 1


def _signed(integers: Array, zero: int) -> Array:
    """Integers less `zero`, as int8."""
    signed: Array = integers.view(I8) - np.int8(zero)
    return signed


def _below(levels: Take, zero: int) -> Take:
    return lambda blocks: _signed(levels(blocks), zero)


def _of(values: Sequence[int], symbols: Take) -> Take:
    """Symbols as values of a table."""
    table = np.array(values, I8)
    return lambda blocks: table[symbols(blocks)]


def _fifth_bits(start: int) -> Take:
    """The upper bits of 32 elements, in their order."""
    return lambda blocks: np.unpackbits(blocks[:, start : start + 4], axis=1, bitorder="little")


def _joined(low: Take, high: Take, width: int) -> Take:
    return lambda blocks: low(blocks) | high(blocks) << np.uint8(width)


def _k_scales(blocks: Bytes) -> Bytes:
    """Eight scales of 6 bits, of Q4_K and Q5_K."""
    packed = blocks[:, 4:16]
    return np.concatenate([packed[:, :4] & 63, packed[:, 8:] & 15 | packed[:, :4] >> 2 & 48], axis=1)


def _k_minima(blocks: Bytes) -> Bytes:
    packed = blocks[:, 4:16]
    return np.concatenate([packed[:, 4:8] & 63, packed[:, 8:] >> 4 | packed[:, 4:8] >> 2 & 48], axis=1)


def _q3_scales(blocks: Bytes) -> Array:
    low = _fields(blocks[:, 96:104], 1, (0, 4)) & 15
    high = _fields(blocks[:, 104:108], 1, (0, 2, 4, 6)) & 3
    return _signed(low | high << 4, 32)


def _iq4_scales(blocks: Bytes) -> Array:
    low = np.stack([blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4], axis=2).reshape(len(blocks), -1)
    high = np.ascontiguousarray(blocks[:, 2:4]).view("<u2") >> np.arange(0, 16, 2, dtype="<u2") & 3
    return _signed(low | high.astype(U8) << 4, 32)


def _trits(blocks: Bytes) -> Array:
    """Five of them in a byte, as a fraction of 256; four in each of the last four bytes."""
    powers = np.array([1, 3, 9, 27, 81], U8)
    groups = [(blocks[:, :32], 5), (blocks[:, 32:48], 5), (blocks[:, 48:52], 4)]
    moved = [(part[:, None, :] * powers[:count, None]).reshape(len(blocks), -1) for part, count in groups]
    return _signed((np.concatenate(moved, axis=1).astype(np.uint16) * 3 >> 8).astype(U8), 1)


def _half_powers(blocks: Bytes) -> Array:
    """Of MXFP4: half of 2**(byte - 127), of any byte."""
    exponent = blocks[:, :1].astype("<u4")
    return np.where(exponent < 2, 0x200000 << exponent, exponent - 1 << 23).astype("<u4").view(F32)


def _half_e4m3(blocks: Bytes) -> Array:
    """Of NVFP4: half of a float8, without its sign. 127 is 0."""
    byte = blocks[:, :4]
    exponent, mantissa = byte >> 3 & 15, (byte & 7).astype(F32)
    number = np.where(exponent == 0, mantissa / 8, np.ldexp(1 + mantissa / 8, exponent.astype("i4") - 1))
    return np.where(byte == 127, 0, number / 128).astype(F32)


_NL = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
_FP4 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
_K_MINIMUM = (Numbers(32, U8, _k_minima), Numbers(256, F16, _opposite(2)))
_K_SCALES = (Numbers(32, U8, _k_scales), Numbers(256, F16, _half(0)))

BLOCK_TYPES = {
    2: BlockType("Q4_0", 32, 18, _below(_nibbles(2, 18), 8), [Numbers(32, F16, _half(0))]),
    3: BlockType("Q4_1", 32, 20, _nibbles(4, 20), [Numbers(32, F16, _half(0))], [Numbers(32, F16, _half(2))]),
    6: BlockType("Q5_0", 32, 22, _below(_joined(_nibbles(6, 22), _fifth_bits(2), 4), 16), [Numbers(32, F16, _half(0))]),
    7: BlockType(
        "Q5_1",
        32,
        24,
        _joined(_nibbles(8, 24), _fifth_bits(4), 4),
        [Numbers(32, F16, _half(0))],
        [Numbers(32, F16, _half(2))],
    ),
    8: BlockType("Q8_0", 32, 34, _int8(2, 34), [Numbers(32, F16, _half(0))]),
    10: BlockType(
        "Q2_K",
        256,
        84,
        _pairs(16, 80),
        [Numbers(16, U8, lambda blocks: blocks[:, :16] & 15), Numbers(256, F16, _half(80))],
        [Numbers(16, U8, lambda blocks: blocks[:, :16] >> 4), Numbers(256, F16, _opposite(82))],
    ),
    11: BlockType(
        "Q3_K",
        256,
        110,
        _below(_joined(_pairs(32, 96), _bits(0, 32), 2), 4),
        [Numbers(16, I8, _q3_scales), Numbers(256, F16, _half(108))],
    ),
    12: BlockType("Q4_K", 256, 144, _nibbles(16, 144, 4), _K_SCALES, _K_MINIMUM),
    13: BlockType("Q5_K", 256, 176, _joined(_nibbles(48, 176, 4), _bits(16, 48), 4), _K_SCALES, _K_MINIMUM),
    14: BlockType(
        "Q6_K",
        256,
        210,
        _below(_joined(_nibbles(0, 128, 2), _pairs(128, 192), 4), 32),
        [Numbers(16, I8, _int8(192, 208)), Numbers(256, F16, _half(208))],
    ),
    20: BlockType("IQ4_NL", 32, 18, _of(_NL, _nibbles(2, 18)), [Numbers(32, F16, _half(0))]),
    23: BlockType(
        "IQ4_XS",
        256,
        136,
        _of(_NL, _nibbles(8, 136, 8)),
        [Numbers(32, I8, _iq4_scales), Numbers(256, F16, _half(0))],
    ),
    34: BlockType("TQ1_0", 256, 54, _trits, [Numbers(256, F16, _half(52))]),
    35: BlockType("TQ2_0", 256, 66, _below(_pairs(0, 64), 1), [Numbers(256, F16, _half(64))]),
    39: BlockType("MXFP4", 32, 17, _of(_FP4, _nibbles(1, 17)), [Numbers(32, F32, _half_powers)]),
    40: BlockType("NVFP4", 64, 36, _of(_FP4, _nibbles(4, 36, 4)), [Numbers(16, F32, _half_e4m3)]),
}
"""By number. The others are dequantised by package `gguf`."""
