"""What an encoder asks to find classes of rows and columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import Classes, Indices, Labels, Symbols

# Elements that are looked at in one go.
_BLOCK = 1 << 16


def class_counts(symbols: Symbols, classes: Classes, alphabet: int, counts: Indices) -> None:
    rows, columns, _, column_classes = classes
    matrix = symbols.reshape(len(rows), len(columns))
    many = max(1, _BLOCK // len(columns))
    for first in range(0, len(rows), many):
        pair = rows[first : first + many, None].astype(np.int64) * column_classes + columns
        counts += np.bincount((pair * alphabet + matrix[first : first + many]).ravel(), minlength=len(counts))


def class_costs(symbols: Symbols, others: Labels, costs: npt.NDArray[np.int32], of_columns: bool, out: Indices) -> None:
    sums, of_class = out.reshape(-1, 8), costs.reshape(8, -1, 8)
    matrix = symbols.reshape(len(others), -1).T if of_columns else symbols.reshape(-1, len(others))
    many = max(1, _BLOCK // len(others))
    for first in range(0, len(matrix), many):
        for own in range(8):
            block = of_class[others, matrix[first : first + many], own]
            sums[first : first + many, own] += block.sum(axis=1, dtype=np.int64)
