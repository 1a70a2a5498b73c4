"""Sparse payloads -> elements, all of them or those of some rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...entropy import kernels
from ...entropy.bits import BitReader
from ...errors import PayloadError
from ...format.sections import Section, Span
from ...tensor import TensorInfo
from ..base import Decoded, Payload, Scan, zeros
from ..chunks import check_column
from ..streams import decode_part
from .params import Coded, Params, chunk_rows
from .positions import Positions, flat_positions

# NumPy makes 8 bytes of every index: in blocks, to save memory.
_BLOCK = 1 << 18


def decode(
    params: Params,
    tensor: TensorInfo,
    payload: Payload,
    threads: int = 1,
    out: Bits | None = None,
    given: Bits | None = None,
) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`.

    given : the elements of all entries, in their order; None for those of the payload. Of a BOOL tensor the payload has
        no bits for them.
    """
    p = params.coded
    if p is None:
        return Decoded(zeros(tensor, out), [])
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
    table = read_chunk_table(reader, params.entries, p) if p.chunks.code else None
    span(Section.CHUNK_TABLES, start)
    if table is not None and (given is not None or kernels.can_fuse(tensor.dtype.itemsize)):
        decoded = _decode_fused(params.entries, p, tensor, reader, table, threads, out, given)
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
    if given is not None and out is None:
        out = np.zeros(tensor.numel, given.dtype)
    out = zeros(tensor, out)
    cursor = Positions(p.matrix, p.scan, p.pbits, in_lines)
    rows_of_blocks, in_columns = [], []
    passed = 0
    for gaps in blocks:
        count = int(np.count_nonzero(gaps != (1 << p.pbits) - 1))
        if table is None:
            elements = np.empty(count, p.codebook.entries.dtype)
            reader.position = kernels.decode_elements(
                reader.bits, reader.position, p.values.code, p.codebook.entries, elements
            )
        else:
            values, reader.position = kernels.decode_symbols(reader.bits, reader.position, count, p.values.code)
            rows_of_blocks.append(chunk_rows(gaps, values, p))
            elements = p.codebook.entries[values]
        if given is not None:
            if p.scan == Scan.COLUMNS:
                elements = given
                in_columns += [p.matrix.flat_indices(positions, p.scan) for positions in cursor.after(gaps)]
                continue
            elements = given[passed : passed + count]
            passed += count
        if cursor.scatter(gaps, elements, out):
            continue
        done = 0
        for positions in cursor.after(gaps):
            flat = p.matrix.flat_indices(positions, p.scan)
            out[flat] = elements[done : done + len(flat)]
            done += len(flat)
    if in_columns:
        # They are given row by row.
        out[np.sort(np.concatenate(in_columns))] = elements
    span(Section.VALUES, start)
    if table is not None:
        for column, what in enumerate(("gap bits", "value bits", "the advance")):
            check_column(np.concatenate([rows[:, column] for rows in rows_of_blocks]), table[:, column], what)
    reader.finish("payload")
    return Decoded(out, spans, sum(map(len, blocks)))


def _decode_fused(
    entries: int,
    p: Coded,
    tensor: TensorInfo,
    reader: BitReader,
    table: npt.NDArray[np.int64],
    threads: int,
    out: Bits | None,
    given: Bits | None,
) -> Decoded | None:
    """Decode chunk by chunk, straight into the elements. None where that takes too much memory, or the chunk table does
    not fit the streams.
    """
    if p.chunks.size > kernels.MAX_FUSED_CHUNK or p.matrix.has_many_offsets(p.scan):
        return None
    starts = chunk_starts(table, reader.position)
    gap_end, value_end, last = (int(x) for x in starts[-1])
    if value_end > len(reader.bits) or last > p.matrix.size or not bool((table[:, 2] > 0).all()):
        return None
    decoded = kernels.decode_sparse(
        reader.bits,
        starts,
        p.chunks.size,
        entries,
        tensor.numel,
        p.gaps.code,
        p.values.code,
        p.codebook.entries if given is None else np.require(given, requirements=["C_CONTIGUOUS", "ALIGNED"]),
        p.matrix.lines(p.scan),
        p.matrix.line_length(p.scan),
        p.matrix.offsets(p.scan),
        threads,
        out,
        in_order=given is not None,
    )
    if decoded is None:
        return None
    spans = [Span(Section.COLUMN_INDICES, reader.position, gap_end), Span(Section.VALUES, gap_end, value_end)]
    reader.position = value_end
    reader.finish("payload")
    return Decoded(decoded[0], [span for span in spans if span.bits], decoded[1])


def read_chunk_table(reader: BitReader, entries: int, p: Coded) -> npt.NDArray[np.int64]:
    """Gap bits, value bits and advance of each chunk: int64 of shape (chunks, 3)."""
    count = p.chunks.count(entries)
    table = reader.rows(count, p.chunks.widths, "chunk table")
    if not p.chunks.widths[1]:
        sizes = np.full(count, p.chunks.size)
        sizes[-1] = entries - int(sizes[:-1].sum())
        table[:, 1] = sizes * p.values.code.max_length
    return table


def chunk_starts(table: npt.NDArray[np.int64], position: int) -> npt.NDArray[np.int64]:
    """Gap bit, value bit and cursor where each chunk starts, and the ends: int64 of shape (chunks + 1, 3).

    position : the bit after the chunk table.
    """
    first = np.array([[position, position + int(table[:, 0].sum()), 0]])
    return np.concatenate([first, first + np.cumsum(table, axis=0)])


def decode_rows(entries: int, p: Coded, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    """Elements first to last - 1, of a tensor that is read row by row and has chunks. Raises `PayloadError`."""
    reader = BitReader(payload, PayloadError)
    table = read_chunk_table(reader, entries, p)
    starts = chunk_starts(table, reader.position)
    # Elements first to last lie in these positions of the compacted matrix.
    wanted = [_position(p, first), _position(p, last)]
    begin = max(0, int(np.searchsorted(starts[:, 2], wanted[0], "right")) - 1)
    end = min(len(table), int(np.searchsorted(starts[:, 2], wanted[1], "left")))
    out = np.zeros(last - first, tensor.dtype.bits)
    if end <= begin:
        return out
    count = min(end * p.chunks.size, entries) - begin * p.chunks.size
    gaps, position = kernels.decode_gaps(reader.bits, int(starts[begin, 0]), count, p.gaps.code)
    if position != starts[end, 0]:
        raise PayloadError(f"chunk {end - 1} does not end where the next one starts")
    values = decode_part(reader, int(starts[begin, 1]), int(starts[end, 1]), count, p.values)
    positions = int(starts[begin, 2]) + flat_positions(gaps, p.pbits)
    if int(positions[-1]) != starts[end, 2] - 1 or starts[end, 2] > p.matrix.size:
        raise PayloadError(f"chunk {end - 1} does not agree with its advance")
    keep = (positions >= wanted[0]) & (positions < wanted[1])
    places = p.matrix.flat_indices(positions[keep], p.scan)
    inside = (places >= first) & (places < last)
    out[places[inside] - first] = p.codebook.entries[values[keep][inside]]
    return out


def _position(p: Coded, element: int) -> int:
    """The first position that lies at `element` or behind it."""
    row, column = divmod(element, p.matrix.columns)
    rows, columns = p.matrix.live_rows, p.matrix.live_columns
    before = row if rows is None else int(np.count_nonzero(rows[:row]))
    if rows is not None and row < p.matrix.rows and not rows[row]:
        column = 0
    left = column if columns is None else int(np.count_nonzero(columns[:column]))
    return before * p.matrix.line_length(p.scan) + left
