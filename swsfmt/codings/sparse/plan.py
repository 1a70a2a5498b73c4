"""Finds the cheapest sparse form of a tensor: scan, width of the indices, what is compacted, line ends, codes.

All forms are ranked by the entropy of their gaps; the exact size, code tables included, decides among the best of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...entropy.bitmap import Form, Kind, Live, cheapest_form
from ...entropy.bits import varint_bytes
from ...format.codebook import Codebook
from ...format.resources import Resources
from ..base import MAX_PBITS, Freedom, Scan
from ..chunks import NO_CHUNKS, chunks_for
from ..streams import Stream, cheapest_stream
from .analysis import Analysis, Geometry
from .compact_matrix import CompactMatrix, Indices
from .params import CHUNKABLE_ENTRIES, Coded, Params

_FINALISTS = 24
# What a used symbol takes in a code table, about.
_TABLE_BITS = 4
# What a row of the chunk table takes, about.
_CHUNK_BITS = 45
# A large tensor is read by columns where that saves more than 1/64 of the gaps: by rows it decodes faster.
_COLUMNS_SHIFT = 6
_LOG_BITS = 12
_LOG_TABLE = np.rint(np.log2(1 + np.arange(256) / 256) * (1 << _LOG_BITS)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A geometry and an index width, with the counts of its gap symbols, and the bits of bitmaps and line counts."""

    geometry: Geometry
    row_form: Form
    column_form: Form
    pbits: int
    counts: npt.NDArray[np.int64]
    side_bits: int
    estimate: int

    def is_wider_than_needed(self) -> bool:
        """Whether one bit less has no skips either, so that its symbols are the same.

        Only a file that has a table of this very alphabet could gain by it.
        """
        return int(self.geometry.gaps[-1]) < (1 << self.pbits - 1) - 1


def plan(
    analysis: Analysis, number: int, codebook: Codebook, resources: Resources, freedom: Freedom
) -> tuple[Params, int]:
    """The cheapest sparse form, and its size in bits, parameters and payload.

    The widths of the chunk table are left open: `encode` finds them.
    """
    entries = analysis.entries
    if entries == 0:
        return Params(0), 8
    huffman = freedom.huffman and resources.has_room(table_symbols=2 << MAX_PBITS)
    values, value_bits = cheapest_stream(analysis.value_counts, resources.tables, huffman)
    candidates = _candidates(analysis, resources, freedom)
    chunks = chunks_for(entries)

    def rank_of(candidate: _Candidate, size: int) -> int:
        by_columns = chunks.code and candidate.geometry.scan == Scan.COLUMNS
        return size + (size >> _COLUMNS_SHIFT) if by_columns else size

    candidates.sort(key=lambda candidate: rank_of(candidate, candidate.estimate))
    best: tuple[int, int, _Candidate, Stream] | None = None
    for candidate in candidates[:_FINALISTS]:
        if freedom.pbits is None and candidate.is_wider_than_needed():
            continue
        stream, gap_bits = cheapest_stream(candidate.counts, resources.tables, huffman, smooth=True)
        size = candidate.side_bits + gap_bits
        rank = rank_of(candidate, size)
        if best is None or rank < best[0]:
            best = (rank, size, candidate, stream)
    assert best is not None
    _, size, chosen, gaps = best
    geometry = chosen.geometry
    chunks = NO_CHUNKS if geometry.line_width else chunks
    coded = Coded(
        number,
        codebook,
        geometry.scan,
        chosen.pbits,
        gaps,
        values,
        chosen.row_form,
        chosen.column_form,
        geometry.matrix,
        geometry.line_width,
        chunks,
    )
    size += value_bits + 8 * (varint_bytes(entries) + varint_bytes(number) + 2 + (entries >= CHUNKABLE_ENTRIES))
    return Params(entries, coded), size + _CHUNK_BITS * chunks.count(entries)


def _candidates(analysis: Analysis, resources: Resources, freedom: Freedom) -> list[_Candidate]:
    forms: dict[CompactMatrix, tuple[Form, Form, int]] = {}
    out = []
    for geometry in analysis.geometries:
        matrix = geometry.matrix
        bitmap_bits = sum(len(live) for live in (matrix.live_rows, matrix.live_columns) if live is not None)
        if not resources.has_room(bitmap_bits=bitmap_bits):
            continue
        if matrix not in forms:
            forms[matrix] = _bitmap_forms(matrix, resources.bitmaps)
        row_form, column_form, side_bits = forms[matrix]
        if geometry.line_width:
            side_bits += geometry.line_width * matrix.lines(geometry.scan) + 8
        for pbits in range(1, MAX_PBITS + 1) if freedom.pbits is None else (freedom.pbits,):
            counts = _symbol_counts(geometry.gaps, geometry.counts, pbits)
            estimate = (side_bits << _LOG_BITS) + _estimate(counts, pbits, freedom.huffman)
            out.append(_Candidate(geometry, row_form, column_form, pbits, counts, side_bits, estimate))
    return out


def _bitmap_forms(matrix: CompactMatrix, bitmaps: list[Live]) -> tuple[Form, Form, int]:
    """The cheapest forms of the two bitmaps, and their bits."""
    row_form = column_form = Form(Kind.ALL_LIVE)
    row_bits = column_bits = 0
    if matrix.live_rows is not None:
        row_form, row_bits = cheapest_form(matrix.live_rows, bitmaps)
        # The columns may refer to the row bitmap of their own record.
        bitmaps = [*bitmaps, matrix.live_rows]
    if matrix.live_columns is not None:
        column_form, column_bits = cheapest_form(matrix.live_columns, bitmaps)
    return row_form, column_form, row_bits + column_bits


def _symbol_counts(gaps: Indices, counts: Indices, pbits: int) -> npt.NDArray[np.int64]:
    """Counts of the gap symbols for `gaps` that occur `counts` times."""
    skip = (1 << pbits) - 1
    skips, rest = np.divmod(gaps, skip)
    out = np.zeros(1 << pbits, np.int64)
    np.add.at(out, rest, counts)
    out[skip] = int((skips * counts).sum())
    return out


def _estimate(counts: npt.NDArray[np.int64], pbits: int, huffman: bool) -> int:
    """Size of a gap stream and its table, about, in 4096ths of a bit; in integers, to be equal on every machine."""
    total = int(counts.sum())
    fixed = total * pbits << _LOG_BITS
    if not huffman:
        return fixed
    used = counts[counts > 0]
    entropy = int((used * (_log2(total) - _log2_of_all(used))).sum())
    return min(fixed, entropy + (_TABLE_BITS * len(used) << _LOG_BITS))


def _log2(n: int) -> int:
    """log2 of n >= 1 in 4096ths, from the leading 9 bits of n."""
    mantissa, exponent = math.frexp(n)
    return (exponent - 1 << _LOG_BITS) + int(_LOG_TABLE[int(mantissa * 512) - 256])


def _log2_of_all(n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`_log2` of each of `n`."""
    mantissa, exponent = np.frexp(n.astype(np.float64))
    fraction: npt.NDArray[np.int64] = _LOG_TABLE[(mantissa * 512).astype(np.int64) - 256]
    return (exponent.astype(np.int64) - 1 << _LOG_BITS) + fraction
