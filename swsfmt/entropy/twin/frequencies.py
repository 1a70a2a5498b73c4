"""Tables of frequencies: levels on a scale of four steps an octave, and the shares that they stand for (spec 6.8)."""

from __future__ import annotations

from bitarray import bitarray

from ...errors import PayloadError
from ..bits import BitReader
from ..protocol import Symbols

LEVELS = 49


def tables(reader: BitReader, row_classes: int, column_classes: int, width: int, out: Symbols) -> None:
    """All tables, flat; raises what the reader has for bits that the kernel refuses."""
    frequencies = out.reshape(row_classes * column_classes, -1)
    levels: list[list[int]] = []
    for number in range(len(frequencies)):
        # That of the class of columns before, or of rows for the first class of columns.
        back = 1 if number % column_classes else column_classes
        above = levels[number - back] if number else [0] * frequencies.shape[1]
        levels.append(_levels(reader, above))
        frequencies[number] = _shares(reader, levels[-1], 1 << width)


def _levels(reader: BitReader, above: list[int]) -> list[int]:
    """The levels of a table. above : those of the table before."""
    own = []
    left = corner = 0
    for up in above:
        n = reader.gamma("a table of frequencies")
        if left == 0 and up == 0:
            left = n - 1
        else:
            foretold = min(max(left + up - corner, min(left, up)), max(left, up))
            left = foretold + (-(n // 2) if n % 2 else n // 2)
        if not 0 <= left < LEVELS:
            raise reader.fail(f"a table of frequencies has the level {left}, not within 0 to {LEVELS - 1}")
        own.append(left)
        corner = up
    return own


def _shares(reader: BitReader, levels: list[int], slots: int) -> list[int]:
    """So many slots, cut into shares: 0 for level 0, else at least 1."""
    weights = [level if level < 8 else (4 + level % 4) << (level // 4 - 1) for level in levels]
    total, used = sum(weights), sum(level > 0 for level in levels)
    if not 1 <= used <= slots:
        raise reader.fail(f"a table of frequencies has {used} symbols, {slots} slots")
    shares = []
    start = number = before = 0
    for level, weight in zip(levels, weights, strict=True):
        number += level > 0
        before += weight
        end = number + (slots - used) * before // total
        shares.append(end - start)
        start = end
    return shares


def read_frequencies(
    bits: bitarray, start: int, stop: int, row_classes: int, column_classes: int, width: int, out: Symbols
) -> int | None:
    reader = BitReader(bits if stop == len(bits) else bits[:stop], PayloadError)
    reader.position = start
    try:
        tables(reader, row_classes, column_classes, width, out)
    except PayloadError:
        return None
    return reader.position
