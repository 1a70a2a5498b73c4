"""The parameters of an adaptive record: index bytes <-> dataclass (spec 5.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...entropy.adaptive import MAX_LINE, MAX_LINES, MAX_STRIDE, Model
from ...format.codebook import Codebook
from ...format.cursor import Cursor, varint
from ...format.resources import Resources
from ...tensor import TensorInfo
from ..base import Scan
from ..matrix import lines_and_length

_LIGHT, _NO_ZEROS, _STRIDE, _CHUNKS = 2, 4, 8, 16


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


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    """Raises `IndexRuleError`."""
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
    """The inverse of `parse`."""
    has_stride, has_chunks = params.stride > 1, params.chunk_lines > 0
    layout = params.scan | _LIGHT * params.light | _NO_ZEROS * (not params.zeros)
    layout |= _STRIDE * has_stride | _CHUNKS * has_chunks
    out = varint(params.number) + bytes([layout])
    if has_stride:
        out += varint(params.stride)
    return out + varint(params.chunk_lines) if has_chunks else out
