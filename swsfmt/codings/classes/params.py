"""The parameters of a record with classes: index bytes <-> dataclass (spec 5.10)."""

from __future__ import annotations

from dataclasses import dataclass

from ...entropy.protocol import Labels
from ...entropy.rans import MAX_ALPHABET, MAX_BITS, MAX_LANES, MAX_ROWS, MIN_BITS, Classes
from ...format.codebook import Codebook
from ...format.cursor import Cursor, varint
from ...format.resources import Resources
from ...tensor import TensorInfo
from ..matrix import matrix_shape

LEAST = 1 << 12
"""Of fewer elements tables of frequencies are not smaller than a code table, and states of lanes come on top."""
_CHUNKS = 8


@dataclass(frozen=True, eq=False)
class Model:
    """What the payload begins with. levels : of shape (row classes, column classes, alphabet)."""

    classes: Classes
    levels: Labels


@dataclass(frozen=True, eq=False)
class Params:
    """number : of the codebook in the file. lanes : a power of two. chunk_rows : of a chunk; 0 for a single chunk.

    row_classes, column_classes : how many there are. bits : the frequencies of a table have the sum 2**bits.
    model : known to a writer alone; a reader has it from the payload.
    """

    number: int
    codebook: Codebook
    lanes: int
    row_classes: int
    column_classes: int
    bits: int
    chunk_rows: int = 0
    model: Model | None = None

    @property
    def alphabet(self) -> int:
        return self.codebook.count + 1

    def chunk(self, rows: int) -> int:
        """Rows of a chunk."""
        return self.chunk_rows or rows


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    """Raises `IndexRuleError`."""
    if tensor.numel == 0:
        raise cursor.error("a tensor without elements must be raw")
    number, codebook = resources.codebook(cursor, tensor.dtype)
    if codebook.count >= MAX_ALPHABET:
        raise cursor.error(f"a codebook of {codebook.count} values, the most for classes is {MAX_ALPHABET - 1}")
    layout = cursor.u8("layout")
    lanes = 1 << (layout & 7)
    if lanes > MAX_LANES:
        raise cursor.error(f"{lanes} lanes, the most is {MAX_LANES}")
    if layout >> 4:
        raise cursor.error("reserved bits of a layout with classes are not zero")
    classes = cursor.u8("classes")
    bits = MAX_BITS - (classes >> 6)
    if bits < MIN_BITS:
        raise cursor.error(f"frequencies of {bits} bits, the least is {MIN_BITS}")
    row_classes, column_classes = (classes & 7) + 1, (classes >> 3 & 7) + 1
    rows, columns = matrix_shape(tensor.shape)
    if row_classes > rows or column_classes > columns:
        raise cursor.error(f"{row_classes} x {column_classes} classes in a matrix of {rows} x {columns}")
    chunk_rows = 0
    if layout & _CHUNKS:
        chunk_rows = cursor.varint("rows of a chunk")
        if not 1 <= chunk_rows < rows:
            raise cursor.error(f"chunks of {chunk_rows} rows in a matrix of {rows}")
    if (chunk_rows or rows) > MAX_ROWS:
        raise cursor.error(f"a chunk of {chunk_rows or rows} rows, the most is {MAX_ROWS}")
    return Params(number, codebook, lanes, row_classes, column_classes, bits, chunk_rows)


def write(params: Params) -> bytes:
    """The inverse of `parse`."""
    layout = (params.lanes.bit_length() - 1) | _CHUNKS * (params.chunk_rows > 0)
    classes = (params.row_classes - 1) | (params.column_classes - 1) << 3 | (MAX_BITS - params.bits) << 6
    out = varint(params.number) + bytes([layout, classes])
    return out + varint(params.chunk_rows) if params.chunk_rows else out
