"""The parameters of a sparse record: index bytes <-> dataclasses (spec 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...entropy import bitmap, encoding, kernels
from ...entropy.bitmap import Form, Kind, Live
from ...entropy.bits import BitReader, BitWriter
from ...entropy.code_table import write_table
from ...format.codebook import Codebook
from ...format.cursor import Cursor, varint
from ...format.resources import Resources
from ...format.sections import Section
from ...tensor import TensorInfo
from ..base import MAX_PBITS, Scan
from ..chunks import NO_CHUNKS, Chunks, check_width, parse_chunks
from ..matrix import matrix_shape
from ..streams import Stream, StreamKind, parse_earlier, parse_stream_kind, read_stream
from .compact_matrix import CompactMatrix

CHUNKABLE_ENTRIES = 4096
"""From so many entries on a record says whether it has chunks."""


# The forms of all kinds, without an argument: made once, since many records have them.
_FORMS = {int(kind): Form(kind) for kind in Kind}
_WITH_ARGUMENT = {int(kind) for kind in Kind if kind.has_argument}
_ALL_LIVE = _FORMS[Kind.ALL_LIVE]


@dataclass(frozen=True, eq=False)
class Coded:
    """All parameters of a tensor that has entries."""

    number: int
    codebook: Codebook
    scan: Scan
    pbits: int
    gaps: Stream
    values: Stream
    row_form: Form
    column_form: Form
    matrix: CompactMatrix
    line_width: int = 0
    chunks: Chunks = NO_CHUNKS

    @property
    def line_ends(self) -> bool:
        return self.line_width > 0


@dataclass(frozen=True, eq=False)
class Params:
    """entries : number of entries. coded : the rest, None if there are no entries."""

    entries: int
    coded: Coded | None = None


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    """Raises `IndexRuleError`, `LimitError`."""
    entries = cursor.varint("number of entries")
    if tensor.numel == 0:
        raise cursor.error("a tensor without elements must be raw")
    if entries > tensor.numel:
        raise cursor.error(f"{entries} entries in a tensor of {tensor.numel} elements")
    if tensor.dtype.itemsize > 8:
        raise cursor.error(f"a {tensor.dtype.name} tensor cannot be sparse")
    if entries == 0:
        return Params(0)
    number, codebook = resources.codebook(cursor, tensor.dtype)
    layout = cursor.u16("layout")
    pbits = layout >> 12
    if not 1 <= pbits <= MAX_PBITS:
        raise cursor.error(f"pbits {pbits} is not within 1 to {MAX_PBITS}")
    gap_kind, value_kind = parse_stream_kind(cursor, layout >> 2 & 3), parse_stream_kind(cursor, layout >> 4 & 3)
    line_ends = bool(layout >> 1 & 1)
    chunk_start = cursor.offset
    chunk_code = cursor.u8("chunk code") if entries >= CHUNKABLE_ENTRIES else 0
    if chunk_code > 15 or (chunk_code and line_ends):
        raise cursor.error(f"chunk code {chunk_code} is not allowed here")
    tables_start = cursor.offset
    gap_table, value_table = parse_earlier(cursor, gap_kind), parse_earlier(cursor, value_kind)
    row_start = cursor.offset
    row_form = _parse_form(cursor, layout >> 6 & 7)
    column_start = cursor.offset
    column_form = _parse_form(cursor, layout >> 9 & 7)
    line_start = cursor.offset
    line_width = cursor.u8("line width") if line_ends else 0
    if line_ends:
        check_width(cursor, line_width, "line width")
    widths_start = cursor.offset
    chunks = parse_chunks(cursor, chunk_code, entries, 3)
    for width, needed in zip(chunks.widths, (True, value_kind != StreamKind.FIXED, True), strict=False):
        if needed:
            check_width(cursor, width, "chunk column width")
        elif width:
            raise cursor.error("a fixed-width value stream has no column in the chunk table")
    if resources.spans is not None:
        for section, start, end in (
            (Section.CHUNK_TABLES, chunk_start, tables_start),
            (Section.CODE_TABLES, tables_start, row_start),
            (Section.ROW_BITMAPS, row_start, column_start),
            (Section.COLUMN_BITMAPS, column_start, line_start),
            (Section.ROW_ENDS, line_start, widths_start),
            (Section.CHUNK_TABLES, widths_start, cursor.offset),
        ):
            resources.span(section, 8 * start, 8 * end)

    rows, columns = matrix_shape(tensor.shape)
    with cursor.packed() as reader:
        base = 8 * cursor.base
        marks = [base + reader.position]
        live_rows = _read_bitmap(reader, rows, row_form, resources)
        marks.append(base + reader.position)
        live_columns = _read_bitmap(reader, columns, column_form, resources)
        marks.append(base + reader.position)
        gaps = read_stream(gap_kind, gap_table, 1 << pbits, reader, resources)
        if gaps.code.single == (1 << pbits) - 1:
            raise reader.fail("the gap table has no symbol but the skip")
        values = read_stream(value_kind, value_table, codebook.count, reader, resources)
        resources.span(Section.ROW_BITMAPS, marks[0], marks[1])
        resources.span(Section.COLUMN_BITMAPS, marks[1], marks[2])
        resources.span(Section.CODE_TABLES, marks[2], base + reader.position)
    matrix = CompactMatrix(rows, columns, live_rows, live_columns)
    if entries > matrix.size:
        raise cursor.error(f"{entries} entries in {matrix.size} live positions")
    scan = Scan(layout & 1)
    coded = Coded(number, codebook, scan, pbits, gaps, values, row_form, column_form, matrix, line_width, chunks)
    return Params(entries, coded)


def _parse_form(cursor: Cursor, kind: int) -> Form:
    form = _FORMS.get(kind)
    if form is None:
        raise cursor.error(f"bitmap kind {kind} is reserved")
    return Form(form.kind, cursor.varint("bitmap argument")) if kind in _WITH_ARGUMENT else form


def _read_bitmap(reader: BitReader, length: int, form: Form, resources: Resources) -> Live | None:
    """None if all are live."""
    if form is _ALL_LIVE:
        return None
    resources.limits.check("max_bitmap_bits", resources.bitmap_bits + length, "the length of all bitmaps")
    live = bitmap.read_bitmap(reader, length, form, resources.bitmaps)
    if np.count_nonzero(live) == 0:
        raise reader.fail("a bitmap has no live bit")
    resources.add_bitmap(live)
    return live


def write(params: Params, resources: Resources) -> bytes:
    """The inverse of `parse`: the bitmaps of this record are numbered."""
    out = varint(params.entries)
    p = params.coded
    if p is None:
        return out
    layout = (
        p.scan
        | p.line_ends << 1
        | p.gaps.kind << 2
        | p.values.kind << 4
        | p.row_form.kind << 6
        | p.column_form.kind << 9
        | p.pbits << 12
    )
    out += varint(p.number) + layout.to_bytes(2, "little")
    if params.entries >= CHUNKABLE_ENTRIES:
        out += bytes([p.chunks.code])
    for stream in (p.gaps, p.values):
        if stream.kind == StreamKind.EARLIER_TABLE:
            out += varint(stream.table)
    for form in (p.row_form, p.column_form):
        if form.kind.has_argument:
            out += varint(form.argument)
    if p.line_ends:
        out += bytes([p.line_width])
    out += bytes(p.chunks.widths)
    packed = BitWriter()
    for live, form in ((p.matrix.live_rows, p.row_form), (p.matrix.live_columns, p.column_form)):
        if live is not None:
            bitmap.write_bitmap(packed, live, form, resources.bitmaps)
            resources.add_bitmap(live)
    for stream in (p.gaps, p.values):
        if stream.kind == StreamKind.NEW_TABLE:
            write_table(packed, stream.code)
    return out + packed.to_bytes()


def chunk_rows(gaps: npt.NDArray[np.uint16], values: npt.NDArray[np.uint16], p: Coded) -> npt.NDArray[np.int64]:
    """int64 of shape (chunks, 3): bits of the gaps, bits of the values and advance of each chunk."""
    of_gaps = kernels.gap_chunks(gaps, p.gaps.code, p.chunks.size)
    return np.insert(of_gaps, 1, encoding.chunk_bits(values, p.values.code, p.chunks.size), axis=1)
