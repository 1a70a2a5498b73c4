"""Files of NumPy arrays. The functions are named and behave as in `safetensors.numpy`.

bfloat16 and float8 arrays have the dtypes of the package `ml_dtypes`, which is needed for them only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, Unpack, overload

import numpy as np
import numpy.typing as npt

from . import arguments, dtypes
from .dtypes import DType
from .errors import InputError, located
from .limits import DEFAULT_LIMITS, Limits
from .memory import Span, address_of, check_expanded, is_folded, mapped_bytes
from .read.reader import Reader
from .read.source import BytesSource, File, open_path
from .read.tensors import Place, load_all
from .safe_open import Handle
from .scaled import Rounding, ScaledBase
from .tensor import Elements, Loadable, TensorInfo, Tied

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .torch import Device, TensorHandle
    from .write.options import EncodingOptions

__all__ = ["Scaled", "load", "load_file", "safe_open", "save", "save_file"]

Array = npt.NDArray[Any]
Value: TypeAlias = "Array | Scaled"
"""What `save` takes."""

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
    tensors: Mapping[str, Array] | Mapping[str, Scaled] | Mapping[str, Value],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> bytes:
    """The file of these arrays, as bytes. Every value comes back bit for bit, -0.0 too, which is another than 0.0.

    An array becomes smaller where it has at most 4,095 distinct values besides zero, or a narrower dtype holds it.
    The same array under two names (same memory, shape and strides) is stored once and tied again on load.
    threads : that encode; None for as many as there are processors. The bytes are the same for any number of them.
    executor : encodes instead, e.g. one of processes; whatever has the interface of `concurrent.futures.Executor`.
    Raises `InputError` for a dtype that the format does not have, and for a name in `profile` that is no array's.
    """
    # Not at the top: who only loads has no need of what plans and encodes.
    from .write.file import encode
    from .write.options import Options

    fixed = Options.of("save", options)
    return encode(_elements(tensors), metadata, fixed, threads=threads, executor=executor)


def save_file(
    tensors: Mapping[str, Array] | Mapping[str, Scaled] | Mapping[str, Value],
    filename: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the file of these arrays; atomically: `filename` holds what it held before or the whole new file.

    filename : a path, or a binary file that is open for writing, which is written to from where it stands
    Warns (`SwsWarning`) of a file that readers load with raised `Limits` only.
    """
    from .write.atomic import write_to
    from .write.file import encode_file
    from .write.options import Options

    if not hasattr(filename, "write"):
        arguments.path(filename)
    fixed = Options.of("save_file", options)
    encoded = encode_file(_elements(tensors), metadata, fixed, threads=threads, executor=executor)
    encoded.warn()
    write_to(filename, encoded.pieces())


def load(
    data: bytes | bytearray | memoryview,
    *,
    out: Mapping[str, Array] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Array]:
    """The arrays of a file in memory, in the order of the file. Raises `FormatError`, `LimitError`.

    Those of a dtype that NumPy does not have here are left out, and a warning names them; `InputError` is raised where
    no others are there.
    out : arrays to decode into, where a tensor has their name; that saves the time to get new memory. `InputError` is
        raised where dtype or shape differ. After another error they may hold anything. Arrays may share memory, which
        then holds the tensor that comes last in the file. A `SwsWarning` names one of a name that the file lacks.
    threads : for decoding small tensors, and the chunks of large ones; None for as many as there are processors.
    """
    with Reader(BytesSource(data), limits) as reader:
        return load_all(reader, to_array, threads, out, _place_of, _lacks)


def load_file(
    filename: str | os.PathLike[str] | BinaryIO,
    *,
    out: Mapping[str, Array] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, Array]:
    """The arrays of a file, in its order. Raises `FormatError`, `LimitError`, `OSError`. Arguments as in `load`.

    filename : a path, or a binary file that is open, which is read from where it stands to its end
    """
    with Reader(open_path(filename), limits) as reader:
        return load_all(reader, to_array, threads, out, _place_of, _lacks)


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
    arguments.instance(framework, str, "framework", "'np' or 'pt'")
    if framework in ("np", "numpy"):
        if not isinstance(device, str) or device != "cpu":
            raise InputError(f"NumPy arrays cannot be on device {arguments.brief(device)}, only on 'cpu'")
        return Handle(filename, to_array, limits, threads, _lacks, Scaled)
    if framework not in ("pt", "torch", "pytorch"):
        raise InputError(f"framework {framework!r} is not known; use 'np' or 'pt'")
    # Not at the top: torch is slow to import, and may not be installed.
    from .torch import safe_open

    return safe_open(filename, framework, device, threads=threads, limits=limits)


class Scaled(ScaledBase[Array]):
    __doc__ = ScaledBase.__doc__

    def __init__(
        self,
        levels: Array,
        scales: Array | float | Sequence[Array | float],
        zero: Array | float | None = None,
        offset: Array | float | None = None,
        *,
        dtype: npt.DTypeLike | str = "float32",
        rounding: Rounding = "once",
        blocks: Sequence[int] | None = None,
    ) -> None:
        """dtype : of NumPy or of ml_dtypes, or the name of one, such as "bfloat16".

        blocks : length of a block along each dimension, for factors whose shape leaves it open, such as 4 of 10.
        Raises `InputError` for what cannot be stored, and says what can.
        """
        super().__init__(levels, scales, zero, offset, dtype=dtype, rounding=rounding, blocks=blocks)  # type: ignore[arg-type]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the tensor. Raises `InputError` where NumPy has none."""
        return _numpy_dtype(self._dtype)

    def dequantize(self) -> Array:
        """The array, as a file gives it. Raises `InputError` where NumPy has no such dtype."""
        return to_array(self.structured().load())

    def _dtype_of(self, dtype: Any) -> DType:
        name = dtype if isinstance(dtype, str) else None
        if name not in _NAMES:
            try:
                # None would be float64.
                name = np.dtype("" if dtype is None else dtype).name
            except Exception as error:
                raise InputError(f"dtype is {arguments.brief(dtype)}, it must be one of NumPy") from error
        if name not in _NAMES:
            raise InputError(f"dtype {name} cannot be stored")
        return dtypes.BY_NAME[_NAMES[name]]

    def _elements_of(self, part: Any, name: str) -> Elements:
        if isinstance(part, int | float) and not isinstance(part, bool):
            part = np.float32(part)
        if not isinstance(part, np.ndarray | np.generic):
            raise InputError(f"{name} must be a NumPy array, not {arguments.a(part)}")
        return from_array(np.asarray(part))


