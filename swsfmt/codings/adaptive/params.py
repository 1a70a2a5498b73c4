"""Coding 5: every element is a symbol of a codebook, coded with contexts that adapt (spec 5.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...entropy import adaptive
from ...entropy.adaptive import MAX_LINE, MAX_LINES, MAX_STRIDE, Model
from ...errors import PayloadError
from ...format.codebook import Codebook
from ...format.cursor import Cursor, varint
from ...format.sections import Section, Span
from ...parallel import in_parallel
from ...tensor import TensorInfo
from ..common import Decoded, Payload, Resources
from ..sparse.matrix import matrix_shape
from ..sparse.params import Scan

ID = 5
NAME = "adaptive"

Symbols = npt.NDArray[np.uint16]

_LIGHT, _NO_ZEROS, _STRIDE, _CHUNKS = 2, 4, 8, 16
_LENGTH_BYTES = 4
# NumPy makes 8 bytes of every index: in blocks, to save memory.
_BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class Params:
    """stride : of neighbours, in columns of the matrix.
    light : the smaller set of contexts.
    zeros : whether an element may be zero.
    chunk_lines : lines of a chunk; 0 for a single chunk.
    """

    number: int
    codebook: Codebook
    scan: Scan = Scan.ROWS
    stride: int = 1
    light: bool = False
    zeros: bool = True
    chunk_lines: int = 0

    def payload_length(self, tensor: TensorInfo) -> None:
        """The record holds it."""

    @property
    def model(self) -> Model:
        """For the entropy coder: strides along a line and across lines."""
        by_rows = self.scan == Scan.ROWS
        strides = (self.stride, 1) if by_rows else (1, self.stride)
        return Model(*strides, signs(self.codebook), self.zeros, self.light)


def signs(codebook: Codebook) -> tuple[int, int]:
    """How many values have their highest bit clear, and how many have it set."""
    second = int(np.count_nonzero(codebook.values >> (8 * codebook.dtype.itemsize - 1)))
    return codebook.count - second, second


def lines_and_length(tensor: TensorInfo, scan: Scan) -> tuple[int, int]:
    """The shape of the tensor's matrix as it is read."""
    rows, columns = matrix_shape(tensor.shape)
    return (rows, columns) if scan == Scan.ROWS else (columns, rows)


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    if tensor.numel == 0:
        raise cursor.error("a tensor without elements must be raw")
    number, codebook = resources.codebook(cursor, tensor.dtype)
    layout = cursor.u8("layout")
    if layout >> 5:
        raise cursor.error("reserved bits of an adaptive layout are not zero")
    scan = Scan(layout & 1)
    lines, length = lines_and_length(tensor, scan)
    if length > MAX_LINE:
        raise cursor.error(f"a line of {length} elements, the most is {MAX_LINE}")
    stride = 1
    if layout & _STRIDE:
        stride = cursor.varint("stride")
        if not 2 <= stride <= MAX_STRIDE:
            raise cursor.error(f"stride {stride} is not within 2 to {MAX_STRIDE}")
    chunk_lines = 0
    if layout & _CHUNKS:
        chunk_lines = cursor.varint("lines of a chunk")
        if not 1 <= chunk_lines < lines:
            raise cursor.error(f"chunks of {chunk_lines} lines in a matrix of {lines}")
    if (chunk_lines or lines) > MAX_LINES:
        raise cursor.error(f"a chunk of {chunk_lines or lines} lines, the most is {MAX_LINES}")
    return Params(number, codebook, scan, stride, bool(layout & _LIGHT), not layout & _NO_ZEROS, chunk_lines)


def write(params: Params) -> bytes:
    has_stride, has_chunks = params.stride > 1, params.chunk_lines > 0
    layout = params.scan | _LIGHT * params.light | _NO_ZEROS * (not params.zeros)
    layout |= _STRIDE * has_stride | _CHUNKS * has_chunks
    out = varint(params.number) + bytes([layout])
    if has_stride:
        out += varint(params.stride)
    return out + varint(params.chunk_lines) if has_chunks else out


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload, to `out` if there is one. Raises `PayloadError`."""
    chunks = chunk_starts(params, tensor)
    start, parts = split(payload, len(chunks))
    out = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
    decode_chunks(params, tensor, chunks, parts, out, threads)
    spans = [Span(Section.CHUNK_TABLES, 0, 8 * start), Span(Section.ADAPTIVE_CODES, 8 * start, 8 * len(payload))]
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
    """Decode the chunks that start at these lines into the elements `out` of the whole tensor."""
    lines, length = lines_and_length(tensor, params.scan)
    matrix = out.reshape(matrix_shape(tensor.shape))
    by_line = matrix if params.scan == Scan.ROWS else matrix.T
    elements, model, size = params.codebook.symbols, params.model, params.chunk_lines or lines

    def part(first: int, code: memoryview) -> None:
        symbols = adaptive.decode(code, min(size, lines - first), length, model)
        step = max(1, _BLOCK // length)
        for start in range(0, len(symbols), step):
            block = symbols[start : start + step]
            by_line[first + start : first + start + len(block)] = elements[block]

    in_parallel(part, chunks, parts, threads=threads)


def encode(params: Params, symbols: Symbols, threads: int = 1) -> bytes:
    """The payload of the codebook symbols of a matrix, shape (rows, columns)."""
    by_line = symbols if params.scan == Scan.ROWS else symbols.T
    size, model = params.chunk_lines or len(by_line), params.model

    def part(first: int) -> bytes:
        return adaptive.encode(by_line[first : first + size], model)

    parts = in_parallel(part, range(0, len(by_line), size), threads=threads)
    lengths = np.array([len(code) for code in parts[:-1]], "<u4")
    return b"".join([lengths.tobytes(), *parts])
