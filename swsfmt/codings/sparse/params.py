"""Coding 4: compressed sparse rows with relative indices (spec 5.5). It reads and writes; `sparse_plan` chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from ...dtypes import Bits
from ...entropy import bitmap, kernels
from ...entropy.bitmap import Form, Kind, Live
from ...entropy.bits import BitReader, BitWriter
from ...entropy.code_table import write_table
from ...errors import PayloadError
from ...format.codebook import Codebook
from ...format.cursor import Cursor, varint
from ...format.sections import Section, Span
from ...parallel import MOST_THREADS, in_order
from ...tensor import TensorInfo
from ..common import (
    NO_CHUNKS,
    Chunks,
    Decoded,
    Payload,
    Resources,
    Stream,
    StreamKind,
    check_width,
    parse_chunks,
    parse_earlier,
    parse_stream_kind,
    read_stream,
    same,
    width_of,
)
from .entries import Entries, Positions, line_counts, read_entries, whole_chunks
from .matrix import CompactMatrix, matrix_shape

ID = 4
NAME = "sparse"

MAX_PBITS = 12
CHUNKABLE_ENTRIES = 4096
_BLOCK = 1 << 18


class Scan(IntEnum):
    ROWS = 0
    COLUMNS = 1


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

    def payload_length(self, tensor: TensorInfo) -> int | None:
        """0 without entries; otherwise the record holds it."""
        return 0 if self.coded is None else None


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
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
    gap_kind, value_kind = (parse_stream_kind(cursor, layout >> shift & 3) for shift in (2, 4))
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
    if kind not in Kind.__members__.values():
        raise cursor.error(f"bitmap kind {kind} is reserved")
    form = Form(Kind(kind))
    return replace(form, argument=cursor.varint("bitmap argument")) if form.kind.has_argument else form


def _read_bitmap(reader: BitReader, length: int, form: Form, resources: Resources) -> Live | None:
    """None if all are live."""
    if form.kind == Kind.ALL_LIVE:
        return None
    resources.limits.check("max_bitmap_bits", resources.bitmap_bits + length, "the length of all bitmaps")
    live = bitmap.read_bitmap(reader, length, form, resources.bitmaps)
    if not live.any():
        raise reader.fail("a bitmap has no live bit")
    resources.add_bitmap(live)
    return live


def write(params: Params, bitmaps: list[Live]) -> bytes:
    """bitmaps : the earlier ones; those of this record are appended."""
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
            bitmap.write_bitmap(packed, live, form, bitmaps)
            bitmaps.append(live)
    for stream in (p.gaps, p.values):
        if stream.kind == StreamKind.NEW_TABLE:
            write_table(packed, stream.code)
    return out + packed.to_bytes()


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`."""
    p = params.coded
    if p is None:
        return Decoded(_zeros(tensor, out), [])
    reader = BitReader(payload, PayloadError)
    spans = []

    def span(section: Section, start: int) -> None:
        if reader.position > start:
            spans.append(Span(section, start, reader.position))

    in_lines = None
    if p.line_ends:
        in_lines = reader.fields(p.matrix.lines(p.scan), p.line_width, "line counts")
        if int(in_lines.sum()) != params.entries:
            raise PayloadError(f"the line counts sum up to {int(in_lines.sum())}, not {params.entries}")
        span(Section.ROW_ENDS, 0)
    start = reader.position
    told = read_chunk_table(reader, params.entries, p) if p.chunks.code else None
    span(Section.CHUNK_TABLES, start)
    if told is not None and kernels.can_fuse(tensor.dtype.itemsize):
        decoded = _decode_fused(params.entries, p, tensor, reader, told, threads, out)
        if decoded is not None:
            return decoded._replace(spans=spans + decoded.spans)
    start = reader.position
    blocks = []
    # Blocks of whole chunks, to save memory.
    block = max(_BLOCK, p.chunks.size)
    for first in range(0, params.entries, block):
        count = min(block, params.entries - first)
        gaps, reader.position = kernels.decode_gaps(reader.bits, reader.position, count, p.gaps.code)
        blocks.append(gaps)
    span(Section.COLUMN_INDICES, start)
    start = reader.position
    out = _zeros(tensor, out)
    cursor = Positions(p.matrix, p.scan, p.pbits, in_lines)
    found = []
    for gaps in blocks:
        count = int(np.count_nonzero(gaps != (1 << p.pbits) - 1))
        values, reader.position = kernels.decode_symbols(reader.bits, reader.position, count, p.values.code)
        if told is not None:
            found.append(chunk_table(gaps, values, p))
        elements = p.codebook.values[values]
        if cursor.scatter(gaps, elements, out):
            continue
        done = 0
        for positions in cursor.after(gaps):
            flat = p.matrix.flat_indices(positions, p.scan)
            out[flat] = elements[done : done + len(flat)]
            done += len(flat)
    span(Section.VALUES, start)
    if told is not None:
        for column, what in enumerate(("gap bits", "value bits", "the advance")):
            same(np.concatenate([rows[:, column] for rows in found]), told[:, column], what)
    reader.finish("payload")
    return Decoded(out, spans, sum(map(len, blocks)))


