"""The kernel in Python: to be read, and to run where C was not built. See `protocol.Kernels`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .protocol import Bytes, Floats, Integers

# Beyond it an int32 would not hold a level.
_LARGEST = float(1 << 30)
# Cost, what the weights become, whole error, levels so far.
_Path = tuple[np.float32, Floats, Floats, list[np.float32]]


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
    shape: tuple[int, int, int, int, int],
    levels: Integers,
) -> bool:
    rows, columns, column_kinds, reach, paths = shape
    table = lengths.reshape(-1, column_kinds, 2 * reach + 1)
    none = np.zeros(columns, np.uint8)
    for i in range(rows):
        row = _Row(
            steps[i] * steps[rows:],
            rates[i] * rates[rows:],
            [table[row_classes[i], kind] for kind in column_classes],
            reach,
            zeros.reshape(rows, columns)[i] if zeros.size else none,
            column_factor,
        )
        error = row.nearest(weights[i], levels[i]) if paths == 1 else row.search(weights[i], levels[i], paths)
        if error is None:
            return False
        if row_factor.size:
            shares = row_factor[i, i + 1 :] / row_factor[i, i]
            weights[i + 1 :] -= shares[:, None] * error
    return True


class _Row(NamedTuple):
    """steps, rates, bits, zeros : of its weights. What rounds it fills its levels and gives its whole error, or None
    where a level does not fit.
    """

    steps: Floats
    rates: Floats
    bits: list[Floats]
    reach: int
    zeros: Bytes
    column_factor: Floats

    def nearest(self, own: Floats, levels: Integers) -> Floats | None:
        """The best level of one weight after the other."""
        error = own.copy()
        for k in range(len(own)):
            level = np.float32(0)
            if not self.zeros[k]:
                level = _cheapest(own[k] / self.steps[k], self.rates[k], self.bits[k], self.reach)
            if not abs(level) <= _LARGEST:
                return None
            levels[k] = level
            made = level * self.steps[k]
            error[k] -= made
            self._feed(own, k, made)
        return error

    def search(self, own: Floats, levels: Integers, most: int) -> Floats | None:
        """The levels of least cost, of squared errors over rates and bits, that are found when the best `most` ways
        are kept after each weight. Of equals the first is.
        """
        paths: list[_Path] = [(np.float32(0), own.copy(), own.copy(), [])]
        for k in range(len(own)):
            branches = []
            for number, (cost, weights, _, _) in enumerate(paths):
                value = weights[k] / self.steps[k]
                near: np.float32 = np.rint(value)
                if not abs(near) < _LARGEST:
                    return None
                candidates = [near, near - np.float32(1), near + np.float32(1), np.float32(0)]
                for level in candidates[3:] if self.zeros[k] else candidates[: 3 if abs(near) <= 1 else 4]:
                    left = value - level
                    length = self.bits[k][int(np.clip(level, -self.reach, self.reach)) + self.reach]
                    branches.append((cost + (left * left / self.rates[k] + length), number, level))
            branches.sort(key=lambda branch: branch[0])
            after = []
            for cost, number, level in branches[:most]:
                _, weights, error, chosen = paths[number]
                weights, error = weights.copy(), error.copy()
                made = level * self.steps[k]
                error[k] -= made
                self._feed(weights, k, made)
                after.append((cost, weights, error, [*chosen, level]))
            paths = after
        levels[:] = paths[0][3]
        return paths[0][2]

    def _feed(self, weights: Floats, k: int, made: np.float32) -> None:
        """The error of one weight to those after it."""
        if self.column_factor.size:
            left = (weights[k] - made) / self.column_factor[k, k]
            weights[k + 1 :] -= left * self.column_factor[k, k + 1 :]


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
