"""Coding 0: the elements as they are (spec 5.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..dtypes import Bits
from ..errors import PayloadError
from ..format.codebook import Codebook
from ..format.cursor import Cursor
from ..format.records import Summary
from ..format.resources import Resources
from ..format.sections import Section, Span
from ..tensor import Elements, Loadable, TensorInfo
from . import plain
from .base import Coding, Decoded, Payload, Proposal
from .registry import register


class RawCoding(Coding[None]):
    """It has no parameters."""

    id = 0
    name = "raw"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> None:
        return None

    def payload_length(self, params: None, tensor: TensorInfo) -> int:
        return tensor.nbytes

    def decode(
        self, params: None, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        bits = np.frombuffer(payload, tensor.dtype.bits)
        if tensor.dtype.name == "BOOL" and bool((bits > 1).any()):
            raise PayloadError("a byte of a BOOL tensor is neither 0 nor 1")
        return Decoded(bits, [Span(Section.RAW, 0, 8 * len(payload))] if payload else [])

    def has_rows(self, params: None) -> bool:
        return True

    def propose_plain(self, elements: Elements, own: Codebook | None) -> Proposal:
        return Proposal(self, None, plain.size_bits(elements, elements.info.dtype))

    def encode(self, params: None, tensor: Loadable, threads: int = 1) -> tuple[None, bytes | Summary]:
        return None, plain.encode(tensor, tensor.info.dtype)

    def pieces(self, params: None, tensor: Loadable) -> Iterator[memoryview]:
        return plain.pieces(tensor, tensor.info.dtype)

    def write(self, params: None, resources: Resources) -> bytes:
        return b""


RAW = RawCoding()
register(RAW)
