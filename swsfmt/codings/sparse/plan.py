"""Finds the cheapest sparse form of a tensor: scan, width of the indices, what is compacted, line ends, codes.

All forms are ranked by the entropy of their gaps; the exact size, code tables included, decides among the best of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...entropy import backend
from ...entropy.bitmap import Form, Kind, Live, cheapest_form
from ...entropy.bits import varint_bytes
from ...format.codebook import Codebook
from ...format.resources import Resources
from ..base import MAX_PBITS, Freedom, Scan
from ..chunks import NO_CHUNKS, chunks_for
from ..streams import Stream, cheapest_stream
from .analysis import Analysis, Gaps, Geometry
from .compact_matrix import CompactMatrix
from .params import CHUNKABLE_ENTRIES, Coded, Params

_FINALISTS = 24
# What a used symbol takes in a code table, about.
_TABLE_BITS = 4
# What a row of the chunk table takes, about.
_CHUNK_BITS = 45
# A large tensor is read by columns where that saves more than 1/64 of the gaps: by rows it decodes faster.
_COLUMNS_SHIFT = 6
# And one with fewer skips is taken where that costs less than 1/64 of a bit for each: they take time.
_SKIPS_SHIFT = 6
_LOG_BITS = 12
_LOG_TABLE = np.rint(np.log2(1 + np.arange(256) / 256) * (1 << _LOG_BITS)).astype(np.int64)


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
    values, value_bits = cheapest_stream(analysis.value_counts, resources, huffman)
    chunks = chunks_for(entries)
    layouts = _layouts(analysis, resources)
    widths = range(1, MAX_PBITS + 1) if freedom.pbits is None else range(freedom.pbits, freedom.pbits + 1)

    streams: dict[tuple[Gaps, int], tuple[Stream, int, int]] = {}
    best: tuple[int, int, _Layout, int, Stream] | None = None
    for layout, pbits in _finalists(layouts, widths, freedom.huffman, bool(chunks.code)):
        gaps = layout.geometry.gaps
        if (gaps, pbits) not in streams:
            if freedom.pbits is None and gaps.is_wider_than_needed(pbits):
                continue
            counts = gaps.symbol_counts(pbits)
            streams[gaps, pbits] = (*cheapest_stream(counts, resources, huffman, smooth=True), int(counts[-1]))
        stream, gap_bits, skips = streams[gaps, pbits]
        size = layout.side_bits + gap_bits
        rank = size + (size >> _COLUMNS_SHIFT) if layout.is_slow(chunks.code) else size
        rank += skips >> _SKIPS_SHIFT if chunks.code else 0
        if best is None or rank < best[0]:
            best = (rank, size, layout, pbits, stream)
    assert best is not None
    _, size, layout, pbits, stream = best
    geometry = layout.geometry
    chunks = NO_CHUNKS if geometry.line_width else chunks
    coded = Coded(
        number,
        codebook,
        geometry.scan,
        pbits,
        stream,
        values,
        layout.row_form,
        layout.column_form,
        geometry.matrix,
        geometry.line_width,
        chunks,
    )
    size += value_bits + 8 * (varint_bytes(entries) + varint_bytes(number) + 2 + (entries >= CHUNKABLE_ENTRIES))
    return Params(entries, coded), size + _CHUNK_BITS * chunks.count(entries)


class _Layout(NamedTuple):
    """A geometry, the forms of its bitmaps, and the bits of these and of line counts."""

    geometry: Geometry
    row_form: Form
    column_form: Form
    side_bits: int

    def is_slow(self, chunk_code: int) -> bool:
        """Whether it must save something to be chosen."""
        return chunk_code > 0 and self.geometry.scan == Scan.COLUMNS


def _layouts(analysis: Analysis, resources: Resources) -> list[_Layout]:
    """Of all geometries that the resources have room for."""
    forms: dict[CompactMatrix, tuple[Form, Form, int] | None] = {}
    out = []
    for geometry in analysis.geometries:
        matrix = geometry.matrix
        if matrix not in forms:
            bitmap_bits = sum(len(live) for live in (matrix.live_rows, matrix.live_columns) if live is not None)
            has_room = resources.has_room(bitmap_bits=bitmap_bits)
            forms[matrix] = _bitmap_forms(matrix, resources.bitmaps) if has_room else None
        form = forms[matrix]
        if form is None:
            continue
        row_form, column_form, side_bits = form
        if geometry.line_width:
            side_bits += geometry.line_width * matrix.lines(geometry.scan) + 8
        out.append(_Layout(geometry, row_form, column_form, side_bits))
    return out


def _finalists(layouts: list[_Layout], widths: range, huffman: bool, chunked: bool) -> Iterator[tuple[_Layout, int]]:
    """Those layouts and index widths that are best by the entropy of their gaps.

    In integers, to be equal on every machine.
    """
    sizes = np.empty((len(layouts), MAX_PBITS), np.int64)
    of_gaps: dict[Gaps, npt.NDArray[np.int64]] = {}
    for layout, row in zip(layouts, sizes, strict=True):
        gaps = layout.geometry.gaps
        if gaps not in of_gaps:
            of_gaps[gaps] = np.empty(MAX_PBITS, np.int64)
            backend.kernels.gap_estimates(gaps.lengths, gaps.counts, _LOG_TABLE, _TABLE_BITS, huffman, of_gaps[gaps])
        np.add(of_gaps[gaps], layout.side_bits << _LOG_BITS, out=row)
        if layout.is_slow(chunked):
            row += row >> _COLUMNS_SHIFT
    order = np.argsort(sizes[:, widths.start - 1 : widths.stop - 1], axis=None, kind="stable")
    for at in order[:_FINALISTS].tolist():
        which, width = divmod(at, len(widths))
        yield layouts[which], widths[width]


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
