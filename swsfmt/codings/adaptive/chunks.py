"""Adaptive payloads <-> symbols and elements, chunk by chunk (spec 5.6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...entropy import adaptive
from ...errors import PayloadError
from ...format.sections import Role, Section, Span
from ...parallel import in_parallel
from ...tensor import TensorInfo
from ..base import Decoded, Payload, Scan, Symbols, zeros
from ..matrix import lines_and_length, matrix_shape
from .params import Params

ADAPTIVE_CODES = Section("adaptive_codes", "adaptive codes", Role.VALUES, before=Section.CODEBOOKS)

_LENGTH_BYTES = 4


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`."""
    starts = code_starts(params, tensor, payload)
    out = zeros(tensor, out)
    decode_chunks(params, tensor, payload, starts, out, threads)
    start = int(starts[0])
    spans = [Span(Section.CHUNK_TABLES, 0, 8 * start), Span(ADAPTIVE_CODES, 8 * start, 8 * len(payload))]
    return Decoded(out, [span for span in spans if span.bits])


def code_starts(params: Params, tensor: TensorInfo, payload: Payload) -> npt.NDArray[np.int64]:
    """The byte where the code of each chunk starts, and the last one ends: int64 of shape (chunks + 1,)."""
    lines, _ = lines_and_length(tensor, params.scan)
    chunks = -(-lines // (params.chunk_lines or lines))
    start = _LENGTH_BYTES * (chunks - 1)
    if start > len(payload):
        raise PayloadError(f"{chunks} chunks have a chunk table of {start} bytes, the payload has {len(payload)}")
    starts = np.empty(chunks + 1, np.int64)
    starts[0], starts[-1] = start, len(payload)
    np.cumsum(np.frombuffer(payload, "<u4", chunks - 1), dtype=np.int64, out=starts[1:-1])
    starts[1:-1] += start
    if starts[-2] > len(payload):
        raise PayloadError(f"the chunks have {int(starts[-2])} bytes and more, the payload has {len(payload)}")
    return starts


def decode_chunks(
    params: Params, tensor: TensorInfo, payload: Payload, starts: npt.NDArray[np.int64], out: Bits, threads: int
) -> None:
    """Decode the chunks whose codes start at these bytes into the elements `out` of the whole tensor, zeros so far."""
    lines, length = lines_and_length(tensor, params.scan)
    steps = (length, 1) if params.scan == Scan.ROWS else (1, lines)
    values, size = params.codebook.symbols, params.chunk_lines or lines
    adaptive.decode_elements(payload, starts, size, values, out, lines, length, steps, params.model, threads)


def decode_rows(params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    """Elements first to last - 1, of a tensor that is read row by row and has chunks. Raises `PayloadError`."""
    starts = code_starts(params, tensor, payload)
    rows, columns = matrix_shape(tensor.shape)
    size = params.chunk_lines * columns
    begin, end = first // size, -(-last // size)
    wanted = range(begin * params.chunk_lines, min(end * params.chunk_lines, rows))
    part = TensorInfo(tensor.dtype, (len(wanted), columns))
    out = zeros(part, None)
    if len(wanted):
        decode_chunks(params, part, payload, starts[begin : end + 1], out, 1)
    return out[first - begin * size : last - begin * size]


def encode(params: Params, symbols: Symbols, threads: int = 1) -> bytes:
    """The payload of the codebook symbols of a matrix, shape (rows, columns)."""
    by_line = symbols if params.scan == Scan.ROWS else symbols.T
    size, model = params.chunk_lines or len(by_line), params.model

    def part(first: int) -> bytes:
        return adaptive.encode(by_line[first : first + size], model)

    parts = in_parallel(part, range(0, len(by_line), size), threads=threads)
    lengths = np.array([len(code) for code in parts[:-1]], "<u4")
    return b"".join([lengths.tobytes(), *parts])
