"""Elements that stand elsewhere, and their places: what the kernels take and give as arrays, in parts for threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import backend
from .arrays import aligned
from .kernels import Elements, in_parts
from .protocol import Mask

# Elements of a part that is worth a thread.
_PART = 1 << 18


def count_marks(elements: Elements, mark: int, threads: int = 1) -> int:
    """How many elements are the mark."""
    data, kernels = aligned(elements), backend.kernels
    return sum(in_parts(lambda i, j: kernels.count_marks(data[i:j], data.itemsize, mark), len(data), threads, _PART))


def fill_marks(out: Elements, mark: int, values: Elements, threads: int = 1) -> int:
    """Each element of `out` that is the mark becomes the next of the values, while there are any.

    Returns how many marks there were.
    """

    def fill(first: int, last: int, own: Elements) -> int:
        return backend.kernels.fill_marks(out[first:last], out.itemsize, mark, own)

    return _in_order(lambda i, j: backend.kernels.count_marks(out[i:j], out.itemsize, mark), fill, out, values, threads)


def spread(mask: Mask, values: Elements, out: Elements, threads: int = 1) -> int:
    """The next of the values into `out` where the mask is 1, while there are any, and zero elsewhere.

    Returns how many ones the mask has.
    """
    marks, vectors = np.ascontiguousarray(mask), backend.vectors

    def place(first: int, last: int, own: Elements) -> int:
        return backend.kernels.spread(marks[first:last], own, out.itemsize, vectors, out[first:last])

    return _in_order(lambda i, j: backend.kernels.count_marks(marks[i:j], 1, 1), place, out, values, threads)


def _in_order(
    count: Callable[[int, int], int],
    place: Callable[[int, int, Elements], int],
    out: Elements,
    values: Elements,
    threads: int,
) -> int:
    """Place the values in parts, each of which starts with the value that follows those of the parts before."""
    own = aligned(values)
    if threads <= 1:
        return place(0, len(out), own)
    parts = in_parts(lambda i, j: [(i, j, count(i, j))], len(out), threads, _PART)
    starts, marks = {}, 0
    for [(first, _, many)] in parts:
        starts[first] = marks
        marks += many
    in_parts(lambda i, j: place(i, j, own[starts[i] :]), len(out), threads, _PART)
    return marks


def keep(elements: Elements, values: Elements, mark: int, threads: int = 1) -> tuple[Elements, int]:
    """Those elements that are among the values (at most 4096) as they are, the mark for all others.

    Returned with how many others there are.
    """
    data, keys = np.ascontiguousarray(elements), values.astype(np.uint64)
    out, kernels = np.empty(len(data), data.dtype), backend.kernels

    def part(first: int, last: int) -> int:
        return kernels.keep(data[first:last], data.itemsize, keys, mark, out[first:last])

    return out, sum(in_parts(part, len(data), threads, _PART))


def gather(mask: Mask, elements: Elements, count: int) -> Elements | None:
    """The `count` elements where the mask is 1; None where these are not so many."""
    data, out = np.ascontiguousarray(elements), np.empty(count, elements.dtype)
    return out if backend.kernels.gather(mask, data, data.itemsize, out) == count else None
