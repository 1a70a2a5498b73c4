"""GGUF files, byte by byte: valid ones, and those that no writer makes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Numbers of types of values.
U8, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 5, 6, 7, 8, 9, 10
_FORMS = {U8: "<B", 4: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q", 12: "<d"}


class Stored(NamedTuple):
    """A tensor. shape : as GGUF has it, the first dimension is contiguous. offset : None for behind the one before"""

    type: int
    shape: Sequence[int]
    data: bytes
    offset: int | None = None


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def value(kind: int, of: Any) -> bytes:
    """With its type. of : for an array its type and its values"""
    if kind == ARRAY:
        inner, values = of
        return struct.pack("<IIQ", ARRAY, inner, len(values)) + b"".join(value(inner, one)[4:] for one in values)
    return struct.pack("<I", kind) + (text(of) if kind == STRING else struct.pack(_FORMS[kind], of))


def gguf_file(
    tensors: Mapping[str, Stored] = {},
    metadata: Sequence[tuple[str, bytes]] = (),
    *,
    version: int = 3,
    alignment: int = 32,
    count: int | None = None,
) -> bytes:
    """metadata : keys with what `value` gives. count : of the tensors, where it is to be a lie"""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if count is None else count, len(metadata))
    head += b"".join(text(key) + own for key, own in metadata)
    body = b""
    for name, tensor in tensors.items():
        body += bytes(-len(body) % alignment)
        offset = len(body) if tensor.offset is None else tensor.offset
        body += tensor.data
        head += text(name) + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        head += struct.pack("<IQ", tensor.type, offset)
    return head + bytes(-len(head) % alignment) + body
