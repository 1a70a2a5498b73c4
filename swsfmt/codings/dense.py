"""Coding 3: every element is a symbol of a codebook (spec 5.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits
from ..entropy import kernels
from ..entropy.bits import BitReader, BitWriter
from ..entropy.code_table import write_table
from ..errors import PayloadError
from ..format.codebook import Codebook
from ..format.cursor import Cursor, varint
from ..format.sections import Section, Span
from ..tensor import TensorInfo
from .choose import cheapest_stream, chunks_for
from .common import (
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

ID = 3
NAME = "dense"

# What a row of the chunk table takes, about.
_CHUNK_BITS = 15
# Fixed-width symbols that are decoded as a chunk; they need no restart points.
_FIXED_CHUNK = 8192
# NumPy makes 8 bytes of every index: in blocks, to save memory.
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Params:
    number: int
    codebook: Codebook
    stream: Stream
    chunks: Chunks = NO_CHUNKS

    def payload_length(self, tensor: TensorInfo) -> None:
        """The record holds it."""


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    if tensor.numel == 0:
        raise cursor.error("a tensor without elements must be raw")
    number, codebook = resources.codebook(cursor, tensor.dtype)
    layout = cursor.u8("layout")
    kind = parse_stream_kind(cursor, layout & 3)
    if layout >> 2 & 3:
        raise cursor.error("reserved bits of a dense layout are not zero")
    table_start = cursor.offset
    earlier = parse_earlier(cursor, kind)
    resources.span(Section.CODE_TABLES, 8 * table_start, 8 * cursor.offset)
    if layout >> 4 and kind == StreamKind.FIXED:
        raise cursor.error("a fixed-width stream has no chunk table")
    chunks = parse_chunks(cursor, layout >> 4, tensor.numel, 1)
    for width in chunks.widths:
        check_width(cursor, width, "chunk column width")

    with cursor.packed() as reader:
        start = reader.position
        stream = read_stream(kind, earlier, codebook.count + 1, reader, resources)
        resources.span(Section.CODE_TABLES, 8 * cursor.base + start, 8 * cursor.base + reader.position)
    return Params(number, codebook, stream, chunks)


def write(params: Params) -> bytes:
    layout = params.stream.kind | params.chunks.code << 4
    out = varint(params.number) + bytes([layout])
    if params.stream.kind == StreamKind.EARLIER_TABLE:
        out += varint(params.stream.table)
    out += bytes(params.chunks.widths)
    packed = BitWriter()
    if params.stream.kind == StreamKind.NEW_TABLE:
        write_table(packed, params.stream.code)
    return out + packed.to_bytes()


def chunk_starts(params: Params, numel: int, reader: BitReader) -> tuple[int, npt.NDArray[np.int64]] | None:
    """How many symbols a chunk has, and the bit where each starts and the last one ends: int64 of shape (chunks + 1,).

    The chunk table, where there is one, is read. Without one, chunks of fixed-width symbols start where they must; None
    for other streams.
    """
    if params.chunks.code:
        told = reader.fields(params.chunks.count(numel), params.chunks.widths[0], "chunk table")
        return params.chunks.size, reader.position + np.concatenate([[0], np.cumsum(told)])
    if params.stream.kind == StreamKind.FIXED:
        symbols = np.append(np.arange(0, numel, _FIXED_CHUNK), numel)
        return _FIXED_CHUNK, reader.position + symbols * params.stream.code.max_length
    return None


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`."""
    reader = BitReader(payload, PayloadError)
    found = chunk_starts(params, tensor.numel, reader)
    start = reader.position
    code, elements, bits = params.stream.code, params.codebook.symbols, None
    if found is not None and kernels.can_fuse(tensor.dtype.itemsize):
        size, starts = found
        if starts[-1] <= len(reader.bits):
            bits = kernels.decode_dense(reader.bits, starts, size, tensor.numel, code, elements, threads, out)
            reader.position = int(starts[-1])
    if bits is None:
        bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
        sizes = []
        reader.position = start
        # Blocks of whole chunks.
        block = max(_BLOCK, params.chunks.size)
        for first in range(0, tensor.numel, block):
            count = min(block, tensor.numel - first)
            symbols, reader.position = kernels.decode_symbols(reader.bits, reader.position, count, code)
            bits[first : first + count] = elements[symbols]
            if params.chunks.code:
                sizes.append(kernels.chunk_bits(symbols, code, params.chunks.size))
        if found is not None and params.chunks.code:
            same(np.concatenate(sizes), np.diff(found[1]), "the size in bits")
    reader.finish("payload")
    spans = [Span(Section.CHUNK_TABLES, 0, start), Span(Section.VALUES, start, reader.position)]
    return Decoded(bits, [span for span in spans if span.bits])


def plan(
    counts: npt.NDArray[np.int64], number: int, codebook: Codebook, resources: Resources, huffman: bool
) -> tuple[Params, int]:
    """The cheapest dense form of a tensor with these counts of symbols, and its size in bits, parameters and payload.

    The width of the chunk table is left open: `encode` finds it.
    """
    huffman = huffman and resources.has_room(table_symbols=len(counts))
    stream, size = cheapest_stream(counts, resources.tables, huffman)
    total = int(counts.sum())
    chunks = Chunks() if stream.kind == StreamKind.FIXED else chunks_for(total)
    size += _CHUNK_BITS * chunks.count(total) + 8 * (len(varint(number)) + 1)
    return Params(number, codebook, stream, chunks), size


def encode(params: Params, symbols: npt.NDArray[np.uint16], threads: int = 1) -> tuple[Params, bytes]:
    """The payload of these codebook symbols, and the parameters with all widths."""
    writer = BitWriter()
    if params.chunks.code:
        sizes = kernels.chunk_bits(symbols, params.stream.code, params.chunks.size, threads)
        params = replace(params, chunks=replace(params.chunks, widths=(width_of(sizes),)))
        writer.fields(sizes, params.chunks.widths[0])
    writer.bits.extend(kernels.encode_symbols(symbols, params.stream.code, threads))
    return params, writer.to_bytes()
