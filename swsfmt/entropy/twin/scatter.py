"""Elements of a sparse tensor to their places."""

from __future__ import annotations

import numpy as np
from bitarray import bitarray

from ...errors import PayloadError
from ..protocol import Code, Elements, Indices, Symbols
from .streams import Decoder

# Gap symbols that are placed in one go: an index takes 8 bytes.
_BLOCK = 1 << 18


def _positions(gaps: Symbols, skip: int, position: int) -> tuple[Indices, int]:
    """Of the entries of these gap symbols, from `position` on, and the position after all of them."""
    is_entry = gaps != skip
    after = np.cumsum(gaps + is_entry.astype(np.int64)) + position
    return after[is_entry] - 1, int(after[-1]) if len(after) else position


def _places(positions: Indices, line_length: int, line_offsets: Indices, place_offsets: Indices) -> Indices:
    """Where positions lie in the tensor."""
    if len(line_offsets) == 0:
        return positions
    line, place = np.divmod(positions, line_length)
    return line_offsets[line] + place_offsets[place]


def scatter(
    gaps: Symbols,
    skip: int,
    elements: Elements,
    itemsize: int,
    position: int,
    lines: int,
    line_length: int,
    line_offsets: Indices,
    place_offsets: Indices,
    out: Elements,
) -> int | None:
    entries = int(np.count_nonzero(gaps != skip))
    if entries != len(elements) or position + entries + int(gaps.sum(dtype=np.int64)) > lines * line_length:
        return None
    done = 0
    for start in range(0, len(gaps), _BLOCK):
        positions, position = _positions(gaps[start : start + _BLOCK], skip, position)
        places = _places(positions, line_length, line_offsets, place_offsets)
        out[places] = elements[done : done + len(places)]
        done += len(places)
    return position


def decode_sparse(
    bits: bitarray,
    gap_code: Code,
    value_code: Code,
    elements: Elements,
    itemsize: int,
    starts: Indices,
    chunk: int,
    entries: int,
    first: int,
    last: int,
    lines: int,
    line_length: int,
    line_offsets: Indices,
    place_offsets: Indices,
    clear: bool,
    in_order: bool,
    out: Elements,
) -> tuple[int, int]:
    of_gaps, of_values, skip = Decoder(gap_code), Decoder(value_code), len(gap_code[1]) - 1
    cuts, gap_symbols = starts[first : last + 1].tolist(), 0
    if clear:
        out[cuts[0][2] : cuts[-1][2]] = 0
    for number in range(first, last):
        gap_start, value_start, position = cuts[number - first]
        ends = cuts[number - first + 1]
        count = min(chunk, entries - number * chunk)
        try:
            gaps, gap_end = of_gaps.gaps(bits, gap_start, ends[0], count)
            own, value_end = elements[number * chunk : number * chunk + count], value_start
            if not in_order:
                values, value_end = of_values.symbols(bits, value_start, ends[1], count)
                own = elements[values]
        except PayloadError:
            return number, gap_symbols
        positions, position = _positions(gaps, skip, position)
        if [gap_end, value_end, position] != ends:
            return number, gap_symbols
        out[_places(positions, line_length, line_offsets, place_offsets)] = own
        gap_symbols += len(gaps)
    return -1, gap_symbols
