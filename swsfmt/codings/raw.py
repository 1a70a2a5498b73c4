"""Coding 0: the elements as they are (spec 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dtypes import Bits
from ..errors import PayloadError
from ..format.cursor import Cursor
from ..format.sections import Section, Span
from ..tensor import TensorInfo
from .common import Decoded, Payload, Resources

ID = 0
NAME = "raw"


@dataclass(frozen=True)
class Params:
    def payload_length(self, tensor: TensorInfo) -> int:
        """Size of the payload in bytes, which the record does not hold."""
        return tensor.nbytes


def parse(cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
    return Params()


def write(params: Params) -> bytes:
    return b""


def decode(params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None) -> Decoded:
    """Decode and check the payload; `out` is left alone. Raises `PayloadError`."""
    bits = np.frombuffer(payload, tensor.dtype.bits)
    if tensor.dtype.name == "BOOL" and bool((bits > 1).any()):
        raise PayloadError("a byte of a BOOL tensor is neither 0 nor 1")
    return Decoded(bits, [Span(Section.RAW, 0, 8 * len(payload))] if payload else [])
