"""Interleaved rANS with a table of frequencies for each pair of classes (spec 6.8), symbol by symbol."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import Classes, Elements, Indices, Labels, Symbols

_LOW = 1 << 16


def rans_decode(
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
) -> int:
    rows, columns, row_classes, column_classes = classes
    tables = frequencies.reshape(row_classes * column_classes, -1).astype(np.int64)
    symbol_of_slot = [np.repeat(np.arange(len(table)), table).tolist() for table in tables]
    frequency, start = tables.tolist(), (np.cumsum(tables, axis=1) - tables).tolist()
    matrix = out[: len(rows) * len(columns)].reshape(len(rows), len(columns))
    mask = (1 << bits) - 1
    for number in range(first, last):
        labels = rows[number * chunk : (number + 1) * chunk]
        code = bytes(data[starts[number] : starts[number + 1]])
        if len(code) < 4 * lanes or len(code) % 2:
            return number
        states = np.frombuffer(code, "<u4", lanes).tolist()
        if min(states) < _LOW:
            return number
        words = iter(np.frombuffer(code, "<u2", offset=4 * lanes).tolist())
        order, pairs = _order(labels, columns, column_classes)
        symbols = []
        try:
            for k, pair in enumerate(pairs.tolist()):
                state = states[k % lanes]
                slot = state & mask
                symbol = symbol_of_slot[pair][slot]
                state = frequency[pair][symbol] * (state >> bits) + slot - start[pair][symbol]
                if state < _LOW:
                    state = state << 16 | next(words)
                states[k % lanes] = state
                symbols.append(symbol)
        except StopIteration:
            return number
        if set(states) != {_LOW} or next(words, None) is not None:
            return number
        matrix[number * chunk + order] = elements[np.array(symbols)].reshape(len(labels), len(columns))
    return -1


def rans_encode(
    symbols: Symbols,
    classes: Classes,
    frequencies: Symbols,
    bits: int,
    lanes: int,
) -> bytes | None:
    rows, columns, row_classes, column_classes = classes
    tables = frequencies.reshape(row_classes * column_classes, -1).astype(np.int64)
    frequency, start = tables.tolist(), (np.cumsum(tables, axis=1) - tables).tolist()
    states, words = [_LOW] * lanes, []
    order, pairs = _order(rows, columns, column_classes)
    sequence = symbols.reshape(len(rows), len(columns))[order].reshape(-1)
    for k, (pair, symbol) in enumerate(zip(pairs[::-1].tolist(), sequence[::-1].tolist(), strict=True), 1):
        share, lane = frequency[pair][symbol], (len(sequence) - k) % lanes
        if share == 0:
            return None
        state = states[lane]
        if state >= share << 32 - bits:
            words.append(state % _LOW)
            state >>= 16
        states[lane] = (state // share << bits) + state % share + start[pair][symbol]
    return np.array(states, "<u4").tobytes() + np.array(words[::-1], "<u2").tobytes()


def _order(rows: Labels, columns: Labels, column_classes: int) -> tuple[Indices, npt.NDArray[np.int64]]:
    """The rows of a chunk, class by class, and the number of the pair of classes of each element in that order."""
    order = np.argsort(rows, kind="stable")
    pairs = rows[order].astype(np.int64)[:, None] * column_classes + columns
    return order, pairs.reshape(-1)
