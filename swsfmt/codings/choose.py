"""Choices that the codings share, by exact cost: the code of a stream, and whether it gets restart points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..entropy.code_table import cheapest_code
from ..entropy.prefix_code import PrefixCode
from .common import Chunks, Stream, StreamKind

# Shorter streams decode faster than a thread starts; their files stay free of chunk tables.
_CHUNKED_SYMBOLS = 1 << 15
_CHUNK_CODE = 4
# Earlier tables that are tried, so that the time for a file stays in proportion to its tensors.
_LOOK_BACK = 64


def cheapest_stream(
    counts: npt.NDArray[np.int64], tables: Sequence[PrefixCode], huffman: bool, smooth: bool = False
) -> tuple[Stream, int]:
    """The cheapest code for these symbol counts, and the bits that it takes, its table or reference included.

    tables : the earlier code tables of the file.
    huffman : False allows fixed widths only.
    """
    fixed = PrefixCode.fixed(len(counts))
    best = (Stream(StreamKind.FIXED, fixed), fixed.cost(counts))
    if not huffman:
        return best
    code, size = cheapest_code(counts, smooth)
    if size < best[1]:
        best = (Stream(StreamKind.NEW_TABLE, code), size)
    for number in range(max(0, len(tables) - _LOOK_BACK), len(tables)):
        table = tables[number]
        if table.alphabet == len(counts) and table.covers(counts):
            size = 8 * (1 if number < 128 else 2 if number < 1 << 14 else 3) + table.cost(counts)
            if size < best[1]:
                best = (Stream(StreamKind.EARLIER_TABLE, table, number), size)
    return best


def chunks_for(symbols: int) -> Chunks:
    """Restart points for a stream of so many symbols, widths not yet set."""
    return Chunks(_CHUNK_CODE) if symbols >= _CHUNKED_SYMBOLS else Chunks()
