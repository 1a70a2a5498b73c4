"""Fields of the bits of elements, most significant first; floats are rotated left by one bit: the sign comes last."""

from __future__ import annotations

import numpy as np

from ..protocol import Elements, Indices, Plane


def plane(elements: Elements, itemsize: int, shift: int, width: int, rotated: bool, out: Plane) -> None:
    one, last = elements.dtype.type(1), elements.dtype.type(8 * itemsize - 1)
    turned = elements << one | elements >> last if rotated else elements
    out[:] = (turned >> elements.dtype.type(shift)).astype(np.uint16) & np.uint16((1 << width) - 1)


def count_fields(elements: Elements, itemsize: int, widths: bytes, rotated: bool, counts: Indices) -> None:
    shift, start = 8 * itemsize, 0
    for width in widths:
        shift -= width
        values = np.empty(len(elements), np.uint16)
        plane(elements, itemsize, shift, width, rotated, values)
        counts[start : start + (1 << width)] += np.bincount(values, minlength=1 << width)
        start += 1 << width


def join_planes(planes: tuple[Plane, ...], widths: bytes, itemsize: int, rotated: bool, out: Elements) -> bool:
    one, last = out.dtype.type(1), out.dtype.type(8 * itemsize - 1)
    turned = np.zeros(len(out), out.dtype)
    fits = True
    for plane, width in zip(planes, widths, strict=True):
        fits = fits and not (plane >> plane.dtype.type(width - 1) > 1).any()
        turned = turned << out.dtype.type(width) | plane.astype(out.dtype)
    out[:] = turned >> one | turned << last if rotated else turned
    return fits
