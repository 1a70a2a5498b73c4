"""Files of NumPy arrays. The functions are named and behave as in `safetensors.numpy`.

bfloat16 and float8 arrays have the dtypes of the package `ml_dtypes`, which is needed for them only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
import numpy.typing as npt

from . import dtypes
from .dtypes import Bits, DType
from .errors import InputError
from .limits import DEFAULT_LIMITS, Limits
from .read.reader import Reader
from .read.source import BytesSource, File, open_path
from .read.tensors import load_all
from .safe_open import Handle
from .tensor import Elements, TensorInfo, Tied

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .torch import Device, TensorHandle
    from .write.options import EncodingOptions

__all__ = ["load", "load_file", "safe_open", "save", "save_file"]

Array = npt.NDArray[Any]

_ML_DTYPES = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
    "complex128": "C128",
    **{name: key for key, name in _ML_DTYPES.items()},
}
# Of NumPy before 2 it is 32.
_MAX_RANK = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32
# A file is little-endian on every machine, and so are the arrays that are decoded from it.
_NUMPY = {key: np.dtype(np.dtype(name).newbyteorder("<").str) for name, key in _NAMES.items() if key not in _ML_DTYPES}


def save(
    tensors: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> bytes:
    """The file of these arrays, as bytes. Every value comes back bit for bit.

    The same array under two names (same memory, shape and strides) is stored once and tied again on load.
    threads : that encode; None for as many as there are processors. The bytes are the same for any number of them.
    executor : encodes instead, e.g. one of processes; whatever has the interface of `concurrent.futures.Executor`.
    Raises `InputError` for a dtype that the format does not have.
    """
    # Not at the top: who only loads has no need of what plans and encodes.
    from .write.file import encode
    from .write.options import Options

    return encode(_elements(tensors), metadata, Options(**options), threads=threads, executor=executor)


def save_file(
    tensors: Mapping[str, Array],
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the file of these arrays; atomically: `filename` holds what it held before or the whole new file."""
    from .write.atomic import write_atomically
    from .write.file import encode_file
    from .write.options import Options

    encoded = encode_file(_elements(tensors), metadata, Options(**options), threads=threads, executor=executor)
    write_atomically(filename, encoded.pieces())


def load(
    data: bytes | bytearray | memoryview,
    *,
    out: Mapping[str, Array] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Array]:
    """The arrays of a file in memory, in the order of the file. Raises `FormatError`, `LimitError`.

    out : arrays to decode into, where a tensor has their name; that saves the time to get new memory. `InputError` is
        raised where dtype or shape differ. After another error they may hold anything.
    threads : for decoding small tensors, and the chunks of large ones; None for as many as there are processors.
    """
    with Reader(BytesSource(data), limits) as reader:
        return load_all(reader, to_array, threads, out, _memory)


def load_file(
    filename: str | os.PathLike[str],
    *,
    out: Mapping[str, Array] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Array]:
    """The arrays of a file, in its order. Raises `FormatError`, `LimitError`, `OSError`. Arguments as in `load`."""
    with Reader(open_path(filename), limits) as reader:
        return load_all(reader, to_array, threads, out, _memory)


@overload
def safe_open(
    filename: File,
    framework: Literal["np", "numpy"] = "np",
    device: Literal["cpu"] = "cpu",
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Handle[Array]: ...
@overload
def safe_open(
    filename: File,
    framework: Literal["pt", "torch", "pytorch"],
    device: Device = "cpu",
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> TensorHandle: ...
def safe_open(
    filename: File,
    framework: str = "np",
    device: Device = "cpu",
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Handle[Any]:
    """Open a path, a URL that fsspec knows, or a file in memory, to list it and to decode single tensors.

    framework : "np" or "numpy" for arrays, "pt", "torch" or "pytorch" for tensors of torch
    device : where tensors of torch go
    threads : as for `load`
    Raises `FormatError`, `LimitError`, `OSError`; `InputError` for another framework.
    """
    if framework in ("np", "numpy"):
        if device != "cpu":
            raise InputError(f"NumPy arrays cannot be on device {device!r}")
        return Handle(filename, to_array, limits, threads)
    if framework not in ("pt", "torch", "pytorch"):
        raise InputError(f"framework {framework!r} is not known; use 'np' or 'pt'")
    # Not at the top: torch is slow to import, and may not be installed.
    from .torch import safe_open

    return safe_open(filename, framework, device, threads=threads, limits=limits)


def to_array(elements: Elements) -> Array:
    """A writable array of these elements. Raises `InputError` where NumPy has no such dtype."""
    info = elements.info
    if len(info.shape) > _MAX_RANK:
        raise InputError(f"this NumPy has arrays of rank {_MAX_RANK} at most, not {len(info.shape)}; use swsfmt.torch")
    bits = elements.bits if elements.bits.flags.writeable else elements.bits.copy()
    return bits.view(_numpy_dtype(info.dtype)).reshape(info.shape)


def _memory(array: Array, info: TensorInfo) -> Bits | None:
    """The elements of an array that a tensor is decoded into, flat; None where they are not contiguous."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"a {type(array).__name__} in `out` is not a NumPy array")
    wanted = _numpy_dtype(info.dtype)
    if array.dtype != wanted or array.shape != info.shape:
        raise InputError(f"the array in `out` has {array.dtype}{array.shape}, the file {wanted}{info.shape}")
    if not array.flags.writeable:
        raise InputError("the array in `out` is read-only")
    if not array.flags.c_contiguous:
        return None
    bits: Bits = array.reshape(-1).view(info.dtype.bits)
    return bits


def from_array(array: Array, name: str | None = None) -> Elements:
    """The elements of an array. Raises `InputError` for a dtype that the format does not have."""
    known = _NAMES.get(array.dtype.name)
    if known is None:
        raise InputError(f"dtype {array.dtype} cannot be stored", tensor=name)
    dtype = dtypes.BY_NAME[known]
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype.byteorder == ">" or (sys.byteorder == "big" and flat.dtype.byteorder == "="):
        flat = flat.astype(flat.dtype.newbyteorder("<"))
    return Elements.of(TensorInfo(dtype, array.shape), flat.view(dtype.bits))


def _elements(tensors: Mapping[str, Array]) -> dict[str, Elements | Tied]:
    if not isinstance(tensors, Mapping):
        raise InputError(f"give a mapping from names to arrays, not a {type(tensors).__name__}")
    out: dict[str, Elements | Tied] = {}
    seen: dict[Any, str] = {}
    # Arrays that a lazy mapping makes must not go before all have been seen: their memory would be given out again.
    alive = []
    for name, value in tensors.items():
        if not isinstance(value, np.ndarray | np.generic):
            raise InputError(f"a {type(value).__name__} is not a NumPy array", tensor=name)
        array = np.asarray(value)
        alive.append(array)
        key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype)
        if array.size and key in seen:
            out[name] = Tied(seen[key])
            continue
        seen[key] = name
        out[name] = from_array(array, name)
    return out


def _numpy_dtype(dtype: DType) -> np.dtype[Any]:
    if dtype.name in _ML_DTYPES:
        try:
            import ml_dtypes
        except ImportError as error:
            raise InputError(f"NumPy has no {dtype.name}; install ml_dtypes, or use swsfmt.torch") from error
        numpy_dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[dtype.name]))
        return numpy_dtype
    if dtype.name not in _NUMPY:
        raise InputError(f"NumPy has no {dtype.name}; use swsfmt.torch")
    return _NUMPY[dtype.name]
