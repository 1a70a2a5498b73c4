"""Finds the cheapest sparse form of a tensor: scan, width of the indices, what is compacted, line ends, codes.

All forms are ranked by the entropy of their gaps; the exact size, code tables included, decides among the best of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...entropy import backend, logarithms
from ...entropy.bitmap import Form, Kind, cheapest_form
from ...entropy.bits import varint_bytes
from ...entropy.code_table import WINDOWS
from ...entropy.protocol import Form as GapForm
from ...format.codebook import Codebook
from ...format.resources import Resources
from ..base import MAX_PBITS, Freedom, Scan
from ..chunks import NO_CHUNKS, chunks_for
from ..streams import cheapest_stream
from .analysis import Analysis, Geometry
from .compact_matrix import CompactMatrix
from .params import CHUNKABLE_ENTRIES, Coded, Params

_ALL_LIVE = Form(Kind.ALL_LIVE)
_FINALISTS = 24
# What a used symbol takes in a code table, about.
_TABLE_BITS = 4
# What a row of the chunk table takes, about.
_CHUNK_BITS = 45
# A large tensor is read by columns where that saves more than 1/64 of the gaps: by rows it decodes faster.
_COLUMNS_SHIFT = 6
_NO_SHIFT = 63


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
    values, value_bits = cheapest_stream(analysis.value_counts, entries, resources, huffman)
    chunks = chunks_for(entries)
    layouts = _layouts(analysis, resources)
    widths = range(1, MAX_PBITS + 1) if freedom.pbits is None else range(freedom.pbits, freedom.pbits + 1)
    forms: list[GapForm] = [
        (
            layout.geometry.gaps.lengths,
            layout.geometry.gaps.counts,
            layout.side_bits,
            _COLUMNS_SHIFT if chunks.code and layout.geometry.scan == Scan.COLUMNS else _NO_SHIFT,
        )
        for layout in layouts
    ]
    which, pbits = backend.kernels.cheapest_gaps(
        forms,
        (widths[0], widths[-1]),
        logarithms.TABLE,
        _TABLE_BITS,
        _FINALISTS,
        freedom.huffman,
        huffman,
        WINDOWS,
        resources.recent_tables()[1],
    )
    layout = layouts[which]
    gaps = layout.geometry.gaps.symbol_counts(pbits)
    stream, gap_bits = cheapest_stream(gaps, int(np.add.reduce(gaps)), resources, huffman, smooth=True)
    size = layout.side_bits + gap_bits
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


def _layouts(analysis: Analysis, resources: Resources) -> list[_Layout]:
    """Of all geometries that the resources have room for."""
    forms = _BitmapForms(resources)
    out = []
    for geometry in analysis.geometries:
        matrix = geometry.matrix
        form = forms.of(matrix)
        if form is None:
            continue
        row_form, column_form, side_bits = form
        if geometry.line_width:
            side_bits += geometry.line_width * matrix.lines(geometry.scan) + 8
        out.append(_Layout(geometry, row_form, column_form, side_bits))
    return out


class _BitmapForms:
    """The cheapest forms of the bitmaps of one matrix, one of rows and one of columns, with and without each."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._first, self._recent = resources.recent_bitmaps()
        self._of_rows: tuple[Form, int] | None = None
        self._of_matrix: dict[CompactMatrix, tuple[Form, Form, int] | None] = {}

    def of(self, matrix: CompactMatrix) -> tuple[Form, Form, int] | None:
        """The forms of both, and their bits; None where the resources have no room for them."""
        if matrix not in self._of_matrix:
            bits = (0 if matrix.live_rows is None else matrix.rows) + (
                0 if matrix.live_columns is None else matrix.columns
            )
            has_room = self._resources.has_room(bitmap_bits=bits)
            self._of_matrix[matrix] = self._cheapest(matrix) if has_room else None
        return self._of_matrix[matrix]

    def _cheapest(self, matrix: CompactMatrix) -> tuple[Form, Form, int]:
        row_form = column_form = _ALL_LIVE
        row_bits = column_bits = 0
        earlier = self._recent
        if matrix.live_rows is not None:
            if self._of_rows is None:
                self._of_rows = cheapest_form(matrix.live_rows, earlier, self._first)
            row_form, row_bits = self._of_rows
            # The columns may refer to the row bitmap of their own record.
            earlier = [*earlier, matrix.live_rows.tobytes()]
        if matrix.live_columns is not None:
            column_form, column_bits = cheapest_form(matrix.live_columns, earlier, self._first)
        return row_form, column_form, row_bits + column_bits
