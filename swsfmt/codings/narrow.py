"""Coding 1: the elements in a narrower type that holds every one of them exactly (spec 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import dtypes
from ..dtypes import Bits, DType
from ..format.codebook import Codebook, parse_dtype
from ..format.cursor import Cursor
from ..format.records import Summary
from ..format.resources import Resources
from ..format.sections import Section, Span
from ..tensor import Elements, Loadable, TensorInfo
from . import plain
from .base import Coding, Decoded, Payload, Proposal
from .registry import register

# Elements that are widened in one go.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Params:
    """storage : the narrower type."""

    storage: DType


def _widened(params: Params, tensor: TensorInfo, stored: Bits, out: Bits | None) -> Bits:
    """The elements, in `out` if there is one. Block by block: what is made on the way takes more than they do."""
    bits = np.empty(len(stored), tensor.dtype.bits) if out is None else out
    for start in range(0, len(stored), _BLOCK):
        bits[start : start + _BLOCK] = dtypes.widen(stored[start : start + _BLOCK], params.storage, tensor.dtype)
    return bits


class NarrowCoding(Coding[Params]):
    """Only for types that have narrower ones."""

    id = 1
    name = "narrow"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        storage = parse_dtype(cursor, "storage")
        if storage not in dtypes.narrower(tensor.dtype):
            raise cursor.error(f"{tensor.dtype.name} cannot be stored as {storage.name}")
        if tensor.numel == 0:
            raise cursor.error("a tensor without elements must be raw")
        return Params(storage)

    def payload_length(self, params: Params, tensor: TensorInfo) -> int:
        return tensor.numel * params.storage.itemsize

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        bits = _widened(params, tensor, np.frombuffer(payload, params.storage.bits), out)
        return Decoded(bits, [Span(Section.RAW, 0, 8 * len(payload))])

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        for first in range(0, tensor.numel, _BLOCK):
            self.decode_rows(params, tensor, payload, first, first + _BLOCK)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        return _widened(params, tensor, np.frombuffer(payload, params.storage.bits)[first:last], None)

    def has_rows(self, params: Params) -> bool:
        return True

    def propose_plain(self, elements: Elements, own: Codebook | None) -> Proposal | None:
        info = elements.info
        if own is not None:
            # Zero is exact in every type.
            storage = own.storage
        else:
            storage = dtypes.storage_for(elements.bits, info.dtype) if info.numel else info.dtype
        return None if storage == info.dtype else Proposal(self, Params(storage), plain.size_bits(elements, storage))

    def encode(self, params: Params, tensor: Loadable, threads: int = 1) -> tuple[Params, bytes | Summary]:
        return params, plain.encode(tensor, params.storage)

    def pieces(self, params: Params, tensor: Loadable) -> Iterator[memoryview]:
        return plain.pieces(tensor, params.storage)

    def write(self, params: Params, resources: Resources) -> bytes:
        return bytes([params.storage.id])


NARROW = NarrowCoding()
register(NARROW)
