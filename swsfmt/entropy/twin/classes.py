"""What an encoder asks to find classes of rows and columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import Indices, Labels, Symbols

# Elements that are looked at in one go.
_BLOCK = 1 << 16


def class_counts(
    symbols: Symbols,
    rows: Labels,
    columns: Labels,
    row_classes: int,
    column_classes: int,
    alphabet: int,
    counts: Indices,
) -> None:
    matrix = symbols.reshape(len(rows), len(columns))
    many = max(1, _BLOCK // len(columns))
    for first in range(0, len(rows), many):
        pair = rows[first : first + many, None].astype(np.int64) * column_classes + columns
        counts += np.bincount((pair * alphabet + matrix[first : first + many]).ravel(), minlength=len(counts))


def class_costs(
    symbols: Symbols, others: Labels, costs: npt.NDArray[np.int32], of_columns: bool, out: Indices
) -> None:
    sums = out.reshape(-1, 8)
    of_class = costs.reshape(8, -1, 8)
    matrix = symbols.reshape(len(others), -1) if of_columns else symbols.reshape(-1, len(others)).T
    many = max(1, _BLOCK // matrix.shape[1])
    for first in range(0, len(others), many):
        block, labels = matrix[first : first + many], others[first : first + many, None]
        for own in range(8):
            sums[:, own] += of_class[labels, block, own].sum(axis=0, dtype=np.int64)
