"""Fields of the bits of elements: what the kernels take and give as arrays, in parts for threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import backend
from .kernels import Elements, in_parts
from .protocol import Indices, Plane

# Elements of a part that is worth a thread.
_PART = 1 << 18


def dtype_of(width: int) -> npt.DTypeLike:
    """Of a plane whose fields have so many bits."""
    return np.uint8 if width <= 8 else np.uint16


def plane(elements: Elements, widths: Sequence[int], number: int, rotated: bool, threads: int = 1) -> Plane:
    """One field of each element, uint8 or uint16 of the same length. number : 0 is the most significant field.

    widths : of the fields, in bits
    rotated : of the elements after a rotation to the left by one bit, which brings a sign to the end
    """
    data, width, shift = np.ascontiguousarray(elements), widths[number], sum(widths[number + 1 :])
    out: Plane = np.empty(len(elements), dtype_of(width))

    def part(first: int, last: int) -> None:
        backend.kernels.plane(data[first:last], data.itemsize, shift, width, rotated, out[first:last])

    in_parts(part, len(data), threads, _PART)
    return out


def counts(elements: Elements, widths: Sequence[int], rotated: bool) -> list[Indices]:
    """How often each value of each field occurs, in the order of `plane`: int64 of shape (2**width,) for each.

    A single field of all bits, up to 16, counts the elements themselves.
    """
    data, ends = np.ascontiguousarray(elements), np.cumsum([1 << width for width in widths])
    out = np.zeros(int(ends[-1]), np.int64)
    backend.kernels.count_fields(data, data.itemsize, bytes(widths), rotated, out)
    return np.split(out, ends[:-1])


def join(planes: Sequence[Plane], widths: Sequence[int], rotated: bool, out: Elements, threads: int = 1) -> bool:
    """The elements of all planes, in the order of `plane`, into `out`. False where a field has more than its width."""
    fit = []

    def part(first: int, last: int) -> None:
        own = tuple(np.require(plane[first:last], requirements=["C", "A"]) for plane in planes)
        fit.append(backend.kernels.join_planes(own, bytes(widths), out.itemsize, rotated, out[first:last]))

    in_parts(part, len(out), threads, _PART)
    return all(fit)
