"""Coding 6: byte planes, each a part of its own: exponents are coded and mantissas kept (spec 5.7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import BY_NAME, Bits, DType
from ..entropy import planes as byte_planes
from ..format.body import build_part
from ..format.cursor import Cursor
from ..format.resources import Resources
from ..tensor import Elements, TensorInfo
from .base import Decoded, Payload, Split
from .composite import Composite, Draft, check_dtype, decode_part, decode_part_rows, parse_part, part_payloads
from .estimates import entropy_bits
from .registry import register

U8 = BY_NAME["U8"]
_FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
_INTEGERS = frozenset({"U16", "I16", "U32", "I32", "U64", "I64"})
# Fewer elements cannot save what a record with parts takes more.
_LEAST = 64
# Of a large tensor so many elements say how large its planes are, in blocks.
_SAMPLE, _BLOCK = 1 << 18, 1 << 12
# A plane of mantissas that could save less than 1 / 2**6 is not worth the time to decode it.
_LEAST_SAVING = 6
# What classes of rows and columns take off a plane, about, as a part of what its entropy of order 0 says.
_CLASSES = 4
# What a plane that is coded takes beside its elements, in bits, about: a head, a length, a code table.
_PLANE_BITS = 512


@dataclass(frozen=True, eq=False)
class Params:
    """parts : records of the planes, or their drafts; empty until there are any."""

    parts: Sequence[Any] = ()


def has_planes(dtype: DType) -> bool:
    """Whether elements of this dtype are cut into planes."""
    return dtype.name in _FLOATS or dtype.name in _INTEGERS


def is_rotated(dtype: DType) -> bool:
    """Whether the sign goes to the lowest bit, so that the exponent fills the highest byte."""
    return dtype.name in _FLOATS


class PlanesCoding(Composite[Params]):
    """Floats and integers of 2, 4 or 8 bytes."""

    id = 6
    name = "planes"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        if tensor.numel == 0:
            raise cursor.error("a tensor without elements must be raw")
        if not has_planes(tensor.dtype):
            raise cursor.error(f"{tensor.dtype.name} has no byte planes")
        parts = []
        for _ in range(tensor.dtype.itemsize):
            parts.append(parse_part(cursor, tensor.shape, U8, resources))
            check_dtype(parts[-1], U8, cursor)
        return Params(parts)

    def parts(self, params: Params) -> Sequence[Any]:
        return params.parts

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        planes = [decode_part(part, own, threads) for part, own in part_payloads(params.parts, payload)]
        bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
        byte_planes.join([plane.bits for plane in planes], is_rotated(tensor.dtype), bits, threads)
        return Decoded(bits, [], parts=planes)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        planes = [decode_part_rows(part, own, first, last) for part, own in part_payloads(params.parts, payload)]
        bits = np.empty(last - first, tensor.dtype.bits)
        byte_planes.join(planes, is_rotated(tensor.dtype), bits)
        return bits

    def propose_split(self, elements: Elements) -> Split | None:
        info = elements.info
        if not has_planes(info.dtype) or info.numel < _LEAST:
            return None
        return Split(self, Params(), planes_bits(elements))

    def part_infos(self, params: Params, tensor: TensorInfo) -> Sequence[TensorInfo]:
        return [TensorInfo(U8, tensor.shape)] * tensor.dtype.itemsize

    def part(self, params: Params, elements: Elements, number: int) -> Elements:
        plane = byte_planes.plane(elements.bits, number, is_rotated(elements.info.dtype))
        return Elements(TensorInfo(U8, elements.info.shape), plane)

    def least_saving(self, params: Params, part: TensorInfo) -> int:
        return 8 * part.numel >> _LEAST_SAVING

    def with_parts(self, params: Params, parts: Sequence[Draft]) -> Params:
        return Params(parts)

    def write(self, params: Params, resources: Resources) -> bytes:
        return b"".join(build_part(part, U8, resources) for part in params.parts)


def planes_bits(elements: Elements) -> int:
    """What the planes of such a tensor take together, in bits, about."""
    info, part, size = elements.info, sample(elements.bits), 0
    for number in range(info.dtype.itemsize):
        plane = byte_planes.plane(part, number, is_rotated(info.dtype))
        coded = entropy_bits(np.bincount(plane, minlength=256)) * info.numel // len(part)
        if len(info.shape) > 1 and number == 0:
            coded -= coded >> _CLASSES
        size += min(coded + _PLANE_BITS, 8 * info.numel)
    return size


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
