"""Safetensors <-> elements, without torch or NumPy dtypes: both know every element as its bits."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

import numpy as np

from swsfmt import InputError
from swsfmt.codings.common import TensorInfo
from swsfmt.dtypes import BY_NAME
from swsfmt.elements import Elements, Tied
from swsfmt.reader import Reader

from .errors import about

# What safetensors has of the registry, by the same names; F4_X2 is F4 there. It has no C128 and no C32.
_DTYPES = {
    *("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64"),
    *("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F4_X2"),
}
# The library reads no longer header.
_MAX_HEADER = 100_000_000
# A tensor of this name would be taken for the metadata.
_RESERVED = "__metadata__"


def read(data: bytes) -> tuple[dict[str, Elements | Tied], dict[str, str]]:
    """Tensors in the order of the header, and metadata. Raises `InputError`."""
    import safetensors

    try:
        found = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise InputError(f"the safetensors file is damaged or incomplete: {error}") from error
    # deserialize gives no metadata, and tensors in an order that changes from call to call.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.pop(_RESERVED, None) or {}
    return {name: _elements(name, found[name]) for name in header}, metadata


def _elements(name: str, entry: dict[str, Any]) -> Elements:
    dtype, shape = entry["dtype"], list(entry["shape"])
    if dtype == "F4":
        # Two elements a byte here; the registry, as torch, counts the pairs.
        dtype = "F4_X2"
        if not shape or shape[-1] % 2:
            raise InputError(f"F4 of shape {shape} cannot be stored, its last dimension is not even", tensor=name)
        shape[-1] //= 2
    if dtype not in BY_NAME:
        raise InputError(f"dtype {dtype} cannot be stored", tensor=name)
    info = TensorInfo(BY_NAME[dtype], tuple(shape))
    with about(tensor=name):
        return Elements.of(info, np.frombuffer(entry["data"], dtype=info.dtype.bits))


def write(reader: Reader, threads: int) -> bytes:
    """The safetensors file of an open .sws file. Tied tensors are written under each name.

    The header is in the order of the .sws file, so that encoding again gives the same one. The data is in descending
    order of element size, as the library writes it: every tensor is aligned to its element.
    Raises `InputError` for what safetensors cannot hold, `FormatError`.
    """
    _check(reader)
    names = reader.keys()
    by_size = sorted(names, key=lambda name: -reader.info(name).dtype.itemsize)
    ends = list(accumulate(reader.info(name).nbytes for name in by_size))
    places = {name: (end - reader.info(name).nbytes, end) for name, end in zip(by_size, ends, strict=True)}
    header = _header({name: _entry(reader.info(name), places[name]) for name in names}, reader.metadata)
    arrays = {r.name: reader.read(r.name, threads).bits for r in reader.records if reader.resolve(r) is r}
    data = (np.ascontiguousarray(arrays[reader.record(name).name]) for name in by_size)
    return b"".join([header, *(array.data for array in data)])


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
    """Before anything is decoded."""
    for record in reader.records:
        info = reader.info(record.name)
        dtype = info.dtype.name
        if dtype == "F4_X2" and not info.shape:
            raise InputError("safetensors has no pair of F4 without a dimension", tensor=record.name)
        if dtype not in _DTYPES:
            raise InputError(f"safetensors has no {dtype}; decode to a .pt file: -o FILE.pt", tensor=record.name)
        if record.name == _RESERVED:
            raise InputError(
                "safetensors keeps this name for itself; decode to a .pt file: -o FILE.pt", tensor=_RESERVED
            )
