"""Where the elements of arrays and tensors lie in memory, and whether it can be read and written."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Span(NamedTuple):
    """Addresses of memory: from `start` up to `end`, which is not of it."""

    start: int
    end: int

    @classmethod
    def of(cls, address: int, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> Span:
        """What an array takes up, holes included. address : of its first element. strides : in bytes."""
        reaches = [(length - 1) * stride for length, stride in zip(shape, strides, strict=True)]
        before, after = (sum(reach for reach in reaches if (reach < 0) == is_before) for is_before in (True, False))
        return cls(address, address) if 0 in shape else cls(address + before, address + after + itemsize)


def share_memory(spans: Iterable[Span]) -> bool:
    """Whether some of them overlap."""
    reached = 0
    for start, end in sorted(span for span in spans if span.start < span.end):
        if start < reached:
            return True
        reached = end
    return False


def is_folded(shape: Sequence[int], strides: Sequence[int], itemsize: int = 1) -> bool:
    """Whether several elements of an array may lie at the same place, as they do in one that was expanded.

    A few arrays whose elements interleave without meeting are taken for such ones, too. strides : of the same unit as
    `itemsize`.
    """
    if 0 in shape:
        return False
    reach = itemsize - 1
    for stride, length in sorted((abs(stride), length) for stride, length in zip(strides, shape, strict=True)):
        if length > 1:
            if stride <= reach:
                return True
            reach += (length - 1) * stride
    return False


def mapped_bytes(array: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Bytes that an array needs of the file that it maps, and those that the file has now; None where it maps none.

    Who reads what the file has not any more is killed by the system.
    """
    offset, owner = 0, array.base
    if isinstance(array, np.memmap):
        offset, owner = array.offset, array
    while owner is not None and not isinstance(owner, mmap.mmap):
        if isinstance(owner, np.memmap):
            offset = owner.offset
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    if owner is None or not array.size:
        return None
    try:
        there = owner.size()
    except (OSError, ValueError):
        # No file: memory that processes share.
        return None
    begin = address_of(np.frombuffer(owner, np.uint8)) - (offset - offset % mmap.ALLOCATIONGRANULARITY)
    return Span.of(address_of(array), array.shape, array.strides, array.itemsize).end - begin, there


def address_of(array: npt.NDArray[Any]) -> int:
    """Of its first element."""
    address: int = array.__array_interface__["data"][0]
    return address
