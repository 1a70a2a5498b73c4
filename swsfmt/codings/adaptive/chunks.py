"""Adaptive payloads <-> symbols and elements, chunk by chunk (spec 5.6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

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
    chunks = chunk_starts(params, tensor)
    start, parts = split(payload, len(chunks))
    out = zeros(tensor, out)
    decode_chunks(params, tensor, chunks, parts, out, threads)
    spans = [Span(Section.CHUNK_TABLES, 0, 8 * start), Span(ADAPTIVE_CODES, 8 * start, 8 * len(payload))]
    return Decoded(out, [span for span in spans if span.bits])


def chunk_starts(params: Params, tensor: TensorInfo) -> range:
    """The first line of each chunk."""
    lines, _ = lines_and_length(tensor, params.scan)
    return range(0, lines, params.chunk_lines or lines)


def split(payload: Payload, chunks: int) -> tuple[int, list[memoryview]]:
    """The byte where the codes start, and the codes of each chunk."""
    view = memoryview(payload)
    start = _LENGTH_BYTES * (chunks - 1)
    if start > len(view):
        raise PayloadError(f"{chunks} chunks have a chunk table of {start} bytes, the payload has {len(view)}")
    lengths = np.frombuffer(view[:start], "<u4").astype(np.int64)
    ends = start + np.cumsum(lengths)
    if len(ends) and ends[-1] > len(view):
        raise PayloadError(f"the chunks have {int(ends[-1])} bytes and more, the payload has {len(view)}")
    cuts = [start, *ends.tolist(), len(view)]
    return start, [view[first:last] for first, last in pairwise(cuts)]


def decode_chunks(
    params: Params, tensor: TensorInfo, chunks: Sequence[int], parts: Sequence[memoryview], out: Bits, threads: int
) -> None:
    """Decode the chunks that start at these lines into the elements `out` of the whole tensor, which are zero."""
    lines, length = lines_and_length(tensor, params.scan)
    steps = (length, 1) if params.scan == Scan.ROWS else (1, lines)
    values, model, size = params.codebook.symbols, params.model, params.chunk_lines or lines

    def part(first: int, code: memoryview) -> None:
        adaptive.decode_elements(code, values, out[first * steps[0] :], min(size, lines - first), length, steps, model)

    in_parallel(part, chunks, parts, threads=threads)


def decode_rows(params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    """Elements first to last - 1, of a tensor that is read row by row and has chunks. Raises `PayloadError`."""
    chunks = chunk_starts(params, tensor)
    _, parts = split(payload, len(chunks))
    rows, columns = matrix_shape(tensor.shape)
    size = params.chunk_lines * columns
    begin, end = first // size, -(-last // size)
    wanted = range(begin * params.chunk_lines, min(end * params.chunk_lines, rows))
    part = TensorInfo(tensor.dtype, (len(wanted), columns))
    starts = range(0, len(wanted), params.chunk_lines)
    out = zeros(part, None)
    decode_chunks(params, part, starts, parts[begin:end], out, 1)
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
