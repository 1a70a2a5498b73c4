"""Files of torch tensors: a `state_dict` in and out. Functions named as in `safetensors.torch`.

Unlike there, tied tensors are kept: stored once, under all their names, and tied again on load.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import torch

from . import dtypes
from .errors import InputError, SwsError, located
from .inspection import inspect, verify
from .limits import DEFAULT_LIMITS, Limits
from .memory import Span, check_expanded, is_folded
from .read.reader import Reader
from .read.source import BytesSource, File, open_path
from .read.tensors import Place, load_all
from .safe_open import Handle
from .tensor import Elements, TensorInfo, Tied, check_shape

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .write.options import EncodingOptions

__all__ = [
    "from_tensor",
    "inspect",
    "load",
    "load_file",
    "load_model",
    "safe_open",
    "save",
    "save_file",
    "save_model",
    "to_elements",
    "to_tensor",
    "verify",
]

Device: TypeAlias = str | torch.device | int
"""Where tensors go."""

TensorHandle: TypeAlias = Handle[torch.Tensor]
"""What `safe_open` gives."""

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
    "C128": torch.complex128,
    "C32": torch.complex32,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}
# Newer torch has these too.
for _key, _name in (("F8_E8M0", "float8_e8m0fnu"), ("F4_X2", "float4_e2m1fn_x2")):
    if hasattr(torch, _name):
        _DTYPES[_key] = getattr(torch, _name)
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# An integer dtype of each element size, to look at the bits.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def save(
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> bytes:
    """The file of these tensors, as bytes. Every value comes back bit for bit.

    Tensors may lie on any device, be non-contiguous, empty or 0-dimensional. Tensors that are the same memory
    (storage, offset, shape and strides) are stored once.
    threads : that encode; None for as many as there are processors. The bytes are the same for any number of them.
    executor : encodes instead, e.g. one of processes; whatever has the interface of `concurrent.futures.Executor`.
    Raises `InputError` for what is not a dense tensor or has a dtype that the format does not have.
    """
    # Not at the top: who only loads has no need of what plans and encodes.
    from .write.file import encode
    from .write.options import Options

    return encode(to_elements(tensors), metadata, Options(**options), threads=threads, executor=executor)


def save_file(
    tensors: Mapping[str, torch.Tensor],
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the file of these tensors; atomically: `filename` holds what it held before or the whole new file."""
    from .write.atomic import write_atomically
    from .write.file import encode_file
    from .write.options import Options

    encoded = encode_file(to_elements(tensors), metadata, Options(**options), threads=threads, executor=executor)
    write_atomically(filename, encoded.pieces())


def load(
    data: bytes | bytearray | memoryview,
    *,
    device: Device = "cpu",
    dtype: torch.dtype | None = None,
    out: Mapping[str, torch.Tensor] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, torch.Tensor]:
    """The tensors of a file in memory, in the order of the file. Raises `FormatError`, `LimitError`.

    Tensors are decoded one at a time and go to `device` at once.
    dtype : floating-point tensors are converted to it; None leaves them as they are.
    out : tensors to decode into where one has the name, e.g. the `state_dict` of a model; that saves the time to get
        new memory. They may lie on any device. `InputError` is raised where dtype or shape differ. After another error
        they may hold anything. Tensors may share memory, which then holds the one that comes last in the file, as with
        `Module.load_state_dict`.
    threads : for decoding small tensors, and the chunks of large ones; None for as many as there are processors.
    """
    with Reader(BytesSource(data), limits) as reader:
        return load_all(reader, partial(to_tensor, device=device, dtype=dtype), threads, _detached(out), _place_of)


def load_file(
    filename: str | os.PathLike[str],
    device: Device = "cpu",
    *,
    dtype: torch.dtype | None = None,
    out: Mapping[str, torch.Tensor] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, torch.Tensor]:
    """The tensors of a file, in its order. Raises `FormatError`, `LimitError`, `OSError`. Arguments as in `load`."""
    with Reader(open_path(filename), limits) as reader:
        return load_all(reader, partial(to_tensor, device=device, dtype=dtype), threads, _detached(out), _place_of)


