"""Weights to measure with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

VALUES = 16


def weights(count: int, density: float, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """A matrix of normal weights in 16 values, the least frequent ones outside, and its ids; 0 is zero."""
    random = np.random.default_rng(seed)
    values = np.concatenate([[0], np.linspace(-1, 1, VALUES)]).astype(np.float32)
    ids = np.clip(np.rint(random.normal(VALUES / 2 + 0.5, 3, count)), 1, VALUES).astype(np.uint8)
    if density < 1:
        ids[random.random(count) >= density] = 0
    ids = ids[: count // 1000 * 1000].reshape(-1, 1000)
    return values[ids], ids