def _zeros(tensor: TensorInfo, out: Bits | None) -> Bits:
    if out is None:
        return np.zeros(tensor.numel, tensor.dtype.bits)
    out.fill(0)
    return out


def _decode_fused(
    entries: int,
    p: Coded,
    tensor: TensorInfo,
    reader: BitReader,
    told: npt.NDArray[np.int64],
    threads: int,
    out: Bits | None,
) -> Decoded | None:
    """Decode chunk by chunk, straight into the elements. None where that takes too much memory, or the chunk table does
    not fit the streams.
    """
    if p.chunks.size > kernels.MAX_FUSED_CHUNK or p.matrix.has_many_offsets(p.scan):
        return None
    starts = chunk_starts(told, reader.position)
    gap_end, value_end, last = (int(x) for x in starts[-1])
    if value_end > len(reader.bits) or last > p.matrix.size or not bool((told[:, 2] > 0).all()):
        return None
    found = kernels.decode_sparse(
        reader.bits,
        starts,
        p.chunks.size,
        entries,
        tensor.numel,
        p.gaps.code,
        p.values.code,
        p.codebook.values,
        p.matrix.lines(p.scan),
        p.matrix.line_length(p.scan),
        p.matrix.offsets(p.scan),
        threads,
        out,
    )
    if found is None:
        return None
    spans = [Span(Section.COLUMN_INDICES, reader.position, gap_end), Span(Section.VALUES, gap_end, value_end)]
    reader.position = value_end
    reader.finish("payload")
    return Decoded(found[0], [span for span in spans if span.bits], found[1])


def read_chunk_table(reader: BitReader, entries: int, p: Coded) -> npt.NDArray[np.int64]:
    """Gap bits, value bits and advance of each chunk: int64 of shape (chunks, 3)."""
    count = p.chunks.count(entries)
    table = reader.rows(count, p.chunks.widths, "chunk table")
    if not p.chunks.widths[1]:
        sizes = np.full(count, p.chunks.size)
        sizes[-1] = entries - int(sizes[:-1].sum())
        table[:, 1] = sizes * p.values.code.max_length
    return table


def chunk_starts(told: npt.NDArray[np.int64], position: int) -> npt.NDArray[np.int64]:
    """Gap bit, value bit and cursor where each chunk starts, and the ends: int64 of shape (chunks + 1, 3).

    position : the bit after the chunk table.
    """
    first = np.array([[position, position + int(told[:, 0].sum()), 0]])
    return np.concatenate([first, first + np.cumsum(told, axis=0)])


def chunk_table(gaps: npt.NDArray[np.uint16], values: npt.NDArray[np.uint16], p: Coded) -> npt.NDArray[np.int64]:
    """int64 of shape (chunks, 3): bits of the gaps, bits of the values and advance of each chunk."""
    of_gaps = kernels.gap_chunks(gaps, p.gaps.code, p.chunks.size)
    return np.insert(of_gaps, 1, kernels.chunk_bits(values, p.values.code, p.chunks.size), axis=1)


def encode(params: Params, symbols: npt.NDArray[np.uint16], threads: int = 1) -> tuple[Params, bytes]:
    """The payload of a matrix of codebook symbols, shape (rows, columns), and the parameters with all widths."""
    p = params.coded
    if p is None:
        return params, b""

    def streams(block: Entries) -> tuple[npt.NDArray[np.int64] | None, bitarray, bitarray]:
        gaps = kernels.gap_symbols(block.gaps, p.pbits)
        rows = chunk_table(gaps, block.values, p) if p.chunks.code else None
        return rows, kernels.encode_symbols(gaps, p.gaps.code), kernels.encode_symbols(block.values, p.values.code)

    table, gap_bits, value_bits = [], bitarray(endian="little"), bitarray(endian="little")
    blocks = whole_chunks(read_entries(symbols, p.matrix, p.scan, p.line_ends, threads), p.chunks.size)
    for rows, gaps, values in in_order(streams, blocks, threads=min(threads, MOST_THREADS) if p.chunks.code else 1):
        if rows is not None:
            table.append(rows)
        gap_bits.extend(gaps)
        value_bits.extend(values)
    writer = BitWriter()
    if p.line_ends:
        writer.fields(line_counts(symbols, p.matrix, p.scan), p.line_width)
    chunks = p.chunks
    if table:
        rows = np.concatenate(table)
        has_column = (True, p.values.kind != StreamKind.FIXED, True)
        widths = tuple(width_of(rows[:, i]) if has else 0 for i, has in enumerate(has_column))
        chunks = replace(chunks, widths=widths)
        for fields in rows.tolist():
            for value, width in zip(fields, widths, strict=True):
                writer.field(value if width else 0, width)
    writer.bits.extend(gap_bits)
    del gap_bits
    writer.bits.extend(value_bits)
    del value_bits
    return replace(params, coded=replace(p, chunks=chunks)), writer.to_bytes()
