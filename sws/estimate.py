"""The customary estimate of a compressed size: what papers report where no file is written.

It is here to be compared with the file, and takes part in nothing else. As in Han, Mao & Dally, "Deep Compression",
ICLR 2016, and Ullrich, Meeds & Welling, ICLR 2017, appendix: each weight matrix in compressed sparse row form with
relative column indices, every stream counted with its entropy in place of a code. Left out are the biases, code tables,
shapes, names, and the fillers among the values, without which the indices cannot be decoded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.integer[Any]]

_FLOAT = 32


@dataclass(frozen=True)
class Estimate:
    """Bits of one weight matrix: row pointers, relative column indices, component ids, means."""

    row_pointers: int
    column_indices: int
    values: int
    means: int

    @property
    def bits(self) -> int:
        return self.row_pointers + self.column_indices + self.values + self.means


def customary_estimate(ids: Ids, components: int, pbits: int, huffman: bool = True) -> Estimate:
    """The estimate for one layer.

    ids : component of each weight, shape (rows, columns); 0 is the zero component and is not stored
    components : J, of which J - 1 means are stored with 32 bits
    pbits : width of a column index; a longer distance is cut into pieces of 2**pbits - 1
    huffman : entropy of the streams, or their fixed widths
    """
    rows, columns = np.nonzero(ids)
    count = len(rows)
    # Distance to the entry before in the same row, for the first one to column 0.
    distances = np.diff(columns, prepend=0)
    first = np.diff(rows, prepend=-1) != 0
    distances[first] = columns[first]
    span = (1 << pbits) - 1
    fillers = np.maximum(distances - 1, 0) // span
    pieces = distances - fillers * span
    values = ids[rows, columns]
    if huffman:
        index_bits = _entropy_bits(np.concatenate([pieces, np.full(int(fillers.sum()), span)]))
        value_bits = _entropy_bits(values)
    else:
        index_bits = pbits * (count + int(fillers.sum()))
        value_bits = count * math.ceil(math.log2(max(2, components)))
    return Estimate(
        row_pointers=(ids.shape[0] + 1) * max(1, math.ceil(math.log2(max(count, 1) + 1))),
        column_indices=round(index_bits),
        values=round(value_bits),
        means=_FLOAT * (components - 1),
    )


def _entropy_bits(symbols: Ids) -> float:
    """Length of a stream of independent symbols, each coded with its share in the stream."""
    _, counts = np.unique(symbols, return_counts=True)
    return float(-(counts * np.log2(counts / counts.sum())).sum()) if len(counts) else 0.0
