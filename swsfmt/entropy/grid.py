"""The steps of floats that are whole multiples of one, block by block: what the kernel takes, in parts for threads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits, DType
from . import backend
from .kernels import in_parts

# Elements of a part that is worth a thread.
_PART = 1 << 16
_NONE = np.zeros(0, np.float32)

Steps = npt.NDArray[np.float32]


def steps_of(
    elements: Bits, dtype: DType, columns: int, block: int, affine: bool, most: int, threads: int = 1
) -> tuple[Steps, Steps] | None:
    """For each block of a row of `columns` elements of F16, BF16 or F32 the largest step that all are multiples of.

    affine : the elements less an offset, of F32
    most : the greatest multiple
    Returns steps, 0 for a block that needs none, and offsets, in order; None where a block has no step.
    """
    data = np.require(elements, requirements=["C", "A"])
    rows, of_row = len(data) // columns, -(-columns // block)
    steps, offsets = np.zeros(rows * of_row, np.float32), np.zeros(rows * of_row, np.float32)

    def part(first: int, last: int) -> bool:
        own = slice(first * of_row, last * of_row)
        found = backend.kernels.grid_steps(
            data[first * columns : last * columns], dtype.id, columns, block, affine, most, steps[own], offsets[own]
        )
        return found == (last - first) * of_row

    parts = in_parts(part, rows, threads, max(1, _PART // columns))
    return (steps, offsets) if all(parts) else None


def levels_of(
    elements: Bits,
    dtype: DType,
    columns: int,
    blocks: tuple[int, int],
    steps: Steps,
    offsets: Steps | None,
    first: int,
) -> npt.NDArray[np.int32]:
    """The multiple of its step that each element less its offset is nearest to.

    columns : of a matrix that the elements are of, from number `first` on. blocks : rows and columns of each block
    """
    data = np.require(elements, requirements=["C", "A"])
    out = np.empty(len(data), np.int32)
    own = _NONE if offsets is None else offsets
    backend.kernels.grid_levels(data, dtype.id, columns, *blocks, steps, own, first, out)
    return out
