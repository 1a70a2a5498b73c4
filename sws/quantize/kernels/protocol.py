"""What the kernel is: its arguments, its result. C (`_native`) and Python (`twin`) are held to this by mypy."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]


class Kernels(Protocol):
    """All arrays are contiguous."""

    def quantize_tile(
        self,
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
        /,
    ) -> bool:
        """Levels of a tile of a matrix, with the error of each weight made good by those after it.

        weights : (rows, columns), which it overwrites
        column_factor, row_factor : U and V, upper triangular, (columns, columns) and (rows, rows), see
            `sws.quantize.factors`; or empty where columns or rows do not know of each other
        steps, rates : those of the rows, then those of the columns; a weight has the product of both
        row_classes, column_classes : which code each row and column has
        lengths : (row classes, column classes, 2 * reach + 1), bits of levels -reach to reach
        zeros : (rows, columns), 1 where a weight must stay zero; or empty
        shape : rows, columns, column classes, reach, and how many ways to round the weights of a row are kept while
            the best is looked for, 1 to 64: the M-algorithm (Anderson and Mohan, IEEE Transactions on Communications
            32(2), 1984) on the cost of all of them, squared errors over rates and bits. 1 takes for one weight after
            the other what is best for it
        levels : (rows, columns), filled
        Returns whether all levels fit in an int32. The rate 0 rounds to the nearest level, for one way alone.
        """
        ...
