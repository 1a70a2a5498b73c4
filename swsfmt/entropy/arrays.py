"""What the arrays of the coders hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Symbols = npt.NDArray[np.uint16]
Elements = npt.NDArray[np.unsignedinteger[Any]]
Indices = npt.NDArray[np.int64]
Live = npt.NDArray[np.bool_]
# Classes of rows and columns, and other small numbers.
Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
# A field of each element.
Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Reals = npt.NDArray[np.float32] | npt.NDArray[np.float64]
