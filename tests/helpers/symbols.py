"""Symbols as the kernels have them."""

from __future__ import annotations

import numpy as np


def symbols_of(*values: int) -> np.ndarray:
    return np.array(values, np.uint16)
