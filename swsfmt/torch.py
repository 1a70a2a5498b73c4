"""Files of torch tensors: a `state_dict` in and out. Functions named as in `safetensors.torch`.

Unlike there, tied tensors are kept: stored once, under all their names, and tied again on load.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Unpack

import torch

from . import arguments, devices, dtypes
from .dtypes import DType
from .errors import InputError, SwsError, located
from .format.codebook import Codebook
from .inspection import inspect, verify
from .limits import DEFAULT_LIMITS, Limits
from .memory import Span, check_expanded, is_folded
from .read.reader import Reader, Recode
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
    """The file of these tensors, as bytes. Every value comes back bit for bit, -0.0 too, which is another than 0.0.

    A tensor becomes smaller where it has at most 4,095 distinct values besides zero, or a narrower dtype holds it.
    Tensors may lie on any device, be non-contiguous, empty or 0-dimensional. Tensors that are the same memory
    (storage, offset, shape and strides) are stored once.
    threads : that encode; None for as many as there are processors. The bytes are the same for any number of them.
    executor : encodes instead, e.g. one of processes; whatever has the interface of `concurrent.futures.Executor`.
    Raises `InputError` for what is not a dense tensor or has a dtype that the format does not have, and for a name in
    `profile` that is no tensor's.
    """
    # Not at the top: who only loads has no need of what plans and encodes.
    from .write.file import encode
    from .write.options import Options

    fixed = Options.of("save", options)
    return encode(to_elements(tensors), metadata, fixed, threads=threads, executor=executor)


def save_file(
    tensors: Mapping[str, torch.Tensor],
    filename: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the file of these tensors; atomically: `filename` holds what it held before or the whole new file.

    filename : a path, or a binary file that is open for writing, which is written to from where it stands
    Warns (`SwsWarning`) of a file that readers load with raised `Limits` only.
    """
    from .write.atomic import write_to
    from .write.file import encode_file
    from .write.options import Options

    if not hasattr(filename, "write"):
        arguments.path(filename)
    fixed = Options.of("save_file", options)
    encoded = encode_file(to_elements(tensors), metadata, fixed, threads=threads, executor=executor)
    encoded.warn()
    write_to(filename, encoded.pieces())


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

    Tensors are decoded one at a time and go to `device` at once. Those of a dtype that this version of torch does not
    have are left out, and a warning names them; `InputError` is raised where no others are there.
    dtype : floating-point tensors are converted to it, a floating-point or complex one; None leaves them as they are.
    out : tensors to decode into where one has the name, e.g. the `state_dict` of a model; that saves the time to get
        new memory. They may lie on any device. `InputError` is raised where dtype or shape differ. After another error
        they may hold anything. Tensors may share memory, which then holds the one that comes last in the file, as with
        `Module.load_state_dict`. A `SwsWarning` names one of a name that the file lacks.
    threads : for decoding small tensors, and the chunks of large ones; None for as many as there are processors.
    """
    convert = _converter(device, dtype)
    with Reader(BytesSource(data), limits) as reader:
        return load_all(reader, convert, threads, _detached(out), _place_of, _lacks, _recode(device, dtype))


def load_file(
    filename: str | os.PathLike[str] | BinaryIO,
    device: Device = "cpu",
    *,
    dtype: torch.dtype | None = None,
    out: Mapping[str, torch.Tensor] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, torch.Tensor]:
    """The tensors of a file, in its order. Raises `FormatError`, `LimitError`, `OSError`. Arguments as in `load`.

    filename : a path, or a binary file that is open, which is read from where it stands to its end
    """
    convert = _converter(device, dtype)
    with Reader(open_path(filename), limits) as reader:
        return load_all(reader, convert, threads, _detached(out), _place_of, _lacks, _recode(device, dtype))


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
    if not isinstance(framework, str) or framework not in ("pt", "torch", "pytorch"):
        text = "this function gives tensors of torch; use swsfmt.safe_open"
        raise InputError(f"framework {arguments.brief(framework)}: {text}")
    return Handle(filename, _converter(device), limits, threads, _lacks)


def save_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None = None,
    force_contiguous: bool = True,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the `state_dict` of a model. Arguments as in `save`.

    force_contiguous : False refuses tensors that are not contiguous, with `InputError`, as `safetensors.torch` does. In
        the file all tensors are.
    """
    from .write.options import Options

    Options.of("save_model", options)
    state = _module(model).state_dict()
    if not arguments.flag(force_contiguous, "force_contiguous"):
        for name, tensor in state.items():
            if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and not tensor.is_contiguous():
                raise InputError("the tensor is not contiguous; force_contiguous=True takes it", tensor=name)
    save_file(state, filename, metadata, threads=threads, executor=executor, **options)


