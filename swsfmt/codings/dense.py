"""Coding 3: every element is a symbol of a codebook (spec 5.4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits
from ..entropy import kernels
from ..entropy.bits import BitReader, BitWriter, varint_bytes
from ..entropy.code_table import write_table
from ..errors import PayloadError
from ..format.codebook import Codebook
from ..format.cursor import Cursor, varint
from ..format.resources import Resources
from ..format.sections import Section, Span
from ..tensor import Loadable, TensorInfo
from .base import Decoded, Freedom, Payload, Proposal, SymbolMatrix, Symbols
from .chunks import NO_CHUNKS, Chunks, check_column, check_width, chunks_for, parse_chunks, width_of
from .registry import register
from .streams import (
    Stream,
    StreamKind,
    cheapest_stream,
    decode_part,
    number_tables,
    parse_earlier,
    parse_stream_kind,
    read_stream,
)
from .symbols import SymbolCoding

# What a row of the chunk table takes, about.
_CHUNK_BITS = 15
# Fixed-width symbols that are decoded as a chunk; they need no restart points.
_FIXED_CHUNK = 8192
# NumPy makes 8 bytes of every index: in blocks, to save memory.
_BLOCK = 1 << 18


# Not frozen: see `Stream`.
@dataclass(eq=False, slots=True)
class Params:
    """number : of the codebook in the file. stream : the code of the symbols."""

    number: int
    codebook: Codebook
    stream: Stream
    chunks: Chunks = NO_CHUNKS


class DenseCoding(SymbolCoding[Params]):
    """Codebook and Huffman codes, or fields of a fixed width."""

    id = 3
    name = "dense"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        if tensor.numel == 0:
            raise cursor.error("a tensor without elements must be raw")
        number, codebook = resources.codebook(cursor, tensor.dtype)
        layout = cursor.u8("layout")
        kind = parse_stream_kind(cursor, layout & 3)
        if layout >> 2 & 3:
            raise cursor.error("reserved bits of a dense layout are not zero")
        table_start = cursor.position
        earlier = parse_earlier(cursor, kind)
        table_end = cursor.position
        if layout >> 4 and kind == StreamKind.FIXED:
            raise cursor.error("a fixed-width stream has no chunk table")
        chunks = parse_chunks(cursor, layout >> 4, tensor.numel, 1) if layout >> 4 else NO_CHUNKS
        for width in chunks.widths:
            check_width(cursor, width, "chunk column width")

        with cursor.packed() as reader:
            start = reader.position
            stream = read_stream(kind, earlier, codebook.count + 1, reader, resources)
            if resources.spans is not None:
                base = 8 * cursor.base
                resources.span(Section.CODE_TABLES, base + 8 * table_start, base + 8 * table_end)
                resources.span(Section.CODE_TABLES, base + start, base + reader.position)
        return Params(number, codebook, stream, chunks)

    def write(self, params: Params, resources: Resources) -> bytes:
        layout = params.stream.kind | params.chunks.code << 4
        out = varint(params.number) + bytes([layout])
        if params.stream.kind == StreamKind.EARLIER_TABLE:
            out += varint(params.stream.table)
        out += bytes(params.chunks.widths)
        packed = BitWriter()
        if params.stream.kind == StreamKind.NEW_TABLE:
            write_table(packed, params.stream.code)
        return out + packed.to_bytes()

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        reader = BitReader(payload, PayloadError)
        chunks = _chunk_starts(params, tensor.numel, reader)
        start = reader.position
        bits = None
        if chunks is not None and kernels.can_fuse(tensor.dtype.itemsize):
            size, starts = chunks
            if starts[-1] <= len(reader.bits):
                code, elements = params.stream.code, params.codebook.symbols
                bits = kernels.decode_dense(reader.bits, starts, size, tensor.numel, code, elements, threads, out)
                reader.position = int(starts[-1])
        if bits is None:
            bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
            reader.position = start
            _decode_blocks(params, reader, chunks[1] if chunks is not None and params.chunks.code else None, bits)
        reader.finish("payload")
        spans = [Span(Section.CHUNK_TABLES, 0, start), Span(Section.VALUES, start, reader.position)]
        return Decoded(bits, [span for span in spans if span.bits])

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        """Decodes some chunks at a time, to save memory."""
        reader = BitReader(payload, PayloadError)
        chunks = _chunk_starts(params, tensor.numel, reader)
        if chunks is None:
            return
        size, starts = chunks
        many = max(1, _BLOCK // size)
        is_right = int(starts[-1]) <= len(reader.bits)
        block = np.empty(min(many * size, tensor.numel), tensor.dtype.bits)
        for first in range(0, len(starts) - 1, many):
            part = block[: min(many * size, tensor.numel - first * size)]
            within, code, elements = starts[first : first + many + 1], params.stream.code, params.codebook.symbols
            is_right = is_right and (
                kernels.decode_dense(reader.bits, within, size, len(part), code, elements, threads, part) is not None
            )
        if not is_right:
            # This says what is wrong; and it takes elements that the kernel does not.
            self.decode(params, tensor, payload)
        reader.position = int(starts[-1])
        reader.finish("payload")

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        reader = BitReader(payload, PayloadError)
        chunks = _chunk_starts(params, tensor.numel, reader)
        if chunks is None:
            return super().decode_rows(params, tensor, payload, first, last)
        size, starts = chunks
        begin, end = first // size, -(-last // size)
        total = min(end * size, tensor.numel) - begin * size
        symbols = decode_part(reader, int(starts[begin]), int(starts[end]), total, params.stream)
        return params.codebook.symbols[symbols[first - begin * size : last - begin * size]]

    def has_rows(self, params: Params) -> bool:
        return params.chunks.code > 0 or params.stream.kind == StreamKind.FIXED

    def survey(self, matrix: SymbolMatrix, freedom: Freedom, threads: int = 1) -> npt.NDArray[np.int64]:
        """How often each symbol occurs."""
        return matrix.counts

    def propose(
        self,
        survey: npt.NDArray[np.int64],
        tensor: TensorInfo,
        number: int,
        resources: Resources,
        freedom: Freedom,
    ) -> Proposal:
        """The cheapest dense form. The width of the chunk table is left open: `encode` finds it."""
        huffman = freedom.huffman and resources.has_room(table_symbols=len(survey))
        total = tensor.numel
        stream, size = cheapest_stream(survey, total, resources, huffman)
        chunks = NO_CHUNKS if stream.kind == StreamKind.FIXED else chunks_for(total)
        size += _CHUNK_BITS * chunks.count(total) + 8 * (varint_bytes(number) + 1)
        return Proposal(self, Params(number, resources.codebooks[number], stream, chunks), size)

    def number_resources(self, params: Params, resources: Resources) -> None:
        number_tables([params.stream], resources)

    def encode(self, params: Params, tensor: Loadable, threads: int = 1) -> tuple[Params, bytes]:
        if params.stream.code.single is not None and not params.chunks.code:
            return params, b""
        symbols, _ = params.codebook.symbols_of(tensor.load().bits, threads)
        return encode(params, symbols, threads)


def _chunk_starts(params: Params, numel: int, reader: BitReader) -> tuple[int, npt.NDArray[np.int64]] | None:
    """How many symbols a chunk has, and the bit where each starts and the last one ends: int64 of shape (chunks + 1,).

    The chunk table, where there is one, is read. Without one, chunks of fixed-width symbols start where they must; None
    for other streams.
    """
    if params.chunks.code:
        sizes = reader.fields(params.chunks.count(numel), params.chunks.widths[0], "chunk table")
        return params.chunks.size, reader.position + np.concatenate([[0], np.cumsum(sizes)])
    if params.stream.kind == StreamKind.FIXED:
        symbols = np.append(np.arange(0, numel, _FIXED_CHUNK), numel)
        return _FIXED_CHUNK, reader.position + symbols * params.stream.code.max_length
    return None


def _decode_blocks(params: Params, reader: BitReader, starts: npt.NDArray[np.int64] | None, out: Bits) -> None:
    """Decode without the help of the chunk table, which is then compared. starts : what it says; None without one."""
    code, elements = params.stream.code, params.codebook.symbols
    sizes = []
    # Blocks of whole chunks.
    block = max(_BLOCK, params.chunks.size)
    for first in range(0, len(out), block):
        part = out[first : first + block]
        if starts is None:
            reader.position = kernels.decode_elements(reader.bits, reader.position, code, elements, part)
            continue
        symbols, reader.position = kernels.decode_symbols(reader.bits, reader.position, len(part), code)
        part[:] = elements[symbols]
        sizes.append(kernels.chunk_bits(symbols, code, params.chunks.size))
    if starts is not None:
        check_column(np.concatenate(sizes), np.diff(starts), "the size in bits")


def encode(params: Params, symbols: Symbols, threads: int = 1) -> tuple[Params, bytes]:
    """The payload of these codebook symbols, and the parameters with all widths."""
    if not params.chunks.code:
        return params, kernels.encode_stream(symbols, params.stream.code, threads)
    writer = BitWriter()
    sizes = kernels.chunk_bits(symbols, params.stream.code, params.chunks.size, threads)
    params = replace(params, chunks=replace(params.chunks, widths=(width_of(sizes),)))
    writer.fields(sizes, params.chunks.widths[0])
    writer.bits.extend(kernels.encode_symbols(symbols, params.stream.code, threads))
    return params, writer.to_bytes()


DENSE = DenseCoding()
register(DENSE)
