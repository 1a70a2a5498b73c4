"""What torch has, and what it says where it refuses: devices, dtypes to convert to, tensors that it cannot serve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from . import arguments
from .errors import InputError


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
