"""What a sample of a tensor tells of the ways to take it apart: how often values occur, and which fields take least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..cached import cached_property
from ..dtypes import BY_NAME, Bits, DType
from ..entropy import planes as fields
from ..tensor import Elements, TensorInfo
from .estimates import entropy_bits, value_counts

Widths = tuple[int, ...]
"""How many bits each field has, from the most significant one on."""

_FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
_INTEGERS = frozenset({"U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})
# What a writer tries: bytes, exponents with the first bit of the mantissa, the whole exponent, integers of four bits.
_FLOAT_WIDTHS: dict[str, list[Widths]] = {
    "F16": [(8, 8), (9, 7)],
    "BF16": [(8, 8), (9, 7)],
    "F32": [(8,) * 4, (9, 7, 8, 8)],
    "F64": [(8,) * 8, (11, 5, *[8] * 6)],
}
# The last one is that of integers of four bits.
_INTEGER_WIDTHS: dict[int, list[Widths]] = {
    size: [bytes_ for bytes_ in [(8,) * size] if size > 1] + [(4,) * (2 * size)] for size in (1, 2, 4, 8)
}
# Of a large tensor so many elements say how large its planes are, in blocks.
_SAMPLE, _BLOCK = 1 << 18, 1 << 12
# A plane of floats that could save less than 1 / 2**7 is taken for random.
_RANDOM = 7
# Halves of bytes are independent where they take no more than 1 / 2**8 more than bytes.
_INDEPENDENT = 8
# What classes of rows and columns take off a plane, about, as a part of what its entropy of order 0 says.
_CLASSES = 4
# What a plane that is coded takes beside its elements, in bits, about: a head, a length; for each value the length of
# its code, and itself.
_PLANE_BITS, _LENGTH_BITS = 128, 4


class Forms(NamedTuple):
    """The fields with which the planes of a tensor take least.

    bits : what they take together, about. random : numbers of the planes that have nothing to code
    """

    bits: int
    widths: Widths
    random: frozenset[int]


class Sampled(Elements):
    """A tensor that may be taken apart, and what is asked of it by more than one coding, computed once."""

    @cached_property
    def sample(self) -> Bits:
        """See `sample`."""
        return sample(self.bits)

    @cached_property
    def values(self) -> tuple[Bits, npt.NDArray[np.int64]]:
        """The distinct elements of the sample, ascending, and how often each occurs."""
        return value_counts(self.sample)

    @cached_property
    def entropy(self) -> int:
        """Of order 0, of all elements, in bits. Fields of them take as much at least, by the same sample."""
        return self.scaled(entropy_bits(self.values[1]))

    @cached_property
    def forms(self) -> Forms:
        """The cheapest ones of a dtype that has planes."""
        return cheapest_forms(self.info, self.sample)

    def scaled(self, bits: int) -> int:
        """What all elements take, of what the sample does."""
        return bits * len(self.bits) // len(self.sample)


def sample(bits: Bits) -> Bits:
    """Blocks from all over the elements, which are what all of them are like."""
    if len(bits) <= _SAMPLE:
        return bits
    step = len(bits) // (_SAMPLE // _BLOCK)
    starts = np.arange(_SAMPLE // _BLOCK) * step
    taken: Bits = bits[(starts[:, None] + np.arange(_BLOCK)).ravel()]
    return taken


def has_planes(dtype: DType) -> bool:
    """Whether elements of this dtype can be cut into fields."""
    return dtype.name in _FLOATS or dtype.name in _INTEGERS


def is_rotated(dtype: DType) -> bool:
    """Whether the sign goes to the lowest bit, so that the exponent is highest."""
    return dtype.name in _FLOATS


def widths_of(dtype: DType) -> list[Widths]:
    """What a writer tries for a dtype that has planes."""
    return _FLOAT_WIDTHS.get(dtype.name) or _INTEGER_WIDTHS[dtype.itemsize]


def plane_dtype(width: int) -> DType:
    """Of the plane of such a field."""
    return BY_NAME["U8" if width <= 8 else "U16"]


def cheapest_forms(info: TensorInfo, part: Bits) -> Forms:
    """The fields with which the planes of a tensor take least. part : some of its elements, see `sample`"""
    forms, count = [], fields.Counts(part, is_rotated(info.dtype))
    for widths in widths_of(info.dtype):
        bits, random = 0, set()
        for number, counts in enumerate(count.of(widths)):
            width = widths[number]
            entropy, most = _entropy(info, part, counts), width * info.numel
            bits += _plane_bits(info, widths, number, entropy, int(np.count_nonzero(counts)))
            if entropy >= most - (most >> _RANDOM):
                random.add(number)
        forms.append(Forms(bits, widths, frozenset(random)))
    least = min(forms, key=lambda form: form[:2])
    if _is_packed(info, part, count):
        # Nothing is lost when bytes come apart, and tables for classes are smaller.
        return forms[-1]._replace(bits=least.bits)
    return least


def is_packed(elements: Sampled) -> bool:
    """Whether the halves of bytes are independent, as integers of four bits are that have been packed into others."""
    counts = fields.Counts(elements.sample, is_rotated(elements.info.dtype))
    return _is_packed(elements.info, elements.sample, counts)


def _is_packed(info: TensorInfo, part: Bits, count: fields.Counts) -> bool:
    """count : of the fields of the sample"""
    if is_rotated(info.dtype) or len(info.shape) < 2:
        return False
    halves, whole = (
        [_entropy(info, part, counts) for counts in count.of((width,) * parts)]
        for width, parts in ((4, 2 * info.dtype.itemsize), (8, info.dtype.itemsize))
    )
    # A half that takes less than a bit is one of small integers.
    return min(halves) >= info.numel and sum(halves) <= sum(whole) + (sum(whole) >> _INDEPENDENT)


def _plane_bits(info: TensorInfo, widths: Widths, number: int, entropy: int, values: int) -> int:
    """What one plane takes. values : how many there are"""
    if len(info.shape) > 1 and number == 0:
        entropy -= entropy >> _CLASSES
    value = 8 * plane_dtype(widths[number]).itemsize
    return min(entropy + values * (value + _LENGTH_BITS) + _PLANE_BITS, value * info.numel)


def _entropy(info: TensorInfo, part: Bits, counts: npt.NDArray[np.int64]) -> int:
    """Of order 0, of all elements. counts : of a field of those of the sample"""
    return entropy_bits(counts) * info.numel // len(part)
