"""Adaptive payloads <-> symbols and elements, chunk by chunk (spec 5.6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...entropy import adaptive
from ...entropy.bits import BitReader, BitWriter
from ...entropy.rans import Classes
from ...errors import PayloadError
from ...format.sections import Role, Section, Span
from ...parallel import in_parallel
from ...tensor import TensorInfo
from ..base import Decoded, Payload, Scan, Symbols, zeros
from ..chunks import code_starts
from ..classes.labels import CLASS_LABELS, read_classes, write_classes
from ..matrix import lines_and_length, matrix_shape
from .params import Params

ADAPTIVE_CODES = Section("adaptive_codes", "adaptive codes", Role.VALUES, before=Section.CODEBOOKS)


class Head:
    """What comes before the codes of the chunks, read and checked.

    classes : None where the record has none
    starts : the byte where the code of each chunk starts, and the last one ends: int64 of shape (chunks + 1,)
    spans : where its bits go
    """

    def __init__(self, params: Params, tensor: TensorInfo, payload: Payload) -> None:
        self.classes: Classes | None = None
        table = 0
        if params.has_classes:
            reader = BitReader(payload, PayloadError)
            shape = matrix_shape(tensor.shape)
            self.classes = read_classes(reader, shape, params.row_classes, params.column_classes)
            reader.align("the classes")
            table = reader.position // 8
        lines, _ = lines_and_length(tensor, params.scan)
        chunks = -(-lines // (params.chunk_lines or lines))
        self.starts = code_starts(chunks, payload, table)
        start = int(self.starts[0])
        spans = [
            Span(CLASS_LABELS, 0, 8 * table),
            Span(Section.CHUNK_TABLES, 8 * table, 8 * start),
            Span(ADAPTIVE_CODES, 8 * start, 8 * len(payload)),
        ]
        self.spans = [span for span in spans if span.bits]


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`."""
    head = Head(params, tensor, payload)
    out = zeros(tensor, out)
    _decode_chunks(params, tensor, payload, head.starts, head.classes, out, threads)
    return Decoded(out, head.spans)


def _decode_chunks(
    params: Params,
    tensor: TensorInfo,
    payload: Payload,
    starts: npt.NDArray[np.int64],
    classes: Classes | None,
    out: Bits,
    threads: int,
) -> None:
    """Decode the chunks whose codes start at these bytes into the elements `out` of the whole tensor, zeros so far."""
    lines, length = lines_and_length(tensor, params.scan)
    steps = (length, 1) if params.scan == Scan.ROWS else (1, lines)
    values, size = params.codebook.symbols, params.chunk_lines or lines
    if params.order is not None:
        values = values[params.order]
    adaptive.decode_elements(payload, starts, size, values, out, lines, length, steps, params.model(classes), threads)


def decode_rows(params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    """Elements first to last - 1, of a tensor that is read row by row and has chunks. Raises `PayloadError`."""
    head, classes = Head(params, tensor, payload), None
    rows, columns = matrix_shape(tensor.shape)
    size = params.chunk_lines * columns
    begin, end = first // size, -(-last // size)
    wanted = slice(begin * params.chunk_lines, min(end * params.chunk_lines, rows))
    if head.classes is not None:
        classes = head.classes._replace(rows=head.classes.rows[wanted])
    part = TensorInfo(tensor.dtype, (wanted.stop - wanted.start, columns))
    out = zeros(part, None)
    if part.numel:
        _decode_chunks(params, part, payload, head.starts[begin : end + 1], classes, out, 1)
    return out[first - begin * size : last - begin * size]


def encode(params: Params, symbols: Symbols, threads: int = 1) -> bytes:
    """The payload of the codebook symbols of a matrix, shape (rows, columns)."""
    by_line = in_order(params, symbols)
    size, model = params.chunk_lines or len(by_line), params.model(params.classes)

    def part(first: int) -> bytes:
        return adaptive.encode(by_line[first : first + size], model.of_lines(first, first + size))

    return joined(params, in_parallel(part, range(0, len(by_line), size), threads=threads))


def joined(params: Params, codes: Sequence[bytes]) -> bytes:
    """The payload, from the codes of its chunks."""
    writer = BitWriter()
    if params.classes is not None:
        write_classes(writer, params.classes)
    lengths = np.array([len(code) for code in codes[:-1]], "<u4")
    return b"".join([writer.to_bytes(), lengths.tobytes(), *codes])


def in_order(params: Params, symbols: Symbols) -> Symbols:
    """Symbols of a codebook, shape (rows, columns), as the coder sees them: line by line, and those of each sign by
    their magnitudes if it is to know them."""
    by_line = symbols if params.scan == Scan.ROWS else symbols.T
    return by_line if params.order is None else params.order[by_line]
