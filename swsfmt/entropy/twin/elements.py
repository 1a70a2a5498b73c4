"""The elements of a tensor: which ones occur, and the symbol of each."""

from __future__ import annotations

import numpy as np

from ..protocol import Elements, Indices, Raw, Symbols

# Elements that are looked at in one go, and those that are looked at first.
_BLOCK = 1 << 20
_SAMPLE = 1 << 14


def distinct(elements: Elements, itemsize: int, most: int) -> Raw | None:
    # A tensor whose first elements are all different is not worth a sort of the rest.
    values = np.unique(elements[:_SAMPLE])
    for start in range(_SAMPLE, len(elements), _BLOCK):
        if len(values) > most:
            break
        values = np.union1d(values, elements[start : start + _BLOCK])
    return values.astype(np.uint64) if len(values) <= most else None


def symbols(elements: Elements, itemsize: int, values: Elements, out: Symbols, counts: Indices) -> bool:
    keys = values.astype(elements.dtype)
    for start in range(0, len(elements), _BLOCK):
        block = elements[start : start + _BLOCK]
        places = np.minimum(np.searchsorted(keys, block), len(keys) - 1)
        if not np.array_equal(keys[places], block):
            return False
        out[start : start + _BLOCK] = places
        counts += np.bincount(places, minlength=len(keys))
    return True


def keep(elements: Elements, itemsize: int, values: Elements, mark: int, out: Elements) -> int:
    keys, others = np.sort(values.astype(elements.dtype)), 0
    for start in range(0, len(elements), _BLOCK):
        block = elements[start : start + _BLOCK].copy()
        places = np.minimum(np.searchsorted(keys, block), len(keys) - 1)
        is_other = keys[places] != block if len(keys) else np.ones(len(block), np.bool_)
        block[is_other] = mark
        out[start : start + _BLOCK] = block
        others += int(np.count_nonzero(is_other))
    return others
