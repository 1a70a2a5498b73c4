"""Coding 6: fields of the bits of elements, each a part of its own (spec 5.7).

Exponents of floats are coded and mantissas kept; integers that are packed into others come apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dtypes import Bits
from ..entropy import planes as fields
from ..entropy.scratch import Scratch
from ..errors import PayloadError
from ..format.body import build_part
from ..format.cursor import Cursor
from ..format.resources import Resources
from ..tensor import Elements, TensorInfo
from .base import Coding, Decoded, Freedom, Payload, Split
from .composite import (
    Composite,
    Draft,
    check_dtype,
    decode_part,
    decode_part_in,
    decode_part_rows,
    info_of,
    parse_part,
    part_payloads,
)
from .dense import DENSE
from .raw import RAW
from .registry import register
from .sampling import Sampled, Widths, has_planes, is_packed, is_rotated, plane_dtype

MAX_WIDTH = 16
# Fewer elements cannot save what a record with parts takes more.
_LEAST = 64
# A plane of mantissas that could save less than 1 / 2**6 is not worth the time to decode it.
_LEAST_SAVING = 6
# The elements of planes that have been joined.
_NOT_KEPT = np.empty(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Params:
    """widths : of the fields. parts : records of the planes, or their drafts; empty until there are any.
    random : for a writer, numbers of the planes that have nothing to code
    """

    widths: Widths
    parts: Sequence[Any] = ()
    random: frozenset[int] = frozenset()


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
        with Scratch() as scratch:
            for part, own in part_payloads(params.parts, payload):
                dtype = info_of(part).dtype
                # The first plane, where it is as wide as the elements, is decoded where they go: the join begins there.
                if not planes and dtype.itemsize == tensor.dtype.itemsize:
                    planes.append(decode_part(part, own, threads, bits))
                else:
                    planes.append(decode_part_in(part, own, threads, scratch.take(tensor.numel, dtype.bits)))
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

    def propose_split(self, elements: Sampled) -> Split | None:
        info = elements.info
        if not has_planes(info.dtype) or info.numel < _LEAST:
            return None
        if info.dtype.itemsize == 1 and not is_packed(elements):
            return None
        size, widths, random = elements.forms
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


PLANES = PlanesCoding()
register(PLANES)
