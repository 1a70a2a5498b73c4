"""Payloads with classes <-> symbols and elements, chunk by chunk (spec 5.10)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dtypes import Bits
from ...entropy import escape, rans
from ...entropy.arrays import aligned
from ...entropy.bits import BitReader, BitWriter
from ...entropy.frequencies import frequencies_of, read_frequencies, write_levels
from ...errors import PayloadError
from ...format.sections import Section, Span
from ...tensor import TensorInfo
from ..base import Decoded, Payload, Symbols, check_marks
from ..chunks import code_starts
from ..matrix import matrix_shape
from .labels import CLASS_LABELS, read_classes, write_classes
from .params import Model, Params

# Elements that are decoded at a time where they are not kept, about.
_BLOCK = 1 << 18


class Head:
    """What comes before the chunks, read and checked.

    classes, frequencies : see `rans.decode`
    starts : the byte where each chunk starts and the last one ends, int64 of shape (chunks + 1,)
    spans : where its bits go
    """

    def __init__(self, params: Params, tensor: TensorInfo, payload: Payload) -> None:
        rows, columns = matrix_shape(tensor.shape)
        reader = BitReader(payload, PayloadError)
        self.classes = read_classes(reader, (rows, columns), params.row_classes, params.column_classes)
        labels = reader.position
        self.frequencies = read_frequencies(
            reader, params.row_classes, params.column_classes, params.alphabet, params.bits
        )
        reader.align("the tables of frequencies")
        tables = reader.position
        self.starts = code_starts(-(-rows // params.chunk(rows)), payload, tables // 8)
        first = 8 * int(self.starts[0])
        spans = [
            Span(CLASS_LABELS, 0, labels),
            Span(Section.CODE_TABLES, labels, tables),
            Span(Section.CHUNK_TABLES, tables, first),
            Span(Section.VALUES, first, 8 * len(payload)),
        ]
        self.spans = [span for span in spans if span.bits]


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int, out: Bits | None) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`."""
    head = Head(params, tensor, payload)
    bits = np.empty(tensor.numel, params.codebook.symbols.dtype) if out is None else out
    _decode(params, payload, head, 0, len(head.starts) - 1, bits, threads)
    return Decoded(bits, head.spans)


def check(params: Params, tensor: TensorInfo, payload: Payload, threads: int) -> None:
    """Raises `PayloadError`."""
    for _ in _blocks(params, tensor, payload, Head(params, tensor, payload), threads):
        pass


def place(params: Params, tensor: TensorInfo, payload: Payload, values: Bits, out: Bits | None) -> Decoded:
    """See `Coding.place`. Raises `PayloadError`."""
    head = Head(params, tensor, payload)
    bits = np.empty(tensor.numel, values.dtype) if out is None else out
    done = marks = 0
    # Once, and not what is left of them for each block.
    values = aligned(values)
    for mask in _blocks(params, tensor, payload, head):
        marks += escape.spread(mask, values[marks:], bits[done : done + len(mask)])
        done += len(mask)
    check_marks(marks, len(values))
    return Decoded(bits, head.spans)


def _blocks(params: Params, tensor: TensorInfo, payload: Payload, head: Head, threads: int = 1) -> Iterator[Bits]:
    """The elements of some chunks at a time, to save memory, each in the place of those before."""
    rows, columns = matrix_shape(tensor.shape)
    size, chunks = params.chunk(rows), len(head.starts) - 1
    many = max(1, _BLOCK // (size * columns)) * max(1, threads)
    block = np.empty(min(many * size, rows) * columns, params.codebook.symbols.dtype)
    for first in range(0, chunks, many):
        part = block[: min(many * size, rows - first * size) * columns]
        _decode(params, payload, head, first, min(first + many, chunks), part, threads)
        yield part


def decode_rows(params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    """Elements first to last - 1, from the chunks that hold them. Raises `PayloadError`."""
    head = Head(params, tensor, payload)
    rows, columns = matrix_shape(tensor.shape)
    size = params.chunk(rows) * columns
    begin, end = first // size, -(-last // size)
    bits = np.empty(max(0, min(end * size, tensor.numel) - begin * size), params.codebook.symbols.dtype)
    if len(bits):
        _decode(params, payload, head, begin, end, bits, 1)
    return bits[first - begin * size : last - begin * size]


def _decode(params: Params, payload: Payload, head: Head, first: int, last: int, out: Bits, threads: int) -> None:
    """Chunks first to last - 1, which have as many elements as `out`."""
    size = params.chunk(len(head.classes.rows))
    rans.decode(
        payload,
        head.starts[first : last + 1],
        size,
        head.classes._replace(rows=head.classes.rows[first * size : last * size]),
        head.frequencies,
        params.bits,
        params.lanes,
        params.codebook.symbols,
        out,
        threads,
    )


def encode(params: Params, symbols: Symbols, threads: int = 1) -> bytes:
    """The payload of a matrix of codebook symbols. The parameters have a model."""
    assert params.model is not None
    writer = BitWriter()
    write_model(writer, params.model)
    size, frequencies = params.chunk(len(symbols)), frequencies_of(params.model.levels, params.bits)
    codes = rans.encode(symbols, size, params.model.classes, frequencies, params.bits, params.lanes, threads)
    lengths = np.array([len(code) for code in codes[:-1]], "<u4")
    return b"".join([writer.to_bytes(), lengths.tobytes(), *codes])


def write_model(writer: BitWriter, model: Model) -> None:
    """Labels and tables."""
    write_classes(writer, model.classes)
    write_levels(writer, model.levels)
