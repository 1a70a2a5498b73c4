"""The parameters of `scaled`: a form, levels, and factors that are broadcast in blocks (spec 5.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ...dtypes import BY_NAME, DType
from ...entropy.reals import NUMBERS
from ...entropy.scaled import Operation
from ...format.body import build_part
from ...format.cursor import Cursor, varint
from ...format.resources import Resources
from ...tensor import TensorInfo
from ..composite import Record, parse_part

PARENTS = frozenset({"F16", "BF16", "F32", "F64"})
ROUNDED_EACH = frozenset({"F16", "BF16"})
"""Dtypes for which it makes a difference to round each operation."""

# Of the form.
_TWO_SCALES = 1
_SHIFT = 1
_EACH = 8
_RESERVED = 0xF0


class Shift(IntEnum):
    """What there is beside scales."""

    NONE = 0
    ZERO = 1
    OFFSET = 2


@dataclass(frozen=True)
class Form:
    """scales : how many, 1 or 2. shift : what else. each : whether each operation is rounded to the tensor's dtype."""

    scales: int = 1
    shift: Shift = Shift.NONE
    each: bool = False

    @property
    def operations(self) -> list[Operation]:
        """What is done to a level with each factor, in order."""
        zero = [Operation.SUBTRACT] if self.shift is Shift.ZERO else []
        offset = [Operation.ADD] if self.shift is Shift.OFFSET else []
        return [*zero, *[Operation.MULTIPLY] * self.scales, *offset]

    @property
    def names(self) -> list[str]:
        """Of the factors, in the order of their operations."""
        scales = ["scale"] if self.scales == 1 else ["scale 1", "scale 2"]
        return [
            *(["zero"] if self.shift is Shift.ZERO else []),
            *scales,
            *(["offset"] if self.shift is Shift.OFFSET else []),
        ]


@dataclass(frozen=True, eq=False)
class Params:
    """form. blocks : of each factor, one length for each dimension, that of the dimension where it is not cut.

    parts : records of the levels and of the factors, or their drafts; empty until there are any
    infos : dtypes and shapes of the parts, for a tensor that is to be written
    grid : what takes floats apart, for a tensor that comes as such
    """

    form: Form
    blocks: Sequence[tuple[int, ...]]
    parts: Sequence[Any] = ()
    infos: Sequence[TensorInfo] = ()
    grid: Any = None


def factor_shape(shape: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[int, ...]:
    """Of a factor: how many blocks each dimension has."""
    return tuple(-(-length // block) for length, block in zip(shape, blocks, strict=True))


def takes(part: DType, parent: DType) -> bool:
    """Whether a part of a tensor may have that dtype."""
    return part.name in NUMBERS or part.name == parent.name == "F64"


def usual_dtypes(operations: Sequence[Operation]) -> Iterator[DType]:
    """Of levels and factors: those that a part has where it says nothing."""
    yield BY_NAME["I8"]
    for operation in operations:
        yield BY_NAME["I8" if operation is Operation.SUBTRACT else "F32"]


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    """Raises `IndexRuleError`, `LimitError`."""
    if tensor.numel == 0:
        raise cursor.error("a tensor without elements must be raw")
    if tensor.dtype.name not in PARENTS:
        raise cursor.error(f"{tensor.dtype.name} has no scales")
    form = _parse_form(cursor, tensor)
    blocks = [tuple(_parse_block(cursor, length) for length in tensor.shape) for _ in form.operations]
    shapes = [tensor.shape, *(factor_shape(tensor.shape, own) for own in blocks)]
    usual = usual_dtypes(form.operations)
    parts = [_parse_part(cursor, shape, dtype, tensor, resources) for shape, dtype in zip(shapes, usual, strict=True)]
    return Params(form, blocks, parts)


def _parse_form(cursor: Cursor, tensor: TensorInfo) -> Form:
    byte = cursor.u8("form")
    shift = byte >> _SHIFT & 3
    if byte & _RESERVED or shift > max(Shift):
        raise cursor.error(f"form {byte:#04x} is not known")
    form = Form(1 + (byte & _TWO_SCALES), Shift(shift), bool(byte & _EACH))
    if form.each and tensor.dtype.name not in ROUNDED_EACH:
        raise cursor.error(f"operations in {tensor.dtype.name} are rounded to it anyway")
    return form


def _parse_block(cursor: Cursor, length: int) -> int:
    block = cursor.varint("block")
    if block >= length:
        raise cursor.error(f"a block of {block} is not shorter than the dimension, {length}; it must be 0")
    return block or length


def _parse_part(
    cursor: Cursor, shape: tuple[int, ...], dtype: DType, tensor: TensorInfo, resources: Resources
) -> Record:
    part = parse_part(cursor, shape, dtype, resources)
    if part.info is not None and not takes(part.info.dtype, tensor.dtype):
        raise cursor.error(f"{part.info.dtype.name} is no dtype of levels or factors of {tensor.dtype.name}")
    return part


def write(params: Params, resources: Resources) -> bytes:
    """The inverse of `parse`."""
    form, shape = params.form, params.parts[0].info.shape
    out = bytearray([(form.scales - 1) * _TWO_SCALES | form.shift << _SHIFT | form.each * _EACH])
    for blocks in params.blocks:
        for block, length in zip(blocks, shape, strict=True):
            out += varint(0 if block == length else block)
    for part, dtype in zip(params.parts, usual_dtypes(form.operations), strict=True):
        out += build_part(part, dtype, resources)
    return bytes(out)
