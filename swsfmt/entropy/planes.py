"""Byte planes of elements: what the kernels take and give as arrays, in parts for threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import backend
from .kernels import Elements, in_parts
from .protocol import Plane

# Elements of a part that is worth a thread.
_PART = 1 << 18


def plane(elements: Elements, number: int, rotated: bool, threads: int = 1) -> Plane:
    """One byte of each element, uint8 of the same length. number : 0 is the most significant byte.

    rotated : of the elements after a rotation to the left by one bit, which brings a sign to the end
    """
    data, out = np.ascontiguousarray(elements), np.empty(len(elements), np.uint8)

    def part(first: int, last: int) -> None:
        backend.kernels.plane(data[first:last], data.itemsize, number, rotated, out[first:last])

    in_parts(part, len(data), threads, _PART)
    return out


def join(planes: Sequence[Plane], rotated: bool, out: Elements, threads: int = 1) -> None:
    """The elements of all planes, in the order of `plane`, into `out`."""

    def part(first: int, last: int) -> None:
        own = tuple(np.ascontiguousarray(plane[first:last]) for plane in planes)
        backend.kernels.join_planes(own, out.itemsize, rotated, out[first:last])

    in_parts(part, len(out), threads, _PART)
