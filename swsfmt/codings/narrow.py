"""Coding 1: the elements in a narrower type that holds every one of them exactly (spec 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import dtypes
from ..dtypes import Bits, DType
from ..format.codebook import parse_dtype
from ..format.cursor import Cursor
from ..format.sections import Section, Span
from ..tensor import TensorInfo
from .common import Decoded, Payload, Resources

ID = 1
NAME = "narrow"


@dataclass(frozen=True)
class Params:
    storage: DType

    def payload_length(self, tensor: TensorInfo) -> int:
        """Size of the payload in bytes, which the record does not hold."""
        return tensor.numel * self.storage.itemsize


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    storage = parse_dtype(cursor, "storage")
    if storage not in dtypes.narrower(tensor.dtype):
        raise cursor.error(f"{tensor.dtype.name} cannot be stored as {storage.name}")
    if tensor.numel == 0:
        raise cursor.error("a tensor without elements must be raw")
    return Params(storage)


def write(params: Params) -> bytes:
    return bytes([params.storage.id])


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload; `out` is left alone. Raises `PayloadError`."""
    stored = np.frombuffer(payload, params.storage.bits)
    bits = dtypes.widen(stored, params.storage, tensor.dtype)
    return Decoded(bits, [Span(Section.RAW, 0, 8 * len(payload))])