def load_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str] | BinaryIO,
    strict: bool = True,
    device: Device = "cpu",
    *,
    assign: bool | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[list[str], list[str]]:
    """Load a file into a model and return the missing and the unexpected names.

    strict : names that are missing or unexpected raise `StateDictError`, which is a `RuntimeError` as that of
        `Module.load_state_dict`; so do tensors of another shape, strict or not.
    assign : True makes the tensors of the file, on `device` and in their own dtypes, the model's; False copies them
        into the model's. None assigns those that the model has on the meta device, where there is nothing to copy
        into, and copies the others. Parameters that are tied stay tied.
    Raises `InputError` for assign=False where the model has tensors on the meta device, as nothing would be loaded.
    A buffer that is on the meta device and not in the `state_dict` stays there, with a warning.
    """
    from .state_dict import load_into

    arguments.flag(strict, "strict")
    if assign is not None:
        arguments.flag(assign, "assign")
    for name, tensor in _module(model).state_dict().items():
        if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
            with located(tensor=name):
                devices.check_storage(tensor)
    state = load_file(filename, device, threads=threads, limits=limits)
    with located(file=os.fsdecode(filename) if isinstance(filename, str | bytes | os.PathLike) else None):
        return load_into(model, state, strict=strict, assign=assign)


def to_elements(tensors: Mapping[str, Any]) -> dict[str, Elements | Tied]:
    """What the writer takes: elements, with tied tensors named as such. Raises `InputError`."""
    arguments.mapping(tensors, "tensors", "names to tensors")
    out: dict[str, Elements | Tied] = {}
    seen: dict[Any, str] = {}
    # Tensors that a lazy mapping makes must not go before all have been seen: their memory would be given out again.
    alive = []
    for name, tensor in tensors.items():
        arguments.tensor_name(name)
        if not isinstance(tensor, torch.Tensor):
            raise InputError(
                f"{arguments.a(tensor)} is not a tensor; leave it out or store it as metadata", tensor=name
            )
        alive.append(tensor)
        try:
            devices.check_plain(tensor)
            _check_dtype(tensor.dtype)
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
    arguments.instance(tensor, torch.Tensor, "tensor", "a tensor of torch")
    devices.check_plain(tensor)
    _check_dtype(tensor.dtype)
    dtype = dtypes.BY_NAME[_NAMES[tensor.dtype]]
    if not tensor.is_contiguous():
        check_shape(TensorInfo(dtype, tuple(tensor.shape)))
        span = Span.of(0, tensor.shape, tensor.stride(), 1)
        check_expanded(tensor.numel() * tensor.element_size(), span.end * tensor.element_size())
    with devices.refusals("torch does not give the elements of this tensor"):
        plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        bits = plain.view(_BITS[min(dtype.itemsize, 8)]).numpy().view(dtype.bits)
    return Elements.of(TensorInfo(dtype, tuple(tensor.shape)), bits)


def to_tensor(elements: Elements, device: Device = "cpu", dtype: torch.dtype | None = None) -> torch.Tensor:
    """The tensor of these elements, on `device`; it shares their memory where they are writable and stay as they are.

    dtype : a floating-point tensor is converted to it; None leaves it as it is.
    Raises `InputError` where this version of torch has no such dtype, and for a device that is not there.
    """
    arguments.instance(elements, Elements, "elements", "what from_tensor() gives")
    return _converter(device, dtype)(elements)


def _converter(device: Device, dtype: torch.dtype | None = None) -> Callable[[Elements], torch.Tensor]:
    """What makes tensors of elements. Raises `InputError` for what is no device or no dtype to convert to."""
    return partial(_to_tensor, device=devices.device(device), dtype=devices.float_dtype(dtype))


