"""What the kernels of levels and scales are: a part of `protocol.Kernels`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from .arrays import Elements, Indices
from .arrays import Reals as Reals

# A number of `swsfmt.entropy.scaled.Operation`, the values, and the length of a block in each dimension.
ScaledFactor = tuple[int, Reals, Indices]


class ScaledKernels(Protocol):
    """See `protocol.Kernels` for what holds for all of them."""

    def dequantize(
        self,
        levels: Elements,
        dtype: int,
        table: Reals,
        shape: Indices,
        first: int,
        factors: tuple[ScaledFactor, ...],
        kind: int,
        each: bool,
        out: Elements,
        /,
    ) -> None:
        """Levels of elements `first` to first + len(out) - 1 of a tensor of that shape, with all factors in order.

        dtype, kind : ids of the dtypes of the levels and of `out`: F16, BF16, F32 or F64. For F64 all numbers are
            float64, else float32
        table : what each byte is, for a dtype of levels that is a float of one byte
        each : whether each operation is rounded to `kind`
        """
        ...

    def grid_steps(
        self,
        elements: Elements,
        kind: int,
        columns: int,
        block: int,
        affine: bool,
        most: int,
        steps: npt.NDArray[np.float32],
        offsets: npt.NDArray[np.float32],
        /,
    ) -> int:
        """For each block of a row of `columns` elements the largest float of which all are multiples, up to `most`.

        kind : id of the dtype of the elements, F16, BF16 or F32
        affine : of the elements less an offset, which is found too
        Returns how many blocks have one, before the first that has none. 0 stands for any.
        """
        ...

    def grid_levels(
        self,
        elements: Elements,
        kind: int,
        columns: int,
        row_block: int,
        column_block: int,
        steps: npt.NDArray[np.float32],
        offsets: npt.NDArray[np.float32],
        first: int,
        out: npt.NDArray[np.int32],
        /,
    ) -> None:
        """The multiple of its step that each element less its offset is nearest to; 0 for one that is none.

        columns, row_block, column_block : of a matrix with these elements, number `first` at first, and of its blocks
        offsets : empty where there are none
        """
        ...
