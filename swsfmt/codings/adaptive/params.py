"""The parameters of an adaptive record: index bytes <-> dataclass (spec 5.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...entropy.adaptive import MAX_LINE, MAX_LINES, MAX_STRIDE, Model, Pairs
from ...entropy.protocol import Symbols
from ...entropy.rans import Classes
from ...format.codebook import Codebook
from ...format.cursor import Cursor, varint
from ...format.resources import Resources
from ...tensor import TensorInfo
from ..base import Scan
from ..matrix import lines_and_length, matrix_shape

_LIGHT, _NO_ZEROS, _STRIDE, _CHUNKS, _CLASSES = 2, 4, 8, 16, 32


@dataclass(frozen=True, eq=False)
class Params:
    """stride : of neighbours, in columns of the matrix.
    light : the smaller set of contexts.
    zeros : whether an element may be zero.
    chunk_lines : lines of a chunk; 0 for a single chunk.
    row_classes, column_classes : how many there are, where they are contexts, with what comes with them; else 0.
    classes : known to a writer alone; a reader has them from the payload.
    """

    number: int
    codebook: Codebook
    scan: Scan = Scan.ROWS
    stride: int = 1
    light: bool = False
    zeros: bool = True
    chunk_lines: int = 0
    row_classes: int = 0
    column_classes: int = 0
    classes: Classes | None = None

    @property
    def has_classes(self) -> bool:
        return self.row_classes > 0

    def with_classes(self, classes: Classes) -> Params:
        """The same, with these classes as contexts."""
        of_rows, of_columns = classes.row_classes, classes.column_classes
        return replace(self, row_classes=of_rows, column_classes=of_columns, classes=classes)

    def model(self, classes: Classes | None) -> Model:
        """For the entropy coder: strides along a line and across lines. classes : of the matrix, if there are any"""
        by_rows = self.scan == Scan.ROWS
        strides = (self.stride, 1) if by_rows else (1, self.stride)
        pairs = None
        if classes is not None:
            own = [classes.rows * classes.column_classes, classes.columns][:: 1 if by_rows else -1]
            pairs = Pairs(own[0].tobytes(), own[1].tobytes(), classes.row_classes * classes.column_classes)
        return Model(*strides, signs(self.codebook), self.zeros, self.light, pairs)

    @property
    def order(self) -> Symbols | None:
        """The symbol of the coder for each one of the codebook, and the other way round; None where they are the same.

        With classes those of each sign are in the order of their magnitudes: of negative integers the last one first.
        """
        if not self.has_classes or self.codebook.dtype.kind != "signed":
            return None
        first, order = signs(self.codebook)[0], np.arange(self.codebook.count + 1, dtype=np.uint16)
        order[first + 1 :] = order[first + 1 :][::-1].copy()
        return order


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
    if layout >> 6:
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
    classes = _parse_classes(cursor, tensor) if layout & _CLASSES else (0, 0)
    return Params(number, codebook, scan, stride, bool(layout & _LIGHT), not layout & _NO_ZEROS, chunk_lines, *classes)


def _parse_classes(cursor: Cursor, tensor: TensorInfo) -> tuple[int, int]:
    """How many of rows and of columns there are."""
    byte = cursor.u8("classes")
    if byte >> 6:
        raise cursor.error("reserved bits of adaptive classes are not zero")
    row_classes, column_classes = (byte & 7) + 1, (byte >> 3) + 1
    rows, columns = matrix_shape(tensor.shape)
    if row_classes > rows or column_classes > columns:
        raise cursor.error(f"{row_classes} x {column_classes} classes in a matrix of {rows} x {columns}")
    return row_classes, column_classes


def write(params: Params) -> bytes:
    """The inverse of `parse`."""
    has_stride, has_chunks = params.stride > 1, params.chunk_lines > 0
    layout = params.scan | _LIGHT * params.light | _NO_ZEROS * (not params.zeros)
    layout |= _STRIDE * has_stride | _CHUNKS * has_chunks | _CLASSES * params.has_classes
    out = varint(params.number) + bytes([layout])
    if has_stride:
        out += varint(params.stride)
    if has_chunks:
        out += varint(params.chunk_lines)
    if params.has_classes:
        out += bytes([(params.row_classes - 1) | (params.column_classes - 1) << 3])
    return out
