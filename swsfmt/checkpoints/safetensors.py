"""Safetensors <-> elements, without torch or NumPy dtypes: both know every element as its bits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np

from ..dtypes import BY_NAME
from ..errors import InputError, located
from ..format.not_sws import is_safetensors
from ..read.reader import Reader
from ..read.source import unchanged
from ..tensor import Elements, Loadable, TensorInfo, Tied, check_shape
from .checkpoint import Checkpoint
from .file import CheckpointFile

# What safetensors has of the registry, by the same names; F4_X2 is F4 there. It has no C128 and no C32.
_DTYPES = {
    *("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64"),
    *("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F4_X2"),
}
# The library reads no longer header.
_MAX_HEADER = 100_000_000
# A tensor of this name would be taken for the metadata.
_RESERVED = "__metadata__"


class Safetensors:
    """Files of the library safetensors. Tensors stay in a file until they are asked for."""

    name = "a safetensors file"
    has_entries = False
    suffixes: tuple[str, ...] = (".safetensors",)
    has_metadata = True

    def recognises(self, head: bytes) -> bool:
        return is_safetensors(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Raises `InputError`, `OSError`."""
        content = source.content
        if isinstance(content, bytes):
            return Checkpoint(*_read_bytes(content))
        assert source.state is not None
        return Checkpoint(*_read_file(content, source.state))

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Raises as `pieces` does, `OSError`."""
        for piece in pieces(reader, reader.keys(), threads):
            file.write(piece)


@dataclass(frozen=True)
class Stored:
    """A tensor that stays in its file until it is asked for. Any process that sees the file under its path can read it.

    It is read, not mapped: mapped pages stay in memory until nothing maps the file.
    offset : of its first byte in the file.
    state : size and time of change of the file when it was opened.
    """

    path: str
    offset: int
    info: TensorInfo
    state: tuple[int, int]

    def load(self) -> Elements:
        """Raises `ChangedError` where the file has changed, or does meanwhile, `OSError`."""
        with open(self.path, "rb") as file, unchanged(file.fileno(), self.state, self.path):
            file.seek(self.offset)
            bits = np.fromfile(file, self.info.dtype.bits, self.info.nbytes // self.info.dtype.bits.itemsize)
        return Elements.of(self.info, bits)


def _read_file(path: str, state: tuple[int, int]) -> tuple[dict[str, Loadable | Tied], dict[str, str]]:
    """Tensors, which are not read yet, in the order of the header, and metadata. Raises `InputError`, `OSError`."""
    import safetensors

    # A relative path means something else to a process in another folder.
    name = os.path.abspath(path)
    with open(name, "rb") as file, unchanged(file.fileno(), state, path):
        try:
            # The library checks that the tensors cover the file, without holes.
            with safetensors.safe_open(name, "np"):
                start = 8 + int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(start - 8))
        except safetensors.SafetensorError as error:
            raise InputError(f"the safetensors file is damaged or incomplete: {error}") from error
    metadata = header.pop(_RESERVED, None) or {}
    tensors: dict[str, Loadable | Tied] = {}
    for tensor, entry in header.items():
        info = _info(tensor, entry["dtype"], entry["shape"])
        tensors[tensor] = Stored(name, start + entry["data_offsets"][0], info, state)
    return tensors, metadata


def _read_bytes(data: bytes) -> tuple[dict[str, Loadable | Tied], dict[str, str]]:
    """The same of a file that is in memory."""
    import safetensors

    try:
        stored = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise InputError(f"the safetensors file is damaged or incomplete: {error}") from error
    # deserialize gives no metadata, and tensors in an order that changes from call to call.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.pop(_RESERVED, None) or {}
    tensors: dict[str, Loadable | Tied] = {}
    for name in header:
        info = _info(name, stored[name]["dtype"], stored[name]["shape"])
        tensors[name] = Elements.of(info, np.frombuffer(stored[name]["data"], dtype=info.dtype.bits))
    return tensors, metadata


def _info(name: str, dtype: str, dimensions: Sequence[int]) -> TensorInfo:
    shape = list(dimensions)
    if dtype == "F4":
        # Two elements a byte here; the registry, as torch, counts the pairs.
        dtype = "F4_X2"
        if not shape or shape[-1] % 2:
            raise InputError(f"F4 of shape {shape} cannot be stored, its last dimension is not even", tensor=name)
        shape[-1] //= 2
    if dtype not in BY_NAME:
        raise InputError(f"dtype {dtype} cannot be stored", tensor=name)
    info = TensorInfo(BY_NAME[dtype], tuple(shape))
    with located(tensor=name):
        check_shape(info)
    return info


def pieces(reader: Reader, names: Sequence[str], threads: int) -> Iterator[bytes | memoryview]:
    """The safetensors file of these tensors of an open .sws file, one tensor at a time, tied ones under each name.

    The header is in the order of `names`, so that encoding again gives the same one. The data is in descending order
    of element size, as the library writes it: every tensor is aligned to its element. A tied tensor is decoded again,
    which costs less than to keep it.
    Raises `InputError` for what safetensors cannot hold, before anything is decoded, and `FormatError`.
    """
    _check(reader)
    by_size = sorted(names, key=lambda name: -reader.info(name).dtype.itemsize)
    ends = list(accumulate(reader.info(name).nbytes for name in by_size))
    places = {name: (end - reader.info(name).nbytes, end) for name, end in zip(by_size, ends, strict=True)}
    yield _header({name: _entry(reader.info(name), places[name]) for name in names}, reader.metadata)
    for name in by_size:
        yield np.ascontiguousarray(reader.read(name, threads).bits).data


def _entry(info: TensorInfo, place: tuple[int, int]) -> dict[str, Any]:
    dtype, shape = info.dtype.name, list(info.shape)
    if dtype == "F4_X2":
        dtype, shape[-1] = "F4", 2 * shape[-1]
    return {"dtype": dtype, "shape": shape, "data_offsets": list(place)}


def _header(entries: dict[str, Any], metadata: dict[str, str]) -> bytes:
    """With its length, and blanks up to a multiple of eight."""
    header = {_RESERVED: metadata, **entries} if metadata else entries
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise InputError(f"the safetensors header would be longer than {_MAX_HEADER:,} bytes")
    return len(text).to_bytes(8, "little") + text


def _check(reader: Reader) -> None:
    """Raise `InputError` for what safetensors cannot hold."""
    for record in reader.records:
        info = reader.info(record.name)
        dtype = info.dtype.name
        if dtype == "F4_X2" and not info.shape:
            raise InputError("safetensors has no pair of F4 without a dimension", tensor=record.name)
        if dtype not in _DTYPES:
            raise InputError(f"safetensors has no {dtype}; decode to a .pt file", tensor=record.name)
        if record.name == _RESERVED:
            raise InputError("safetensors keeps this name for itself; decode to a .pt file", tensor=_RESERVED)
