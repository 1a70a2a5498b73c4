"""Payloads that are the elements one after the other, in their own type or a narrower one (spec 5.1, 5.2)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..format.checksum import crc32
from ..format.records import MAX_INLINE, Summary
from ..tensor import Loadable


def pieces(tensor: Loadable, storage: DType) -> Iterator[memoryview]:
    """The elements in `storage`, block by block."""
    elements = tensor.load()
    for block in dtypes.narrowed(elements.bits, elements.info.dtype, storage):
        yield np.ascontiguousarray(block).view(np.uint8).data


def encode(tensor: Loadable, storage: DType) -> bytes | Summary:
    """The payload; a long one is not kept, since it can be had from the tensor again."""
    length = tensor.info.numel * storage.itemsize
    blocks = pieces(tensor, storage)
    if length <= MAX_INLINE:
        return b"".join(blocks)
    crc = 0
    for block in blocks:
        crc = crc32(block, crc)
    return Summary(length, crc)


def size_bits(tensor: Loadable, storage: DType) -> int:
    """Payload and a byte of parameters. Raw has none: at equal size a codebook is kept, others may share it."""
    return 8 * (tensor.info.numel * storage.itemsize + 1)
