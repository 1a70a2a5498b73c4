"""The header of a GGUF file: metadata, and where each tensor is.

It is read here and not by `GGUFReader` of package `gguf`: that follows a length to wherever it points, and makes two
arrays of NumPy of each word of a vocabulary. Nothing here takes more than a small multiple of the file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...limits import Limits

# Numbers of types of values, and what NumPy calls them.
_NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_DEPTH = 8
_ALIGNMENT = 32
_CHUNK = 1 << 16
_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "False": "false", "True": "true"}


class Entry(NamedTuple):
    """A tensor.

    shape : as in PyTorch, the last dimension is contiguous; GGUF has it the other way round
    type : number of its type
    offset : of its first byte in the file
    """

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


class Header(NamedTuple):
    """metadata : strings as they are, all else as JSON. tensors : in the order of the file."""

    metadata: dict[str, str]
    tensors: list[Entry]


def read(file: BinaryIO, size: int, limits: Limits) -> Header:
    """From the start of a file of that size. Raises `InputError`, `LimitError`, `OSError`."""
    cursor = _Cursor(file, size, limits)
    cursor.take(4, "its signature")
    version = cursor.integer("<I", "its version")
    if version & 0xFFFF == 0:
        raise InputError("this GGUF file is big-endian; gguf-convert-endian of package gguf makes it little-endian")
    if version not in _VERSIONS:
        raise InputError(f"version {version} of GGUF is not read, only 2 and 3; make the file anew with llama.cpp")
    count = cursor.integer("<Q", "the number of tensors")
    pairs = cursor.integer("<Q", "the number of metadata")
    limits.check("max_tensors", count, "the number of tensors")
    metadata: dict[str, str] = {}
    for _ in range(pairs):
        key = cursor.string("a key of the metadata", "strict")
        if key in metadata:
            raise InputError(f"the metadata has {key!r} twice")
        kind = cursor.integer("<I", f"the type of {key!r}")
        metadata[key] = cursor.string(key) if kind == _STRING else _json(cursor, kind, key)
    entries = [_entry(cursor) for _ in range(count)]
    alignment = metadata.get("general.alignment", str(_ALIGNMENT))
    if not alignment.isdecimal() or int(alignment).bit_count() != 1:
        raise InputError(f"general.alignment is {alignment!r}, it must be a power of two")
    start = -(-cursor.position // int(alignment)) * int(alignment)
    return Header(metadata, [entry._replace(offset=start + entry.offset) for entry in entries])


class _Cursor:
    """Reads a file from its start, and not beyond its end."""

    def __init__(self, file: BinaryIO, size: int, limits: Limits) -> None:
        self._file = file
        self._end = size
        self._limits = limits
        self.position = 0

    def take(self, count: int, what: str) -> bytes:
        """Raises `InputError` where there are fewer bytes, `LimitError` for a header that is too long."""
        data = b""
        if count <= self._end - self.position:
            self.position += count
            self._limits.check("max_index_bytes", self.position, "the size of the header")
            data = self._file.read(count)
        if len(data) != count:
            raise InputError(f"the GGUF file is damaged or incomplete: it ends in {what}", offset=self.position)
        return data

    def integer(self, form: str, what: str) -> int:
        number: int = struct.unpack(form, self.take(struct.calcsize(form), what))[0]
        return number

    def string(self, what: str, errors: str = "backslashreplace") -> str:
        """errors : what is done with bytes that are no UTF-8. Raises `InputError` for "strict"."""
        data = self.take(self.integer("<Q", what), what)
        try:
            return data.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise InputError(f"the GGUF file is damaged: {what} is no UTF-8", offset=self.position) from error


def _json(cursor: _Cursor, kind: int, key: str, depth: int = 0) -> str:
    """A value as text."""
    if kind in _NUMBERS:
        return next(_numbers(cursor, kind, 1, key))
    if kind == _STRING:
        return json.dumps(cursor.string(key), ensure_ascii=False)
    if kind != _ARRAY or depth == _DEPTH:
        raise InputError(f"the GGUF file is damaged: {key!r} has a value of type {kind}", offset=cursor.position)
    inner = cursor.integer("<I", key)
    count = cursor.integer("<Q", key)
    if inner in _NUMBERS:
        return f"[{','.join(_numbers(cursor, inner, count, key))}]"
    # Each takes some bytes of the file: a number of them that is too large finds its end.
    return f"[{','.join(_json(cursor, inner, key, depth + 1) for _ in range(count))}]"


def _numbers(cursor: _Cursor, kind: int, count: int, key: str) -> Iterator[str]:
    """So many of them, many at a time; floats as short as they can be."""
    dtype = np.dtype(_NUMBERS[kind])
    numbers: npt.NDArray[Any] = np.frombuffer(cursor.take(count * dtype.itemsize, key), dtype)
    for start in range(0, count, _CHUNK):
        yield ",".join(_NO_NUMBERS.get(text, text) for text in map(str, numbers[start : start + _CHUNK]))


def _entry(cursor: _Cursor) -> Entry:
    name = cursor.string("the name of a tensor", "strict")
    what = f"the entry of tensor {name!r}"
    rank = cursor.integer("<I", what)
    shape = struct.unpack(f"<{rank}Q", cursor.take(8 * rank, what))
    return Entry(name, shape[::-1], cursor.integer("<I", what), cursor.integer("<Q", what))
