"""The kernel in Python: to be read, and to run where C was not built. See `protocol.Kernels`."""

from __future__ import annotations

import numpy as np

from .protocol import Bytes, Floats, Integers

# Beyond it an int32 would not hold a level.
_LARGEST = float(1 << 30)


def quantize_tile(
    weights: Floats,
    column_factor: Floats,
    row_factor: Floats,
    steps: Floats,
    rates: Floats,
    row_classes: Bytes,
    column_classes: Bytes,
    lengths: Floats,
    zeros: Bytes,
    shape: tuple[int, int, int, int],
    levels: Integers,
) -> bool:
    rows, columns, column_kinds, reach = shape
    table = lengths.reshape(-1, column_kinds, 2 * reach + 1)
    for i in range(rows):
        own, error = weights[i], weights[i].copy()
        for k in range(columns):
            step, rate = steps[i] * steps[rows + k], rates[i] * rates[rows + k]
            if zeros.size and zeros.reshape(rows, columns)[i, k]:
                level = np.float32(0)
            else:
                level = _cheapest(own[k] / step, rate, table[row_classes[i], column_classes[k]], reach)
            if not abs(level) <= _LARGEST:
                return False
            levels[i, k] = level
            made = level * step
            error[k] -= made
            if column_factor.size:
                left = (own[k] - made) / column_factor[k, k]
                own[k + 1 :] -= left * column_factor[k, k + 1 :]
        if row_factor.size:
            shares = row_factor[i, i + 1 :] / row_factor[i, i]
            weights[i + 1 :] -= shares[:, None] * error
    return True


def _cheapest(value: np.float32, rate: np.float32, bits: Floats, reach: int) -> np.float32:
    """The level of least squared error and rate, among the three nearest and zero. The first of equals is taken."""
    near: np.float32 = np.rint(value)
    if rate == 0:
        return near
    candidates = np.array([near, near - np.float32(1), near + np.float32(1), 0], np.float32)
    own = bits[np.clip(candidates, -reach, reach).astype(np.int64) + reach]
    error = value - candidates
    costs = error * error + rate * own
    best: np.float32 = candidates[np.argmin(costs)]
    return best
