"""The symbols of a matrix <-> bytes, with static frequencies for each pair of classes of lines (spec 6.8)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ChangedError, PayloadError
from ..parallel import in_parallel
from . import backend
from .kernels import in_parts
from .protocol import Elements, Indices, Labels, Symbols

MAX_LANES = 64
MAX_ALPHABET = 1024
MIN_BITS, MAX_BITS = 10, 12
MAX_CLASSES = 8
MAX_ROWS = 1 << 31
# Where the costs of lines in classes are asked for, none is above.
MAX_COST = 1 << 15

# What a symbol takes where the twin is at work, in microseconds.
_TWIN = 1
# Elements that a thread must have to count.
_PART = 1 << 18


class Classes(NamedTuple):
    """rows, columns : the class of each row and column of a matrix, uint8.
    row_classes, column_classes : how many there are, 1 to `MAX_CLASSES`; all labels are below.
    """

    rows: Labels
    columns: Labels
    row_classes: int
    column_classes: int


def decode(
    data: bytes | memoryview,
    starts: Indices,
    chunk: int,
    classes: Classes,
    frequencies: Symbols,
    bits: int,
    lanes: int,
    elements: Elements,
    out: Elements,
    threads: int = 1,
) -> None:
    """Decode a matrix of which each `chunk` rows are a chunk.

    starts : int64 of shape (chunks + 1,), ascending, the byte where each chunk starts and the last one ends
    frequencies : uint16 of shape (row classes, column classes, alphabet), each table with the sum 2**bits
    elements : one for each symbol of the alphabet. out : flat, of their dtype, as many as the matrix has.
    Raises `PayloadError` for bytes that `encode` does not write; then `out` may hold anything.
    """
    backend.warn_if_slow(_TWIN * len(out))
    kernels, vectors, tables = backend.kernels, backend.vectors, np.ascontiguousarray(frequencies, np.uint16)

    def part(first: int, last: int) -> int:
        return kernels.rans_decode(
            data,
            starts,
            chunk,
            first,
            last,
            classes,
            tables,
            bits,
            lanes,
            elements,
            elements.itemsize,
            vectors,
            out,
        )

    # Each part makes its tables; what a thread has to do is worth that.
    for bad in in_parts(part, len(starts) - 1, threads, 2):
        if bad >= 0:
            raise PayloadError(f"the code of chunk {bad} is not the one that an encoder writes")


def encode(
    symbols: Symbols, chunk: int, classes: Classes, frequencies: Symbols, bits: int, lanes: int, threads: int = 1
) -> list[bytes]:
    """The code of each chunk of `chunk` rows of a matrix of symbols, shape (rows, columns).

    Raises `ChangedError` for a symbol that has no frequency: they were made for all of them.
    """
    backend.warn_if_slow(_TWIN * symbols.size)
    data, kernels, tables = np.ascontiguousarray(symbols), backend.kernels, np.ascontiguousarray(frequencies, np.uint16)

    def part(first: int) -> bytes:
        own = classes._replace(rows=classes.rows[first : first + chunk])
        code = kernels.rans_encode(data[first : first + chunk], own, tables, bits, lanes)
        if code is None:
            raise ChangedError
        return code

    return in_parallel(part, range(0, len(data), chunk), threads=threads)


def counts(symbols: Symbols, classes: Classes, alphabet: int, threads: int = 1) -> Indices:
    """How often each symbol of a matrix, shape (rows, columns), occurs in each pair of classes.

    Returns int64 of shape (row classes, column classes, alphabet).
    """
    shape = classes.row_classes, classes.column_classes, alphabet
    data, kernels = np.ascontiguousarray(symbols), backend.kernels

    def part(first: int, last: int) -> Indices:
        own = np.zeros(shape, np.int64)
        if last > first:
            part_of = classes._replace(rows=classes.rows[first:last])
            kernels.class_counts(data[first:last], part_of, alphabet, own.reshape(-1))
        return own

    first, *others = in_parts(part, len(data), threads, -(-_PART // data.shape[1]))
    for own in others:
        first += own
    return first


def row_costs(symbols: Symbols, columns: Labels, costs: npt.NDArray[np.int32], threads: int = 1) -> Indices:
    """What each row of a matrix would cost in each of eight classes: int64 of shape (rows, 8).

    columns : the class of each column
    costs : of an element, at most `MAX_COST`, by the class of its column, its symbol, and the class of the row: int32
        of shape (8, alphabet, 8)
    """
    data, kernels = np.ascontiguousarray(symbols), backend.kernels

    def part(first: int, last: int) -> Indices:
        out = np.zeros((last - first, MAX_CLASSES), np.int64)
        if last > first:
            kernels.class_costs(data[first:last], columns, costs, False, out)
        return out

    return np.concatenate(in_parts(part, len(data), threads, -(-_PART // data.shape[1])))


def column_costs(symbols: Symbols, rows: Labels, costs: npt.NDArray[np.int32]) -> Indices:
    """The same of the columns: int64 of shape (columns, 8).

    rows : the class of each row. costs : by the class of its row, its symbol, and the class of the column
    """
    data = np.ascontiguousarray(symbols)
    out = np.zeros((data.shape[1], MAX_CLASSES), np.int64)
    backend.kernels.class_costs(data, rows, costs, True, out)
    return out
