"""What follows the name of a record, and what a part has too: dtype, parameters and payload (spec 4 and 4.1)."""

from __future__ import annotations

from collections.abc import Callable

from .. import dtypes
from ..dtypes import DType
from ..tensor import TensorInfo
from .checksum import crc32
from .cursor import Cursor, varint
from .records import MAX_DEPTH, MAX_INLINE, C, Draft, Record, Summary
from .resources import Resources
from .sections import Section

LONG_FORM = 15
"""Coding ids from here on follow the head."""

# Of the head of a part.
_DTYPE = 1 << 7
_RESERVED = 7 << 4


# ---- reading ---------------------------------------------------------------------------------------------------------


def tensor_info(cursor: Cursor, dtype_id: int, shape: tuple[int, ...]) -> TensorInfo | None:
    """Dtype and shape; None for a dtype that is not known. Raises `IndexRuleError`."""
    if dtype_id not in dtypes.BY_ID:
        return None
    info = TensorInfo(dtypes.BY_ID[dtype_id], shape)
    if not info.is_addressable:
        raise cursor.error(f"shape {shape} is too large to address")
    return info


def parse_coding(cursor: Cursor, head: int) -> int:
    """The coding id of a record with that head. Raises `IndexRuleError`."""
    number = head & 15
    if number == LONG_FORM:
        number = cursor.varint("coding")
        if number < LONG_FORM:
            raise cursor.error(f"coding {number} must be written in the head")
    return number


def parse_body(
    cursor: Cursor, name: str, coding: C, dtype_id: int, info: TensorInfo | None, resources: Resources
) -> Record[C]:
    """Parameters and payload of a record; where a payload behind the index lies is still open.

    info : None for a dtype that is not known
    Raises `IndexRuleError`, `LimitError`.
    """
    params, length, start, is_known = None, None, cursor.position, True
    if not coding.is_known:
        is_known = False
        cursor.take(cursor.varint("parameters length"), "parameters")
    elif info is None:
        raise cursor.error(f"unknown dtype {dtype_id}")
    else:
        params = coding.parse(cursor, info, resources)
        length = coding.payload_length(params, info)
    params_length = cursor.position - start
    if coding.is_composite:
        parts: list[Record[C]] = list(coding.parts(params))
        length, is_known = sum(part.length_behind for part in parts), all(part.is_known for part in parts)
        return Record(name, coding, info, params, length, params_length=params_length, is_known=is_known)
    if length is None:
        length = cursor.varint("payload length")
    if length > MAX_INLINE:
        crc = cursor.u32("payload CRC")
        return Record(name, coding, info, params, length, 0, crc, None, None, params_length, is_known)
    # `cursor.offset`, without the call.
    offset = cursor.base + cursor.position
    inline = cursor.take(length, "inline payload")
    if resources.spans is not None:
        resources.span(Section.RAW, 8 * offset, 8 * (offset + length))
    return Record(name, coding, info, params, length, offset, None, inline, None, params_length, is_known)


def parse_part(
    cursor: Cursor, shape: tuple[int, ...], dtype: DType, coding_of: Callable[[int], C], resources: Resources
) -> Record[C]:
    """A record without a name in the parameters of another.

    shape : it is not written: what holds the part knows it
    dtype : where none is written
    Raises `IndexRuleError`, `LimitError`.
    """
    if resources.depth == MAX_DEPTH:
        raise cursor.error(f"parts lie more than {MAX_DEPTH} deep")
    resources.records += 1
    resources.limits.check("max_tensors", resources.records, "the number of tensors and of their parts")
    head = cursor.u8("head of a part")
    if head & _RESERVED:
        raise cursor.error("reserved bits of the head of a part are not zero")
    coding = coding_of(parse_coding(cursor, head))
    if coding.is_reference:
        raise cursor.error("a part is no alias")
    dtype_id = cursor.u8("dtype") if head & _DTYPE else dtype.id
    if head & _DTYPE and dtype_id == dtype.id:
        raise cursor.error("the dtype of a part is written although it is the usual one")
    resources.depth += 1
    try:
        return parse_body(cursor, "", coding, dtype_id, tensor_info(cursor, dtype_id, shape), resources)
    finally:
        resources.depth -= 1


def place(record: Record[C], offset: int) -> int:
    """Give a payload that is not inline its offset in the file, and those of parts; returns that of the next one."""
    if record.coding.is_composite:
        record.offset = offset
        for part in record.parts:
            offset = place(part, offset)
    elif record.crc is not None:
        record.offset = offset
        offset += record.payload_length
    return offset


# ---- writing ---------------------------------------------------------------------------------------------------------


def build_body(draft: Draft[C], resources: Resources) -> bytes:
    """Parameters, and what there is of the payload in the index."""
    out = draft.coding.write(draft.params, resources)
    if draft.coding.is_composite:
        return out
    assert draft.info is not None
    if draft.coding.payload_length(draft.params, draft.info) is None:
        out += varint(draft.payload_length)
    if isinstance(draft.payload, Summary):
        return out + draft.payload.crc.to_bytes(4, "little")
    if len(draft.payload) > MAX_INLINE:
        return out + crc32(draft.payload).to_bytes(4, "little")
    return out + draft.payload


def build_part(draft: Draft[C], dtype: DType, resources: Resources) -> bytes:
    """The inverse of `parse_part`."""
    assert draft.info is not None
    own = draft.info.dtype.id
    head = min(draft.coding.id, LONG_FORM) | (_DTYPE if own != dtype.id else 0)
    out = bytes([head])
    if draft.coding.id >= LONG_FORM:
        out += varint(draft.coding.id)
    if own != dtype.id:
        out += bytes([own])
    return out + build_body(draft, resources)
