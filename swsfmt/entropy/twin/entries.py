"""The entries of a matrix of symbols, the gaps between them, and the symbols of these."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import Indices, Symbols

# Elements whose gaps are looked at in one go; an index takes 8 bytes.
_BLOCK = 1 << 18


def line_entries(
    symbols: Symbols, starts: Indices, numbers: npt.NDArray[np.int32], fresh: bool
) -> tuple[Indices, Symbols, int]:
    flat = symbols.reshape(-1)
    where = np.flatnonzero(flat != 0)
    line = where // symbols.shape[1]
    place = where - line * symbols.shape[1]
    if len(numbers):
        place = numbers[place]
    positions = starts[line] + place
    last = -1
    gaps = np.diff(positions, prepend=last) - 1
    if fresh:
        first = np.diff(line, prepend=-1) > 0
        gaps[first] = place[first]
        last = int(starts[-1]) - 1
    if len(positions):
        last = max(last, int(positions[-1]))
    return gaps, flat[where] - np.uint16(1), last


def line_gaps(
    symbols: Symbols,
    columns: int,
    window: tuple[int, int, int, int],
    lines_are_columns: bool,
    numbers: npt.NDArray[np.int32],
    counts: Indices,
    others: Indices,
    lines: Indices,
) -> int:
    top, bottom, left, right = window
    part = symbols.reshape(-1, columns)[top:bottom, left:right]
    part, first = (part.T, top) if lines_are_columns else (part, left)
    firsts, lasts, entries = lines
    listed = 0
    width = max(1, _BLOCK // max(1, len(part)))
    for start in range(0, part.shape[1], width):
        line, place = np.nonzero(part[:, start : start + width])
        if len(line) == 0:
            continue
        place += first + start
        if len(numbers):
            place = numbers[place].astype(np.int64)
        heads = np.flatnonzero(np.diff(line, prepend=-1))
        before = np.concatenate([[-1], place[:-1]])
        before[heads] = lasts[line[heads]]
        new = before < 0
        firsts[line[new]] = place[new]
        tails = np.append(heads[1:], len(line)) - 1
        lasts[line[tails]] = place[tails]
        entries += np.bincount(line, minlength=len(part))
        gaps = (place - before - 1)[~new]
        counts += np.bincount(gaps[gaps < len(counts)], minlength=len(counts))
        long = gaps[gaps >= len(counts)]
        others[listed : listed + len(long)] = long
        listed += len(long)
    return listed


def gap_symbols(gaps: Indices, pbits: int) -> Symbols:
    skip = (1 << pbits) - 1
    skips, rest = np.divmod(gaps, skip)
    symbols = np.full(int(skips.sum()) + len(gaps), skip, np.uint16)
    symbols[np.arange(len(gaps)) + np.cumsum(skips)] = rest
    return symbols


def gap_chunks(symbols: Symbols, skip: int, lengths: npt.NDArray[np.uint8], chunk: int) -> Indices:
    is_entry = symbols != skip
    where = np.flatnonzero(is_entry)
    last = where[np.minimum(np.arange(chunk, len(where) + chunk, chunk), len(where)) - 1]
    bits, steps = lengths[symbols].astype(np.int64), symbols.astype(np.int64) + is_entry
    return np.stack([np.diff(np.cumsum(amounts)[last], prepend=0) for amounts in (bits, steps)], axis=1)
