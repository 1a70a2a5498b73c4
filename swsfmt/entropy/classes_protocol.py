"""What the kernels of static codes for classes of rows and columns are: a part of `protocol.Kernels`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from .arrays import Elements, Indices, Labels, Symbols

# The class of each row, that of each column, and how many of both there are: `rans.Classes`.
Classes = tuple[Labels, Labels, int, int]


class ClassesKernels(Protocol):
    """See `protocol.Kernels` for what holds for all of them."""

    def rans_decode(
        self,
        data: bytes | memoryview,
        starts: Indices,
        chunk: int,
        first: int,
        last: int,
        classes: Classes,
        frequencies: Symbols,
        bits: int,
        lanes: int,
        elements: Elements,
        itemsize: int,
        vectors: bool,
        out: Elements,
        /,
    ) -> int:
        """See `rans.decode`: chunks first to last - 1 into `out`, which is of all of them.

        elements : of 1, 2, 4 or 8 bytes
        vectors : whether it may use instructions that only some processors have; the result is the same
        Returns -1, or a chunk whose bytes are not what `rans_encode` makes of its symbols.
        """
        ...

    def rans_encode(
        self, symbols: Symbols, classes: Classes, frequencies: Symbols, bits: int, lanes: int, /
    ) -> bytes | None:
        """The code of one chunk, see `rans.encode`; None where a symbol has no frequency."""
        ...

    def class_counts(self, symbols: Symbols, classes: Classes, alphabet: int, counts: Indices, /) -> None:
        """See `rans.counts`: they are added to `counts`."""
        ...

    def class_costs(
        self, symbols: Symbols, others: Labels, costs: npt.NDArray[np.int32], of_columns: bool, out: Indices, /
    ) -> None:
        """See `rans.row_costs`, or `rans.column_costs`: they are added to `out`, shape (lines, 8).

        others : the class of each column, or of each row
        """
        ...

    def read_frequencies(
        self, bits: bitarray, start: int, stop: int, row_classes: int, column_classes: int, width: int, out: Symbols, /
    ) -> int | None:
        """The tables of frequencies of all pairs of classes, from bit `start` on (spec 6.8).

        width : a table has the sum 2**width. out : flat, of all tables.
        Returns the bit after them; None where bits `start` to stop - 1 do not hold them.
        """
        ...