def _to_tensor(elements: Elements, device: torch.device, dtype: torch.dtype | None) -> torch.Tensor:
    info = elements.info
    reason = _lacks(info.dtype)
    if reason is not None:
        raise InputError(reason)
    if info.numel == 0:
        tensor = torch.empty(info.shape, dtype=_DTYPES[info.dtype.name], device=device)
    else:
        bits = elements.bits if elements.bits.flags.writeable else elements.bits.copy()
        signed = bits if info.dtype.itemsize in (1, 16) else bits.view(f"<i{info.dtype.itemsize}")
        tensor = torch.from_numpy(signed).view(_DTYPES[info.dtype.name]).reshape(info.shape)
    with devices.refusals(f"torch does not put tensors on device {str(device)!r}"):
        return tensor.to(device, dtype if tensor.is_floating_point() else None)


def _lacks(dtype: DType) -> str | None:
    """Why there can be no tensors of a dtype; None where there can."""
    return None if dtype.name in _DTYPES else f"this version of torch has no {dtype.name}; upgrade torch"


def _module(model: Any) -> torch.nn.Module:
    return arguments.instance(model, torch.nn.Module, "model", "a torch.nn.Module")


def _check_dtype(dtype: torch.dtype) -> None:
    if dtype not in _NAMES:
        raise InputError(f"dtype {dtype} cannot be stored")


def _recode(device: Device, dtype: torch.dtype | None) -> Recode | None:
    """What gives tensors the bits that `to_tensor` gives them in the end, and spares it to convert every element."""
    if dtype is None or not dtype.is_floating_point or devices.device(device).type != "cpu":
        return None
    known: dict[int, Codebook | None] = {}

    def recode(codebook: Codebook) -> Codebook | None:
        if id(codebook) not in known:
            known[id(codebook)] = _recoded(codebook, dtype)
        return known[id(codebook)]

    return recode


def _recoded(codebook: Codebook, dtype: torch.dtype) -> Codebook | None:
    """None where the bits of an element hang on more than its value, as those of NaN do, or zero would have bits."""
    shape = (codebook.count + 1,)
    values = to_tensor(Elements(TensorInfo(codebook.dtype, shape), codebook.symbols.copy()))
    if not values.is_floating_point() or values.dtype == dtype or dtype not in _NAMES:
        return None
    converted = values.to(dtype)
    elements = from_tensor(converted)
    # Not all kinds of 8 bits have `isnan` themselves.
    if elements.bits[0] or bool(values.double().isnan().any()) or bool(converted.double().isnan().any()):
        return None
    return replace(codebook, decoded=(elements.info.dtype, elements.bits))


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
    """The same memory, without a part in any graph. Raises `InputError` for what is no tensor."""
    if out is None:
        return None
    detached = {}
    for name, tensor in arguments.mapping(out, "out", "names to tensors").items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"{arguments.a(tensor)} in `out` is not a tensor of torch", tensor=str(name))
        with located(tensor=str(name)):
            devices.check_plain(tensor)
            _check_dtype(tensor.dtype)
        detached[name] = tensor.detach()
    return detached


def _place_of(tensor: torch.Tensor, info: TensorInfo) -> Place:
    """Where a tensor lies that is decoded into."""
    if _NAMES.get(tensor.dtype) != info.dtype.name or tuple(tensor.shape) != info.shape:
        raise InputError(
            f"the tensor in `out` is {tensor.dtype} of shape {tuple(tensor.shape)}, "
            f"the one in the file {info.dtype.name} of shape {info.shape}"
        )
    if is_folded(tensor.shape, tensor.stride()):
        raise InputError(
            "elements of the tensor in `out` share memory, as expand() makes them; give it memory of its own"
        )
    size = tensor.element_size()
    span = Span.of(tensor.data_ptr(), tensor.shape, [size * stride for stride in tensor.stride()], size)
    plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and tensor.is_contiguous()
    if not plain or tensor.is_conj() or tensor.is_neg() or not tensor.numel():
        return Place(span, None)
    return Place(span, tensor.view(-1).view(_BITS[min(info.dtype.itemsize, 8)]).numpy().view(info.dtype.bits))
