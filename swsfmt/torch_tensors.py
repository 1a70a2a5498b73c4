"""Tensors of torch as the codec sees them, and back: dtypes, elements, memory that is decoded into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import torch

from . import arguments, devices, dtypes
from .dtypes import DType
from .errors import InputError, SwsError, located
from .format.codebook import Codebook
from .memory import Span, check_expanded, is_folded
from .read.reader import Recode
from .read.tensors import Place
from .scaled import Rounding, ScaledBase
from .tensor import Elements, Loadable, TensorInfo, Tied, check_shape

Device: TypeAlias = str | torch.device | int
"""Where tensors go."""

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


class Scaled(ScaledBase[torch.Tensor]):
    __doc__ = ScaledBase.__doc__

    def __init__(
        self,
        levels: torch.Tensor,
        scales: torch.Tensor | float | Sequence[torch.Tensor | float],
        zero: torch.Tensor | float | None = None,
        offset: torch.Tensor | float | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        rounding: Rounding = "once",
        blocks: Sequence[int] | None = None,
    ) -> None:
        """blocks : length of a block along each dimension, for factors whose shape leaves it open, such as 4 of 10.

        Raises `InputError` for what cannot be stored, and says what can.
        """
        super().__init__(levels, scales, zero, offset, dtype=dtype, rounding=rounding, blocks=blocks)  # type: ignore[arg-type]

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensor."""
        return _DTYPES[self._dtype.name]

    def dequantize(self) -> torch.Tensor:
        """The tensor, as a file gives it, on the device of the levels."""
        return to_tensor(self.structured().load(), self.levels.device)

    def _dtype_of(self, dtype: Any) -> DType:
        if not isinstance(dtype, torch.dtype):
            raise InputError(f"dtype must be one of torch, not {arguments.a(dtype)}")
        _check_dtype(dtype)
        return dtypes.BY_NAME[_NAMES[dtype]]

    def _elements_of(self, part: Any, name: str) -> Elements:
        if isinstance(part, int | float) and not isinstance(part, bool):
            part = torch.tensor(float(part), dtype=torch.float32)
        if not isinstance(part, torch.Tensor):
            raise InputError(f"{name} must be a tensor of torch, not {arguments.a(part)}")
        return from_tensor(part)


Value: TypeAlias = torch.Tensor | Scaled
"""What `save` takes."""


def to_elements(tensors: Mapping[str, Any]) -> dict[str, Loadable | Tied]:
    """What the writer takes: elements, with tied tensors named as such. Raises `InputError`."""
    arguments.mapping(tensors, "tensors", "names to tensors")
    out: dict[str, Loadable | Tied] = {}
    seen: dict[Any, str] = {}
    # Tensors that a lazy mapping makes must not go before all have been seen: their memory would be given out again.
    alive: list[Any] = []
    for name, tensor in tensors.items():
        arguments.tensor_name(name)
        if isinstance(tensor, Scaled):
            alive.append(tensor)
            if id(tensor) in seen:
                out[name] = Tied(seen[id(tensor)])
                continue
            seen[id(tensor)] = name
            with located(tensor=name):
                out[name] = tensor.structured()
            continue
        if not isinstance(tensor, torch.Tensor):
            advice = "leave it out or store it as metadata"
            raise InputError(f"this is {arguments.no_tensor(tensor, name, advice)}", tensor=name)
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
        plain = tensor.detach().resolve_conj().resolve_neg().cpu()
        # As bytes, since torch copies no elements of four bits.
        plain = _flat((plain.view(torch.uint8) if dtype.itemsize == 1 else plain).contiguous())
        bits = plain.view(_BITS[min(dtype.itemsize, 8)]).numpy().view(dtype.bits)
    return Elements.of(TensorInfo(dtype, tuple(tensor.shape)), bits)


def to_tensor(elements: Elements, device: Device = "cpu", dtype: torch.dtype | None = None) -> torch.Tensor:
    """The tensor of these elements, on `device`; it shares their memory where they are writable and stay as they are.

    dtype : a floating-point tensor is converted to it; None leaves it as it is.
    Raises `InputError` where this version of torch has no such dtype, and for a device that is not there.
    """
    arguments.instance(elements, Elements, "elements", "what from_tensor() gives")
    return converter(device, dtype)(elements)


def converter(device: Device, dtype: torch.dtype | None = None) -> Callable[[Elements], torch.Tensor]:
    """What makes tensors of elements. Raises `InputError` for what is no device or no dtype to convert to."""
    return partial(_to_tensor, device=devices.device(device), dtype=devices.float_dtype(dtype))


def _to_tensor(elements: Elements, device: torch.device, dtype: torch.dtype | None) -> torch.Tensor:
    info = elements.info
    reason = lacks(info.dtype)
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


def dtype_of(name: str) -> torch.dtype:
    """The dtype of that name in the registry. Raises `InputError` where torch has none."""
    if name not in _DTYPES:
        raise InputError(f"this version of torch has no {name}; upgrade torch")
    return _DTYPES[name]


def lacks(dtype: DType) -> str | None:
    """Why there can be no tensors of a dtype; None where there can."""
    return None if dtype.name in _DTYPES else f"this version of torch has no {dtype.name}; upgrade torch"


def _check_dtype(dtype: torch.dtype) -> None:
    if dtype not in _NAMES:
        raise InputError(f"dtype {dtype} cannot be stored")


def recode_to(device: Device, dtype: torch.dtype | None) -> Recode | None:
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


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """A contiguous tensor in one dimension. Where there is one element its stride may be anything, 0 too."""
    return tensor.as_strided((tensor.numel(),), (1,))


def detached(out: Mapping[str, torch.Tensor] | None) -> dict[str, torch.Tensor] | None:
    """The same memory, without a part in any graph. Raises `InputError` for what is no tensor."""
    if out is None:
        return None
    plain = {}
    for name, tensor in arguments.mapping(out, "out", "names to tensors").items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"{arguments.a(tensor)} in `out` is not a tensor of torch", tensor=str(name))
        with located(tensor=str(name)):
            devices.check_plain(tensor)
            _check_dtype(tensor.dtype)
        plain[name] = tensor.detach()
    return plain


def place_in_model(tensor: torch.Tensor, info: TensorInfo) -> Place:
    """As `place_of`; a tensor of another dtype is copied into, which converts.

    Names that are tied in the file get what was converted for the first, so all of them have to be of one dtype.
    """
    if _NAMES.get(tensor.dtype) == info.dtype.name:
        return place_of(tensor, info)
    size = tensor.element_size()
    return Place(Span.of(tensor.data_ptr(), tensor.shape, [size * step for step in tensor.stride()], size), None)


def place_of(tensor: torch.Tensor, info: TensorInfo) -> Place:
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
    return Place(span, _flat(tensor).view(_BITS[min(info.dtype.itemsize, 8)]).numpy().view(info.dtype.bits))
