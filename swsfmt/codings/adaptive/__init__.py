"""Coding 5: every element is a symbol of a codebook, coded with contexts that adapt (spec 5.6).

params   index bytes <-> parameters
chunks   payload <-> symbols and elements
plan     the smallest form, found by trying
"""

from __future__ import annotations

from dataclasses import replace

from ...dtypes import Bits
from ...errors import ChangedError
from ...format.cursor import Cursor
from ...format.resources import Resources
from ...tensor import Loadable, TensorInfo
from ..base import Decoded, Freedom, Made, Payload, Proposal, Scan, SymbolMatrix
from ..matrix import matrix_shape
from ..registry import register
from ..symbols import SymbolCoding
from .chunks import decode, decode_rows, encode
from .params import Params, parse, write


class AdaptiveCoding(SymbolCoding[Params]):
    """The smallest, and some ten times slower to decode than the others."""

    id = 5
    name = "adaptive"
    profiles = frozenset({"small"})

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        return parse(cursor, tensor, resources)

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        return decode(params, tensor, payload, threads, out)

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        if _has_parts(params):
            decode(params, tensor, payload, threads)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        if not _has_parts(params):
            return super().decode_rows(params, tensor, payload, first, last)
        return decode_rows(params, tensor, payload, first, last)

    def has_rows(self, params: Params) -> bool:
        return _has_parts(params)

    def survey(self, matrix: SymbolMatrix, freedom: Freedom, threads: int = 1) -> Made | None:
        """The smallest form, its payload and its size in bits: to know the size is to have made it."""
        # Imported here: a reader has no need of it.
        from .plan import plan

        return plan(matrix, freedom.light, threads)

    def propose(
        self,
        survey: Made,
        tensor: TensorInfo,
        number: int,
        resources: Resources,
        freedom: Freedom,
    ) -> Proposal:
        params, payload, bits = survey
        return Proposal(self, replace(params, number=number), bits, payload, 0)

    def encode(self, params: Params, tensor: Loadable, threads: int = 1) -> tuple[Params, bytes]:
        symbols, counts = params.codebook.symbols_of(tensor.load().bits, threads)
        if counts[0] and not params.zeros:
            raise ChangedError
        return params, encode(params, symbols.reshape(matrix_shape(tensor.info.shape)), threads)

    def write(self, params: Params, resources: Resources) -> bytes:
        return write(params)


def _has_parts(params: Params) -> bool:
    """Whether rows can be decoded without all others."""
    return params.chunk_lines > 0 and params.scan == Scan.ROWS


ADAPTIVE = AdaptiveCoding()
register(ADAPTIVE)
