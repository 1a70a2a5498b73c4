"""The entries of a matrix of symbols, the gaps between them, and the symbols of these."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..protocol import GapCounts, Indices, Raw, Symbols

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


def head_gaps(
    lines: Indices,
    start: int,
    length: int,
    state: Indices,
    live: npt.NDArray[np.bool_],
    counts: Indices,
    others: Indices,
) -> None:
    live[:] = lines[2] > 0
    line = np.flatnonzero(live)
    if len(line) == 0:
        return
    firsts, lasts, entries = lines[:, line]
    begins = np.stack([np.zeros_like(line), (start + line) * length, (state[3] + np.arange(len(line))) * length])
    ends = begins + lasts + 1
    before = np.concatenate([state[:3, None], ends[:, :-1]], axis=1)
    before[0] = 0
    for way, gaps in enumerate(begins + firsts - before):
        is_long = gaps >= counts.shape[1]
        counts[way] += np.bincount(gaps[~is_long], minlength=counts.shape[1])
        long = gaps[is_long]
        others[way, state[5 + way] : state[5 + way] + len(long)] = long
        state[5 + way] += len(long)
    state[:3] = ends[:, -1]
    state[3] += len(line)
    state[4] = max(state[4], entries.max())


def matrix_gaps(
    symbols: Symbols,
    columns: int,
    lines_are_columns: bool,
    places: npt.NDArray[np.bool_],
    live: npt.NDArray[np.bool_],
) -> tuple[int, GapCounts, GapCounts, GapCounts]:
    size = symbols.size
    rows = size // columns
    within, none = np.zeros(size, np.int64), np.zeros(0, np.int64)
    heads, state = np.zeros((3, size), np.int64), np.zeros(8, np.int64)
    lines = np.full((3, len(live)), -1, np.int64)
    lines[2] = 0
    numbers = np.cumsum(places, dtype=np.int32) - 1
    line_gaps(symbols, columns, (0, rows, 0, columns), lines_are_columns, numbers, within, none, lines)
    length = int(places.sum()) if len(places) else rows if lines_are_columns else columns
    head_gaps(lines, 0, length, state, live, heads, none.reshape(3, 0))
    fresh, every, living = ((np.flatnonzero(sums), sums[sums > 0]) for sums in within + heads)
    return int(state[4]), fresh, every, living


def gap_counts(gaps: Raw, counts: Raw, pbits: int) -> Indices:
    skip = (1 << pbits) - 1
    skips, rest = np.divmod(np.frombuffer(gaps, np.int64), skip)
    numbers = np.frombuffer(counts, np.int64)
    out = np.zeros(1 << pbits, np.int64)
    np.add.at(out, rest, numbers)
    out[skip] = int((skips * numbers).sum())
    return out


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
