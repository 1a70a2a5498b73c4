"""Byte planes of elements, most significant first; floats are rotated left by one bit, so that the sign comes last."""

from __future__ import annotations

import numpy as np

from ..protocol import Elements, Plane


def plane(elements: Elements, itemsize: int, number: int, rotated: bool, out: Plane) -> None:
    one, width = elements.dtype.type(1), elements.dtype.type(8 * itemsize - 1)
    turned = elements << one | elements >> width if rotated else elements
    out[:] = (turned >> elements.dtype.type(8 * (itemsize - 1 - number))).astype(np.uint8)


def join_planes(planes: tuple[Plane, ...], itemsize: int, rotated: bool, out: Elements) -> None:
    eight, one, width = out.dtype.type(8), out.dtype.type(1), out.dtype.type(8 * itemsize - 1)
    turned = np.zeros(len(out), out.dtype)
    for plane in planes:
        turned = turned << eight | plane
    out[:] = turned >> one | turned << width if rotated else turned
