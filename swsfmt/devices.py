"""What torch has, and what it says where it refuses: devices, dtypes to convert to, tensors that it cannot serve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from . import arguments
from .errors import InputError
from .memory import Span


def device(value: Any) -> torch.device:
    """A device, from its name or number. Raises `InputError` for what is none; that it is there, its use shows."""
    arguments.instance(value, (str, int, torch.device), "device", "a device of torch, its name or its number")
    try:
        return torch.device(value)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{arguments.brief(value)} is no device of torch: {_line(error)}") from error


def float_dtype(value: Any) -> torch.dtype | None:
    """A dtype that holds what floating-point tensors hold, or None. Raises `InputError`."""
    if value is None:
        return None
    dtype = arguments.instance(value, torch.dtype, "dtype", "a torch.dtype")
    if not (dtype.is_floating_point or dtype.is_complex):
        raise InputError(f"dtype {dtype} does not hold what floating-point tensors hold")
    return dtype


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """What torch says to a tensor or a device that it cannot serve, as an `InputError`; want of memory is none."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        if "can't allocate memory" in str(error):
            raise MemoryError(_line(error)) from error
        raise InputError(f"{what}: {_line(error)}") from error


def _line(error: Exception) -> str:
    """What torch says, without the lines that follow the first: places in its sources, settings that tell more."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def check_plain(tensor: torch.Tensor) -> None:
    """Refuse what has no plain array of elements."""
    if torch.nn.parameter.is_lazy(tensor):
        raise InputError("a lazy parameter has no values yet; run the model once")
    if type(tensor).__torch_dispatch__ != torch.Tensor.__torch_dispatch__:
        # Its elements are elsewhere, or nowhere: DTensor, FakeTensor, torchao's quantised tensors.
        raise InputError(f"a {type(tensor).__name__} is not a plain tensor; make it one first")
    if tensor.is_nested or tensor.layout != torch.strided or tensor.is_quantized:
        kind = "nested" if tensor.is_nested else f"of layout {tensor.layout} and dtype {tensor.dtype}"
        raise InputError(f"a tensor {kind} is not dense")
    if tensor.is_meta:
        raise InputError("a tensor on the meta device has no values")
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        raise InputError("a tensor inside of vmap, grad or jvp has no memory of its own; save and load outside")
    if tensor._is_zerotensor():
        raise InputError("a ZeroTensor has no memory; save its clone()")
    check_storage(tensor)


def check_storage(tensor: torch.Tensor) -> None:
    """Refuse a tensor that is not all there: whoever reads it reads, and who writes it damages, what is another's."""
    if tensor.numel() == 0:
        return
    try:
        size = tensor.untyped_storage().nbytes()
    except (NotImplementedError, RuntimeError) as error:
        # Other devices know where their elements are.
        if tensor.device.type == "cpu":
            raise InputError("it has no memory, as within torch.vmap and torch.func.grad; save it outside") from error
        return
    needed = Span.of(int(tensor.storage_offset()), tensor.shape, tensor.stride(), 1).end * tensor.element_size()
    if needed > size:
        raise InputError(
            f"its storage has {size} bytes where {needed} are needed: it was freed or made smaller "
            "(as FSDP does with parameters that are not in use)"
        )
    if tensor.device.type == "cpu" and tensor.data_ptr() == 0:
        raise InputError("it has no memory of its own; make it a plain tensor before saving")
