"""Elements that stand elsewhere: the places where they belong are the marks of a mask, or elements that are a mark."""

from __future__ import annotations

import numpy as np

from ..protocol import Elements, Mask


def count_marks(elements: Elements, itemsize: int, mark: int) -> int:
    return int(np.count_nonzero(elements == elements.dtype.type(mark)))


def fill_marks(out: Elements, itemsize: int, mark: int, values: Elements) -> int:
    places = np.flatnonzero(out == out.dtype.type(mark))
    out[places[: len(values)]] = values[: len(places)]
    return len(places)


def spread(mask: Mask, values: Elements, itemsize: int, vectors: bool, out: Elements) -> int:
    places = np.flatnonzero(mask)
    out[:] = 0
    out[places[: len(values)]] = values[: len(places)]
    return len(places)


def gather(mask: Mask, elements: Elements, itemsize: int, out: Elements) -> int:
    places = np.flatnonzero(mask)
    out[: len(places)] = elements[places[: len(out)]]
    return len(places)
