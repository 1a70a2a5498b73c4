"""Finds the cheapest sparse form of a tensor: scan, width of the indices, what is compacted, line ends, codes.

All forms are ranked by the entropy of their gaps; the exact size, code tables included, decides among the best of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..codebook import Codebook
from ..cursor import varint
from ..entropy.bitmap import Form, Kind, Live, cheapest_form
from .choose import cheapest_stream, chunks_for
from .common import Chunks, Resources, Stream, StreamKind, width_of
from .sparse import CHUNKABLE_ENTRIES, MAX_PBITS, Coded, Params, Scan, chunk_table, encode
from .sparse_matrix import CompactMatrix, Indices, skips_and_gaps

_FINALISTS = 24
# What a used symbol takes in a code table, about.
_TABLE_BITS = 4
_LOG_BITS = 12
_LOG_TABLE = np.rint(np.log2(1 + np.arange(256) / 256) * (1 << _LOG_BITS)).astype(np.int64)


@dataclass(frozen=True)
class Freedom:
    """What the caller leaves open. None or True: choose by cost."""

    pbits: int | None = None
    scan: Scan | None = None
    compact: bool = True
    huffman: bool = True


@dataclass(frozen=True, eq=False)
class _Form:
    """A candidate: geometry and index width, with the counts of its gap symbols and the bits of all else."""

    matrix: CompactMatrix
    row_form: Form
    column_form: Form
    scan: Scan
    line_width: int
    pbits: int
    counts: npt.NDArray[np.int64]
    side_bits: int
    estimate: int


@dataclass(frozen=True, eq=False)
class Plan:
    """The chosen form. size: bits of parameters and payload."""

    params: Params
    positions: Indices
    values: npt.NDArray[np.uint16]
    size: int

    def payload(self) -> bytes:
        return b"" if self.params.coded is None else encode(self.params.coded, self.positions, self.values)


def plan(
    symbols: npt.NDArray[np.uint16], number: int, codebook: Codebook, resources: Resources, freedom: Freedom
) -> Plan:
    """The cheapest sparse form of a matrix of codebook symbols, shape (rows, columns)."""
    row, column = np.nonzero(symbols)
    entries = len(row)
    if entries == 0:
        empty = np.zeros(0, np.int64)
        return Plan(Params(0), empty, empty.astype(np.uint16), 8)
    values = symbols[row, column] - np.uint16(1)
    freedom = replace(
        freedom,
        compact=freedom.compact and resources.has_room(bitmap_bits=sum(symbols.shape)),
        huffman=freedom.huffman and resources.has_room(table_symbols=2 << MAX_PBITS),
    )
    value_stream, value_bits = cheapest_stream(
        np.bincount(values, minlength=codebook.count), resources.tables, freedom.huffman
    )
    forms = _forms((symbols.shape[0], symbols.shape[1]), row, column, resources.bitmaps, freedom)
    forms.sort(key=lambda form: form.estimate)
    best: tuple[int, _Form, Stream] | None = None
    for form in forms[:_FINALISTS]:
        stream, gap_bits = cheapest_stream(form.counts, resources.tables, freedom.huffman, smooth=True)
        size = form.side_bits + gap_bits
        if best is None or size < best[0]:
            best = (size, form, stream)
    assert best is not None
    size, form, gap_stream = best
    positions, order = form.matrix.positions(row, column, form.scan)
    coded = Coded(
        number,
        codebook,
        form.scan,
        form.pbits,
        gap_stream,
        value_stream,
        form.row_form,
        form.column_form,
        form.matrix,
        form.line_width,
    )
    size += value_bits + 8 * (len(varint(entries)) + len(varint(number)) + 2 + (entries >= CHUNKABLE_ENTRIES))
    chunks = chunks_for(entries)
    if chunks.code and not coded.line_ends:
        gaps = skips_and_gaps(form.matrix.gaps(positions, form.scan, False), form.pbits)
        coded = replace(coded, chunks=chunks)
        table = chunk_table(gaps, values[order], coded)
        has_column = (True, value_stream.kind != StreamKind.FIXED, True)
        widths = tuple(width_of(table[:, i]) if used else 0 for i, used in enumerate(has_column))
        coded = replace(coded, chunks=Chunks(chunks.code, widths))
        size += chunks.count(entries) * sum(widths) + 24
    return Plan(Params(entries, coded), positions, values[order], size)


def _forms(
    shape: tuple[int, int], row: Indices, column: Indices, bitmaps: Sequence[Live], freedom: Freedom
) -> list[_Form]:
    forms = []
    for matrix, row_form, column_form, bitmap_bits in _compactions(shape, row, column, bitmaps, freedom):
        for scan in Scan if freedom.scan is None else (freedom.scan,):
            positions, _ = matrix.positions(row, column, scan)
            for line_ends in (False, True):
                if line_ends and chunks_for(len(row)).code:
                    continue
                line_width = side_bits = 0
                if line_ends:
                    lines = np.bincount(positions // matrix.line_length(scan))
                    line_width = width_of(lines)
                    side_bits = line_width * matrix.lines(scan) + 8
                found, counts = np.unique(matrix.gaps(positions, scan, line_ends), return_counts=True)
                for pbits in range(1, MAX_PBITS + 1) if freedom.pbits is None else (freedom.pbits,):
                    symbol_counts = _symbol_counts(found, counts, pbits)
                    forms.append(
                        _Form(
                            matrix,
                            row_form,
                            column_form,
                            scan,
                            line_width,
                            pbits,
                            symbol_counts,
                            side_bits + bitmap_bits,
                            (side_bits + bitmap_bits << _LOG_BITS) + _estimate(symbol_counts, pbits, freedom.huffman),
                        )
                    )
    return forms


def _compactions(
    shape: tuple[int, int], row: Indices, column: Indices, bitmaps: Sequence[Live], freedom: Freedom
) -> list[tuple[CompactMatrix, Form, Form, int]]:
    """Which dead rows and columns to take out: none, either, both; with the bits of the bitmaps."""
    all_live = Form(Kind.ALL_LIVE)
    out = [(CompactMatrix(*shape, None, None), all_live, all_live, 0)]
    if not freedom.compact:
        return out
    live = []
    for axis, index in enumerate((row, column)):
        bits = np.zeros(shape[axis], np.bool_)
        bits[index] = True
        live.append(bits)
    live_rows, live_columns = live
    row_form, row_bits = cheapest_form(live_rows, bitmaps)
    # A copy or a mask may refer to the row bitmap of this very tensor.
    both = [*bitmaps, live_rows] if row_bits else list(bitmaps)
    column_form, column_bits = cheapest_form(live_columns, bitmaps)
    late_form, late_bits = cheapest_form(live_columns, both)
    if row_bits:
        out.append((CompactMatrix(*shape, live_rows, None), row_form, all_live, row_bits))
    if column_bits:
        out.append((CompactMatrix(*shape, None, live_columns), all_live, column_form, column_bits))
    if row_bits and late_bits:
        out.append((CompactMatrix(*shape, live_rows, live_columns), row_form, late_form, row_bits + late_bits))
    return out


def _symbol_counts(found: Indices, counts: Indices, pbits: int) -> npt.NDArray[np.int64]:
    """Counts of the gap symbols for gaps `found` that occur `counts` times."""
    skip = (1 << pbits) - 1
    skips, rest = np.divmod(found, skip)
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
    entropy = int((used * (_log2(np.array([total])) - _log2(used))).sum())
    return min(fixed, entropy + (_TABLE_BITS * len(used) << _LOG_BITS))


def _log2(n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """log2 of n >= 1 in 4096ths, from the leading 9 bits of n."""
    mantissa, exponent = np.frexp(n.astype(np.float64))
    fraction: npt.NDArray[np.int64] = _LOG_TABLE[(mantissa * 512).astype(np.int64) - 256]
    return (exponent.astype(np.int64) - 1 << _LOG_BITS) + fraction
