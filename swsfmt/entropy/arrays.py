"""What the arrays of the coders hold, and elements as kernels want them."""

from __future__ import annotations

from typing import Any, TypeVar

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

T = TypeVar("T", bound=np.generic)


def aligned(elements: npt.NDArray[T]) -> npt.NDArray[T]:
    """In one piece, at an address that their size divides: those of a raw part, or of a user, lie anywhere."""
    return np.require(elements, requirements=["C_CONTIGUOUS", "ALIGNED"])