def safe_open(
    filename: File,
    framework: str = "pt",
    device: Device = "cpu",
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> TensorHandle:
    """Open a path, a URL that fsspec knows, or a file in memory, to list it and to decode single tensors.

    threads : as for `load`
    Raises `FormatError`, `LimitError`, `OSError`; `InputError` for a framework other than torch.
    """
    if framework not in ("pt", "torch", "pytorch"):
        raise InputError(f"framework {framework!r}: this function gives tensors of torch; use swsfmt.safe_open")
    return Handle(filename, partial(to_tensor, device=device), limits, threads)


def save_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the `state_dict` of a model."""
    save_file(model.state_dict(), filename, metadata, threads=threads, executor=executor, **options)


def load_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str],
    strict: bool = True,
    device: Device = "cpu",
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[list[str], list[str]]:
    """Load a file into a model and return the missing and the unexpected names.

    strict : names that are missing or unexpected raise `RuntimeError`, as `Module.load_state_dict` does.
    """
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
            with located(tensor=name):
                _check_storage(tensor)
    missing, unexpected = model.load_state_dict(
        load_file(filename, device, threads=threads, limits=limits), strict=strict
    )
    return list(missing), list(unexpected)


def to_elements(tensors: Mapping[str, Any]) -> dict[str, Elements | Tied]:
    """What the writer takes: elements, with tied tensors named as such. Raises `InputError`."""
    if not isinstance(tensors, Mapping):
        raise InputError(f"give a mapping from names to tensors, not a {type(tensors).__name__}")
    out: dict[str, Elements | Tied] = {}
    seen: dict[Any, str] = {}
    # Tensors that a lazy mapping makes must not go before all have been seen: their memory would be given out again.
    alive = []
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(
                f"a {type(tensor).__name__} is not a tensor; leave it out or store it as metadata",
                tensor=str(name),
            )
        alive.append(tensor)
        try:
            _check(tensor)
            key = _memory(tensor)
            if key is not None and key in seen:
                out[name] = Tied(seen[key])
                continue
            if key is not None:
                seen[key] = name
            out[name] = from_tensor(tensor)
        except SwsError as error:
            error.locate(tensor=name)
            raise
    return out


def from_tensor(tensor: torch.Tensor) -> Elements:
    """The elements of a tensor. Raises `InputError`; `MemoryError` where there is none for a copy."""
    _check(tensor)
    if not tensor.is_contiguous():
        check_shape(TensorInfo(dtypes.BY_NAME[_NAMES[tensor.dtype]], tuple(tensor.shape)))
        span = Span.of(0, tensor.shape, tensor.stride(), 1)
        check_expanded(tensor.numel() * tensor.element_size(), span.end * tensor.element_size())
    dtype = dtypes.BY_NAME[_NAMES[tensor.dtype]]
    if tensor._is_zerotensor():
        tensor = tensor.clone()
    try:
        plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    except RuntimeError as error:
        if "allocate" not in str(error):
            raise
        raise MemoryError(f"a copy of {tensor.numel() * tensor.element_size():,} bytes does not fit") from error
    bits = plain.view(_BITS[min(dtype.itemsize, 8)]).numpy().view(dtype.bits)
    return Elements.of(TensorInfo(dtype, tuple(tensor.shape)), bits)


def to_tensor(elements: Elements, device: Device = "cpu", dtype: torch.dtype | None = None) -> torch.Tensor:
    """The tensor of these elements, on `device`; it shares their memory where they are writable and stay as they are.

    dtype : a floating-point tensor is converted to it; None leaves it as it is.
    Raises `InputError` where this version of torch has no such dtype.
    """
    info = elements.info
    if info.dtype.name not in _DTYPES:
        raise InputError(f"this version of torch has no {info.dtype.name}; upgrade torch")
    if info.numel == 0:
        tensor = torch.empty(info.shape, dtype=_DTYPES[info.dtype.name], device=device)
    else:
        bits = elements.bits if elements.bits.flags.writeable else elements.bits.copy()
        signed = bits if info.dtype.itemsize in (1, 16) else bits.view(f"<i{info.dtype.itemsize}")
        tensor = torch.from_numpy(signed).view(_DTYPES[info.dtype.name]).reshape(info.shape)
    return tensor.to(device, dtype if tensor.is_floating_point() else None)


def _check(tensor: torch.Tensor) -> None:
    """Refuse what has no plain array of elements."""
    if torch.nn.parameter.is_lazy(tensor):
        raise InputError("a lazy parameter has no values yet; run the model once")
    if type(tensor).__torch_dispatch__ != torch.Tensor.__torch_dispatch__:
        # Its elements are elsewhere, or nowhere: DTensor, FakeTensor, torchao's quantised tensors.
        raise InputError(f"a {type(tensor).__name__} is not a plain tensor; make it one before saving")
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_quantized:
        kind = "nested" if tensor.is_nested else f"of layout {tensor.layout} and dtype {tensor.dtype}"
        raise InputError(f"a tensor {kind} is not dense")
    if tensor.is_meta:
        raise InputError("a tensor on the meta device has no values")
    if tensor.dtype not in _NAMES:
        raise InputError(f"dtype {tensor.dtype} cannot be stored")
    _check_storage(tensor)


def _check_storage(tensor: torch.Tensor) -> None:
    """Refuse a tensor that is not all there: whoever reads it reads, and who writes it damages, what is another's."""
    if tensor.numel() == 0 or tensor._is_zerotensor():
        return
    try:
        size = tensor.untyped_storage().nbytes()
    except (NotImplementedError, RuntimeError) as error:
        # Other devices know where their elements are.
        if tensor.device.type == "cpu":
            raise InputError("it has no memory, as within torch.vmap and torch.func.grad; save it outside") from error
        return
    start = int(tensor.storage_offset())
    end = start + tensor.numel() if tensor.is_contiguous() else Span.of(start, tensor.shape, tensor.stride(), 1).end
    needed = end * tensor.element_size()
    if needed > size:
        raise InputError(
            f"its storage has {size} bytes where {needed} are needed: it was freed or made smaller "
            "(as FSDP does with parameters that are not in use)"
        )
    if tensor.device.type == "cpu" and tensor.data_ptr() == 0:
        raise InputError("it has no memory of its own; make it a plain tensor before saving")


def _memory(tensor: torch.Tensor) -> Any:
    """Equal for two tensors that are the same memory; None for one that has none."""
    if tensor.numel() == 0 or tensor.data_ptr() == 0:
        return None
    return (
        tensor.device,
        tensor.dtype,
        tensor.data_ptr(),
        tuple(tensor.shape),
        tensor.stride(),
        tensor.is_conj(),
        tensor.is_neg(),
    )


def _detached(out: Mapping[str, torch.Tensor] | None) -> dict[str, torch.Tensor] | None:
    """The same memory, without a part in any graph."""
    if out is None:
        return None
    for name, tensor in out.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"a {type(tensor).__name__} in `out` is not a tensor", tensor=str(name))
    return {name: tensor.detach() for name, tensor in out.items()}


def _place_of(tensor: torch.Tensor, info: TensorInfo) -> Place:
    """Where a tensor lies that is decoded into."""
    if _NAMES.get(tensor.dtype) != info.dtype.name or tuple(tensor.shape) != info.shape:
        raise InputError(
            f"the tensor in `out` is {tensor.dtype} of shape {tuple(tensor.shape)}, "
            f"the one in the file {info.dtype.name} of shape {info.shape}"
        )
    _check(tensor)
    if is_folded(tensor.shape, tensor.stride()):
        raise InputError("elements of the tensor in `out` share memory; give it memory of its own")
    size = tensor.element_size()
    span = Span.of(tensor.data_ptr(), tensor.shape, [size * stride for stride in tensor.stride()], size)
    plain = tensor.device.type == "cpu" and tensor.is_contiguous()
    if not plain or tensor.is_conj() or tensor.is_neg() or not tensor.numel():
        return Place(span, None)
    return Place(span, tensor.view(-1).view(_BITS[min(info.dtype.itemsize, 8)]).numpy().view(info.dtype.bits))
