"""What the sparse planner needs to know of a tensor: how often each value and each gap occurs, for every geometry.

This is the costly part, and it depends on the tensor and its codebook alone: tensors can be analysed anywhere, in any
order. `plan` then chooses from the counts.

Gaps within lines are the same with and without line ends, with and without dead lines; so a matrix is read once by rows
and once by columns, and each once more where places are dead. What differs is the gap before the first entry of a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...entropy import backend, kernels
from ...entropy.bitmap import Live
from ...entropy.kernels import Window
from ...entropy.protocol import Raw
from ...limits import DEFAULT_LIMITS
from ...parallel import MOST_THREADS, in_order
from ..base import Freedom, Scan
from ..chunks import chunks_for
from .compact_matrix import CompactMatrix, Indices, Ranks, ranks_of

# Elements that are looked at in one go; lines, at most, since a line takes more memory than an element; and columns, at
# least, where there are so many.
_BLOCK = 1 << 20
_LINES = 1 << 15
_COLUMNS = 1 << 12
# To go through the members of an enum takes longer.
_SCANS = tuple(Scan)


# Not frozen: it is made many times for each tensor, and that takes three times as long.
@dataclass(eq=False, slots=True)
class Gaps:
    """The gaps that occur, ascending, and how often, int64. Several geometries may have the same ones."""

    lengths: Raw
    counts: Raw

    def symbol_counts(self, pbits: int) -> Indices:
        """How often each gap symbol of `pbits` bits occurs."""
        return np.frombuffer(backend.kernels.gap_counts(self.lengths, self.counts, pbits), np.int64)


class Geometry(NamedTuple):
    """One way to read a matrix. line_width: bits of a line count, 0 without line ends."""

    matrix: CompactMatrix
    scan: Scan
    line_width: int
    gaps: Gaps


@dataclass(frozen=True, eq=False)
class Analysis:
    """A matrix of codebook symbols in numbers. value_counts: int64 of shape (count of the codebook,)."""

    entries: int
    value_counts: npt.NDArray[np.int64]
    geometries: list[Geometry]


def analyse(
    symbols: npt.NDArray[np.uint16], counts: npt.NDArray[np.int64], freedom: Freedom, threads: int = 1
) -> Analysis:
    """Count the gaps of a matrix of symbols, shape (rows, columns).

    counts : how often each symbol occurs, zero first; int64 of shape (count of the codebook + 1,).
    """
    total = symbols.size - int(counts[0])
    if total == 0:
        return Analysis(0, counts[1:], [])
    # Where there are chunks there are no line ends. Without chunks it is done before threads have started.
    chunked = chunks_for(total).code > 0
    threads = min(threads, MOST_THREADS) if chunked else 1
    if 1 in symbols.shape:
        return Analysis(total, counts[1:], list(_of_vector(symbols, total, chunked, freedom, threads)))
    as_it_is = [_lines(symbols, scan, None, threads) for scan in _SCANS]
    live_rows, live_columns = (_dead(lines.live, freedom.compact) for lines in as_it_is)
    without_dead = {
        scan: as_it_is[scan] if live is None else _lines(symbols, scan, live, threads)
        for scan, live in ((Scan.ROWS, live_columns), (Scan.COLUMNS, live_rows))
        if freedom.scan in (None, scan)
    }
    geometries = []
    for rows, columns in product(*([None] if live is None else [None, live] for live in (live_rows, live_columns))):
        matrix = CompactMatrix(symbols.shape[0], symbols.shape[1], rows, columns)
        for scan in without_dead:
            of_lines, of_places = (rows, columns) if scan == Scan.ROWS else (columns, rows)
            lines = (as_it_is if of_places is None else without_dead)[scan]
            heads = _Heads.LAST_ENTRY if of_lines is None else _Heads.LAST_ENTRY_OF_LIVING
            geometries.append(Geometry(matrix, scan, 0, lines.gaps[heads]))
            if not chunked:
                width = max(1, lines.most.bit_length())
                geometries.append(Geometry(matrix, scan, width, lines.gaps[_Heads.LINE_START]))
    return Analysis(total, counts[1:], geometries)


def _of_vector(
    symbols: npt.NDArray[np.uint16], entries: int, chunked: bool, freedom: Freedom, threads: int
) -> Iterator[Geometry]:
    """The geometries of a matrix of one row or one column that can be the cheapest.

    It is the same line, along which it is read in any case; so line ends along it, and a scan across it without line
    ends, add bits and change no gap.
    """
    rows, columns = symbols.shape
    along, across = (Scan.ROWS, Scan.COLUMNS) if rows == 1 else (Scan.COLUMNS, Scan.ROWS)
    scan = Scan.ROWS if freedom.scan is None else freedom.scan
    line = _lines(symbols.reshape(1, -1), Scan.ROWS, None, threads).gaps[_Heads.LAST_ENTRY]
    # Where no place is dead, or each is a line of its own, no gap is left.
    none = Gaps(np.zeros(1, np.int64), np.array([entries]))
    yield Geometry(CompactMatrix(rows, columns, None, None), scan, 0, line)
    if not chunked and freedom.scan in (None, across):
        yield Geometry(CompactMatrix(rows, columns, None, None), across, 1, none)
    live = _dead(symbols.reshape(-1) != 0, freedom.compact)
    if live is not None:
        places = (None, live) if along == Scan.ROWS else (live, None)
        yield Geometry(CompactMatrix(rows, columns, *places), scan, 0, none)


def _dead(live: Live, compact: bool) -> Live | None:
    """None where all live, or where the others stay. No reader would take a longer bitmap."""
    is_whole = np.count_nonzero(live) == len(live)
    return None if is_whole or not compact or len(live) > DEFAULT_LIMITS.max_bitmap_bits else live


class _Heads(IntEnum):
    """From where the gap before the first entry of a line counts, in the order of the kernel `head_gaps`."""

    LINE_START = 0
    LAST_ENTRY = 1
    LAST_ENTRY_OF_LIVING = 2


class _Lines(NamedTuple):
    """A matrix that is read by `scan`.

    live : whether each line has an entry
    most : the most entries of a line
    gaps : all that occur, for each of `_Heads`
    """

    live: Live
    most: int
    gaps: list[Gaps]


def _lines(symbols: npt.NDArray[np.uint16], scan: Scan, places: Live | None, threads: int) -> _Lines:
    """places : those that live; None to count them all."""
    if symbols.size > kernels.COUNTABLE:
        return _Count(symbols, scan, None if places is None else ranks_of(places), threads).lines()
    live = np.zeros(symbols.shape[scan], np.bool_)
    most, *gaps = kernels.matrix_gaps(symbols, scan == Scan.COLUMNS, places, live)
    return _Lines(live, most, [Gaps(*of_heads) for of_heads in gaps])


class _Count:
    """The gaps of a large matrix, counted part by part. ranks : of the places that live, None to count them all."""

    def __init__(self, symbols: npt.NDArray[np.uint16], scan: Scan, ranks: Ranks | None, threads: int) -> None:
        self._length = symbols.shape[1 - scan] if ranks is None else int(ranks[-1]) + 1
        self._live = np.zeros(symbols.shape[scan], np.bool_)
        # Gaps of one line go from entry to entry of one line, or from one to the next: all together, no more than this.
        self._within = np.zeros(min(symbols.size, kernels.COUNTABLE), np.int64)
        self._long: list[Indices] = []
        self._heads = np.zeros((len(_Heads), len(self._within)), np.int64)
        self._long_heads = np.zeros((len(_Heads), symbols.size // kernels.COUNTABLE), np.int64)
        self._state = np.zeros(8, np.int64)

        def count(window: Window) -> kernels.LineGaps:
            return kernels.line_gaps(symbols, window, scan == Scan.COLUMNS, ranks)

        windows = list(_windows(symbols.shape, scan))
        counted = in_order(count, windows, threads=min(threads, len(windows)))
        lines = np.zeros((3, 0), np.int64)
        for window, gaps in zip(windows, counted, strict=True):
            self._within[: len(gaps.counts)] += gaps.counts
            self._long.append(gaps.others)
            if scan == Scan.ROWS:
                self._close(window.top, gaps.lines)
                continue
            lines = gaps.lines if window.top == 0 else self._continued(lines, gaps.lines)
            if window.bottom == symbols.shape[0]:
                self._close(window.left, lines)

    def _continued(self, lines: Indices, below: Indices) -> Indices:
        """The lines of one window and of the one below it as one."""
        has, more = lines[2] > 0, below[2] > 0
        both = has & more
        gaps = (below[0] - lines[1])[both] - 1
        is_long = gaps >= len(self._within)
        self._within += np.bincount(gaps[~is_long], minlength=len(self._within))
        self._long.append(gaps[is_long])
        return np.stack([np.where(has, lines[0], below[0]), np.where(more, below[1], lines[1]), lines[2] + below[2]])

    def _close(self, start: int, lines: Indices) -> None:
        """Add the gaps before the first entries of whole lines, the first of which has the number `start`."""
        live = self._live[start : start + lines.shape[1]]
        backend.kernels.head_gaps(lines, start, self._length, self._state, live, self._heads, self._long_heads)

    def lines(self) -> _Lines:
        return _Lines(self._live, int(self._state[4]), [self._together(heads) for heads in _Heads])

    def _together(self, heads: _Heads) -> Gaps:
        sums = self._within + self._heads[heads]
        short = sums.nonzero()[0]
        long = [*self._long, self._long_heads[heads, : self._state[5 + heads]]]
        if not any(map(len, long)):
            return Gaps(short, sums[short])
        others, counts = np.unique(np.concatenate(long), return_counts=True)
        return Gaps(np.concatenate([short, others]), np.concatenate([sums[short], counts]))


def _windows(shape: tuple[int, ...], scan: Scan) -> Iterator[Window]:
    """Whole rows; or some columns, from top to bottom, window by window."""
    rows, columns = shape
    if scan == Scan.ROWS:
        width, height = columns, min(rows, max(1, _BLOCK // columns), _LINES)
    else:
        width = min(columns, max(_COLUMNS, _BLOCK // rows), _LINES)
        height = min(rows, max(1, _BLOCK // width))
    for left in range(0, columns, width):
        for top in range(0, rows, height):
            yield Window(top, min(top + height, rows), left, min(left + width, columns))
