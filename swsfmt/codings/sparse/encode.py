"""Matrices of codebook symbols -> sparse payloads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from ...entropy import encoding, kernels
from ...entropy.bits import BitWriter
from ...errors import ChangedError
from ...parallel import MOST_THREADS, in_order
from ..base import Symbols
from ..chunks import MAX_FIELD_WIDTH, NO_CHUNKS, width_of
from ..streams import StreamKind
from .entries import Entries, line_counts, read_entries, whole_chunks
from .params import Params, chunk_rows


def encode(params: Params, symbols: Symbols, threads: int = 1) -> tuple[Params, bytes]:
    """The payload of a matrix of codebook symbols, shape (rows, columns), and the parameters with all widths.

    Raises `ChangedError` where the parameters are not for this matrix.
    """
    p = params.coded
    if p is None:
        return params, b""
    if p.matrix.has_entries_outside(symbols):
        raise ChangedError

    def streams(block: Entries) -> tuple[npt.NDArray[np.int64] | None, bitarray, bitarray]:
        gaps = kernels.gap_symbols(block.gaps, p.pbits)
        rows = chunk_rows(gaps, block.values, p) if p.chunks.code else None
        return rows, encoding.encode_symbols(gaps, p.gaps.code), encoding.encode_symbols(block.values, p.values.code)

    table, gap_bits, value_bits = [], bitarray(endian="little"), bitarray(endian="little")
    blocks = whole_chunks(read_entries(symbols, p.matrix, p.scan, p.line_ends, threads), p.chunks.size)
    for rows, gaps, values in in_order(streams, blocks, threads=min(threads, MOST_THREADS) if p.chunks.code else 1):
        if rows is not None:
            table.append(rows)
        gap_bits.extend(gaps)
        value_bits.extend(values)
    writer = BitWriter()
    if p.line_ends:
        counts = line_counts(symbols, p.matrix, p.scan)
        if width_of(counts) > p.line_width:
            raise ChangedError
        writer.fields(counts, p.line_width)
    chunks = p.chunks
    if table:
        rows = np.concatenate(table)
        has_column = (True, p.values.kind != StreamKind.FIXED, True)
        widths = tuple(width_of(rows[:, i]) if has else 0 for i, has in enumerate(has_column))
        # Entries so far apart that a chunk of them leads further than a field can say have no restart points.
        chunks = replace(chunks, widths=widths) if max(widths) <= MAX_FIELD_WIDTH else NO_CHUNKS
        for fields in rows.tolist() if chunks.code else ():
            for value, width in zip(fields, widths, strict=True):
                writer.field(value if width else 0, width)
    writer.bits.extend(gap_bits)
    del gap_bits
    writer.bits.extend(value_bits)
    del value_bits
    if chunks is not p.chunks:
        params = replace(params, coded=replace(p, chunks=chunks))
    return params, writer.to_bytes()