def to_array(elements: Elements) -> Array:
    """A writable array of these elements. Raises `InputError` where NumPy has no such dtype."""
    info = elements.info
    if len(info.shape) > _MAX_RANK:
        raise InputError(f"this NumPy has arrays of rank {_MAX_RANK} at most, not {len(info.shape)}; use swsfmt.torch")
    bits = elements.bits if elements.bits.flags.writeable else elements.bits.copy()
    return bits.view(_numpy_dtype(info.dtype)).reshape(info.shape)


def _place_of(array: Array, info: TensorInfo) -> Place:
    """Where an array lies that a tensor is decoded into."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"{arguments.a(array)} in `out` is not a NumPy array")
    wanted = _numpy_dtype(info.dtype)
    if array.dtype != wanted or array.shape != info.shape:
        raise InputError(f"the array in `out` has {array.dtype}{array.shape}, the file {wanted}{info.shape}")
    if not array.flags.writeable:
        raise InputError("the array in `out` is read-only")
    if is_folded(array.shape, array.strides, array.itemsize):
        raise InputError(
            "elements of the array in `out` share memory, as broadcasting makes them; give it memory of its own"
        )
    _check_mapped(array)
    span = Span.of(address_of(array), array.shape, array.strides, array.itemsize)
    return Place(span, array.reshape(-1).view(info.dtype.bits) if array.flags.c_contiguous else None)


def _check_mapped(array: Array) -> None:
    """Raise `InputError` for an array that maps a part of a file that is not there any more."""
    mapped = mapped_bytes(array)
    if mapped is not None and mapped[0] > mapped[1]:
        raise InputError(f"it maps a file that became shorter: {mapped[0]} bytes are needed, {mapped[1]} are there")


def from_array(array: Array, name: str | None = None) -> Elements:
    """The elements of an array. Raises `InputError` for a dtype that the format does not have."""
    dtype, little_endian = _stored_as(array.dtype)
    if dtype is None:
        raise InputError(f"dtype {array.dtype} cannot be stored", tensor=name)
    with located(tensor=name):
        _check_mapped(array)
        if not array.flags.c_contiguous:
            span = Span.of(address_of(array), array.shape, array.strides, array.itemsize)
            check_expanded(array.nbytes, span.end - span.start)
    flat = np.ascontiguousarray(array).reshape(-1).astype(little_endian, copy=False)
    return Elements.of(TensorInfo(dtype, array.shape), flat.view(dtype.bits))


@lru_cache
def _stored_as(dtype: np.dtype[Any]) -> tuple[DType | None, np.dtype[Any]]:
    """The format's dtype for one of NumPy, which may have none, and the dtype of NumPy in the byte order of files."""
    return dtypes.BY_NAME.get(_NAMES.get(dtype.name, "")), dtype.newbyteorder("<")


def _elements(tensors: Mapping[str, Any]) -> dict[str, Loadable | Tied]:
    arguments.mapping(tensors, "tensors", "names to arrays")
    out: dict[str, Loadable | Tied] = {}
    seen: dict[Any, str] = {}
    # Arrays that a lazy mapping makes must not go before all have been seen: their memory would be given out again.
    alive: list[Any] = []
    for name, value in tensors.items():
        arguments.tensor_name(name)
        if isinstance(value, Scaled):
            alive.append(value)
            if id(value) in seen:
                out[name] = Tied(seen[id(value)])
                continue
            seen[id(value)] = name
            with located(tensor=name):
                out[name] = value.structured()
            continue
        if not isinstance(value, np.ndarray | np.generic):
            raise InputError(f"{arguments.a(value)} is not a NumPy array", tensor=name)
        array = np.asarray(value)
        alive.append(array)
        key = (address_of(array), array.shape, array.strides, array.dtype)
        if array.size and key in seen:
            out[name] = Tied(seen[key])
            continue
        seen[key] = name
        out[name] = from_array(array, name)
    return out


def _numpy_dtype(dtype: DType) -> np.dtype[Any]:
    reason = _lacks(dtype)
    if reason is not None:
        raise InputError(reason)
    if dtype.name in _NUMPY:
        return _NUMPY[dtype.name]
    import ml_dtypes

    numpy_dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _ML_DTYPES[dtype.name]))
    return numpy_dtype


def _lacks(dtype: DType) -> str | None:
    """Why there can be no arrays of a dtype; None where there can."""
    if dtype.name in _NUMPY:
        return None
    if dtype.name not in _ML_DTYPES:
        return f"NumPy has no {dtype.name}; use swsfmt.torch"
    try:
        import ml_dtypes
    except ImportError:
        return f"NumPy has no {dtype.name}; install ml_dtypes, or use swsfmt.torch"
    if not hasattr(ml_dtypes, _ML_DTYPES[dtype.name]):
        return f"this version of ml_dtypes has no {dtype.name}; upgrade it, or use swsfmt.torch"
    return None
