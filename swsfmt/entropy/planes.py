"""Fields of the bits of elements: what the kernels take and give as arrays, in parts for threads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from ..cached import cached_property
from . import backend
from .arrays import aligned
from .kernels import Elements, in_parts
from .protocol import Indices, Plane

# Elements of a part that is worth a thread.
_PART = 1 << 18
# Elements of two bytes that are worth a count of all their values.
_MANY = 1 << 16


def dtype_of(width: int) -> npt.DTypeLike:
    """Of a plane whose fields have so many bits."""
    return np.uint8 if width <= 8 else np.uint16


def plane(elements: Elements, widths: Sequence[int], number: int, rotated: bool, threads: int = 1) -> Plane:
    """One field of each element, uint8 or uint16 of the same length. number : 0 is the most significant field.

    widths : of the fields, in bits
    rotated : of the elements after a rotation to the left by one bit, which brings a sign to the end
    """
    data, width, shift = aligned(elements), widths[number], sum(widths[number + 1 :])
    out: Plane = np.empty(len(elements), dtype_of(width))

    def part(first: int, last: int) -> None:
        backend.kernels.plane(data[first:last], data.itemsize, shift, width, rotated, out[first:last])

    in_parts(part, len(data), threads, _PART)
    return out


class Counts:
    """How often each value of each field of some elements occurs. rotated : see `plane`"""

    def __init__(self, elements: Elements, rotated: bool) -> None:
        self._elements = aligned(elements)
        self._rotated = rotated
        # Of many elements of two bytes the elements are counted once, and fields from there.
        is_whole = elements.itemsize == 2 and len(elements) >= _MANY
        self._whole = self._count((16,))[0] if is_whole else None

    def of(self, widths: Sequence[int]) -> list[Indices]:
        """Of the fields of these widths, in the order of `plane`: int64 of shape (2**width,) for each.

        A single field of all bits, up to 16, counts the elements themselves.
        """
        if self._whole is not None:
            return _folded(self._whole, widths)
        if set(widths) == {4}:
            return [half for byte in self._bytes for half in _folded(byte, (4, 4))]
        return self._bytes if set(widths) == {8} else self._count(widths)

    @cached_property
    def _bytes(self) -> list[Indices]:
        return self._count((8,) * self._elements.itemsize)

    def _count(self, widths: Sequence[int]) -> list[Indices]:
        sizes = [1 << width for width in widths]
        out = np.zeros(sum(sizes), np.int64)
        size = self._elements.itemsize
        backend.kernels.count_fields(self._elements, size, bytes(widths), self._rotated, out)
        ends = accumulate(sizes)
        return [out[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _folded(counts: Indices, widths: Sequence[int]) -> list[Indices]:
    """Counts of fields, from those of what they make together."""
    if len(widths) == 1:
        return [counts]
    half = len(widths) // 2
    table = counts.reshape(1 << sum(widths[:half]), -1)
    return [*_folded(table.sum(axis=1), widths[:half]), *_folded(table.sum(axis=0), widths[half:])]


def join(planes: Sequence[Plane], widths: Sequence[int], rotated: bool, out: Elements, threads: int = 1) -> bool:
    """The elements of all planes, in the order of `plane`, into `out`. False where a field has more than its width."""
    fit = []

    def part(first: int, last: int) -> None:
        own = tuple(np.require(plane[first:last], requirements=["C", "A"]) for plane in planes)
        fit.append(backend.kernels.join_planes(own, bytes(widths), out.itemsize, rotated, out[first:last]))

    in_parts(part, len(out), threads, _PART)
    return all(fit)
