"""Coding 6: fields of the bits of elements, each a part of its own (spec 5.7).

Exponents of floats are coded and mantissas kept; integers that are packed into others come apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dtypes import BY_NAME, Bits, DType
from ..entropy import planes as fields
from ..errors import PayloadError
from ..format.body import build_part
from ..format.cursor import Cursor
from ..format.resources import Resources
from ..tensor import Elements, TensorInfo
from .base import Coding, Decoded, Freedom, Payload, Split
from .composite import Composite, Draft, check_dtype, decode_part, decode_part_rows, info_of, parse_part, part_payloads
from .dense import DENSE
from .estimates import entropy_bits
from .raw import RAW
from .registry import register

Widths = tuple[int, ...]
"""How many bits each field has, from the most significant one on."""

MAX_WIDTH = 16
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
# Fewer elements cannot save what a record with parts takes more.
_LEAST = 64
# Of a large tensor so many elements say how large its planes are, in blocks.
_SAMPLE, _BLOCK = 1 << 18, 1 << 12
# A plane of mantissas that could save less than 1 / 2**6 is not worth the time to decode it.
_LEAST_SAVING = 6
# A plane of floats that could save less than 1 / 2**7 is taken for random.
_RANDOM = 7
# The elements of planes that have been joined.
_NOT_KEPT = np.empty(0, np.uint8)
# Halves of bytes are independent where they take no more than 1 / 2**8 more than bytes.
_INDEPENDENT = 8
# What classes of rows and columns take off a plane, about, as a part of what its entropy of order 0 says.
_CLASSES = 4
# What a plane that is coded takes beside its elements, in bits, about: a head, a length; for each value the length of
# its code, and itself.
_PLANE_BITS, _LENGTH_BITS = 128, 4


@dataclass(frozen=True, eq=False)
class Params:
    """widths : of the fields. parts : records of the planes, or their drafts; empty until there are any.
    random : for a writer, numbers of the planes that have nothing to code
    """

    widths: Widths
    parts: Sequence[Any] = ()
    random: frozenset[int] = frozenset()


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


class PlanesCoding(Composite[Params]):
    """Floats of 2, 4 or 8 bytes, and integers."""

    id = 6
    name = "planes"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        if tensor.numel == 0:
            raise cursor.error("a tensor without elements must be raw")
        if not has_planes(tensor.dtype):
            raise cursor.error(f"{tensor.dtype.name} has no planes")
        widths = _parse_widths(cursor, 8 * tensor.dtype.itemsize)
        parts = []
        for width in widths:
            parts.append(parse_part(cursor, tensor.shape, plane_dtype(width), resources))
            check_dtype(parts[-1], plane_dtype(width), cursor)
        return Params(widths, parts)

    def parts(self, params: Params) -> Sequence[Any]:
        return params.parts

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
        planes: list[Decoded] = []
        for part, own in part_payloads(params.parts, payload):
            # The first plane, where it is as wide as the elements, is decoded where they go: the join begins with it.
            is_wide = not planes and info_of(part).dtype.itemsize == tensor.dtype.itemsize
            planes.append(decode_part(part, own, threads, bits if is_wide else None))
        _join(params, tensor, [plane.bits for plane in planes], bits, threads)
        return Decoded(bits, [], parts=[plane._replace(bits=_NOT_KEPT) for plane in planes])

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        if all(width == 8 * plane_dtype(width).itemsize for width in params.widths):
            super().check(params, tensor, payload, threads)
        else:
            # Fields may be too large for their widths.
            self.decode(params, tensor, payload, threads)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        planes = [decode_part_rows(part, own, first, last) for part, own in part_payloads(params.parts, payload)]
        bits = np.empty(last - first, tensor.dtype.bits)
        _join(params, tensor, planes, bits)
        return bits

    def propose_split(self, elements: Elements) -> Split | None:
        info = elements.info
        if not has_planes(info.dtype) or info.numel < _LEAST:
            return None
        part = sample(elements.bits)
        if info.dtype.itemsize == 1 and not _is_packed(info, part, fields.Counts(part, rotated=False)):
            return None
        size, widths, random = cheapest_widths(info, part)
        return Split(self, Params(widths, random=random if is_rotated(info.dtype) else frozenset()), size)

    def part_infos(self, params: Params, tensor: TensorInfo) -> Sequence[TensorInfo]:
        return [TensorInfo(plane_dtype(width), tensor.shape) for width in params.widths]

    def part(self, params: Params, elements: Elements, number: int) -> Elements:
        plane = fields.plane(elements.bits, params.widths, number, is_rotated(elements.info.dtype))
        return Elements(TensorInfo(plane_dtype(params.widths[number]), elements.info.shape), plane)

    def choices(
        self, params: Params, number: int, codings: Sequence[Coding[Any]], freedom: Freedom
    ) -> tuple[Sequence[Coding[Any]], Freedom]:
        if number not in params.random:
            return codings, freedom
        own: list[Coding[Any]] = [RAW] if params.widths[number] % 8 == 0 else [RAW, DENSE]
        return [coding for coding in codings if coding in own], freedom

    def least_saving(self, params: Params, part: TensorInfo) -> int:
        return 8 * part.dtype.itemsize * part.numel >> _LEAST_SAVING

    def with_parts(self, params: Params, parts: Sequence[Draft]) -> Params:
        return replace(params, parts=parts)

    def write(self, params: Params, resources: Resources) -> bytes:
        parts = zip(params.widths, params.parts, strict=True)
        return bytes(params.widths) + b"".join(build_part(part, plane_dtype(width), resources) for width, part in parts)


def _parse_widths(cursor: Cursor, bits: int) -> Widths:
    widths: list[int] = []
    while sum(widths) < bits:
        widths.append(cursor.u8("width of a field"))
        if not 1 <= widths[-1] <= MAX_WIDTH or sum(widths) > bits:
            raise cursor.error(f"fields of {widths} bits, they are 1 to {MAX_WIDTH}, and {bits} together")
    if len(widths) < 2:
        raise cursor.error("one field alone")
    return tuple(widths)


def _join(params: Params, tensor: TensorInfo, planes: Sequence[Any], out: Bits, threads: int = 1) -> None:
    if not fields.join(planes, params.widths, is_rotated(tensor.dtype), out, threads):
        raise PayloadError("an element of a plane has more bits than its field")


def cheapest_widths(info: TensorInfo, part: Bits) -> tuple[int, Widths, frozenset[int]]:
    """The fields with which the planes of a tensor take least. part : some of its elements, see `sample`

    Returns what they take together, in bits, about; the widths; and which planes have nothing to code.
    """
    forms, count = [], fields.Counts(part, is_rotated(info.dtype))
    for widths in widths_of(info.dtype):
        bits, random = 0, set()
        for number, counts in enumerate(count.of(widths)):
            width = widths[number]
            entropy, most = _entropy(info, part, counts), width * info.numel
            bits += _plane_bits(info, widths, number, entropy, int(np.count_nonzero(counts)))
            if entropy >= most - (most >> _RANDOM):
                random.add(number)
        forms.append((bits, widths, frozenset(random)))
    least = min(forms, key=lambda form: form[:2])
    if _is_packed(info, part, count):
        # Nothing is lost when bytes come apart, and tables for classes are smaller.
        return least[0], *forms[-1][1:]
    return least


def _is_packed(info: TensorInfo, part: Bits, count: fields.Counts) -> bool:
    """Whether the halves of bytes are independent, as integers of four bits are that have been packed into others.

    count : of the fields of the sample
    """
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


def sample(bits: Bits) -> Bits:
    """Blocks from all over the elements, which are what all of them are like."""
    if len(bits) <= _SAMPLE:
        return bits
    step = len(bits) // (_SAMPLE // _BLOCK)
    starts = np.arange(_SAMPLE // _BLOCK) * step
    taken: Bits = bits[(starts[:, None] + np.arange(_BLOCK)).ravel()]
    return taken


PLANES = PlanesCoding()
register(PLANES)
