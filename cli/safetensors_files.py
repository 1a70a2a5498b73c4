"""Safetensors <-> elements, without torch or NumPy dtypes: both know every element as its bits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from swsfmt import InputError
from swsfmt.codings.common import TensorInfo
from swsfmt.dtypes import BY_NAME
from swsfmt.elements import Elements, Tied
from swsfmt.reader import Reader

from .errors import about

# Registry name -> what safetensors calls it when writing. It has no C128 and no C32.
_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F4_X2": "float4_e2m1fn_x2",
}
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
    header, _ = _split(data)
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


def write(reader: Reader) -> bytes:
    """The safetensors file of an open .sws file. Tied tensors are written under each name.

    Raises `InputError` for what safetensors cannot hold, `FormatError`.
    """
    import safetensors

    _check(reader)
    # The pointers below are good for as long as these arrays live.
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    specs = {}
    for record in reader.records:
        target = reader.resolve(record).name
        if target not in arrays:
            arrays[target] = np.ascontiguousarray(reader.read(target).bits)
        info, array = reader.info(target), arrays[target]
        specs[record.name] = safetensors.TensorSpec(
            dtype=_DTYPES[info.dtype.name],
            shape=list(info.shape),
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
    try:
        data = bytes(safetensors.serialize(specs))
    except safetensors.SafetensorError as error:
        raise InputError(f"safetensors cannot hold this: {error}") from error
    return _with_metadata(data, reader.metadata) if reader.metadata else data


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header of a safetensors file that is known to be valid, and what follows it."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), memoryview(data)[end:]


def _with_metadata(data: bytes, metadata: dict[str, str]) -> bytes:
    """serialize would write the metadata itself, but in an order that changes from call to call."""
    header, elements = _split(data)
    text = json.dumps({_RESERVED: metadata, **header}, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, elements])


def _check(reader: Reader) -> None:
    """Before anything is decoded."""
    for record in reader.records:
        dtype = reader.info(record.name).dtype.name
        if dtype not in _DTYPES:
            raise InputError(f"safetensors has no {dtype}; decode to a .pt file: -o FILE.pt", tensor=record.name)
        if record.name == _RESERVED:
            raise InputError(
                "safetensors keeps this name for itself; decode to a .pt file: -o FILE.pt", tensor=_RESERVED
            )
