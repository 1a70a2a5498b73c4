"""Coding 9: every element is a symbol of a codebook, rows and columns have classes, each pair of classes has static
frequencies (spec 5.10).

params      index bytes <-> parameters
labels      classes of rows and columns <-> bits
payload     payload <-> symbols and elements
plan        the form of a tensor
"""

from __future__ import annotations

from dataclasses import replace

from ...dtypes import Bits
from ...entropy.rans import MAX_ALPHABET
from ...format.codebook import MAX_VALUES
from ...format.cursor import Cursor
from ...format.resources import Resources
from ...tensor import Loadable, TensorInfo
from ..base import Decoded, Freedom, Made, Payload, Proposal, SymbolMatrix
from ..matrix import matrix_shape
from ..registry import register
from ..symbols import SymbolCoding
from . import payload as payloads
from .params import LEAST, Params, parse, write

# What it must save, about: of other codings the tensors behind may share code tables and bitmaps.
_SHARED_BITS = 8 * 48


class ClassesCoding(SymbolCoding[Params]):
    """As small as the adaptive coding for most dense tensors, and as quick as Huffman codes."""

    id = 9
    name = "classes"
    profiles = frozenset({"default", "small"})

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        return parse(cursor, tensor, resources)

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        return payloads.decode(params, tensor, payload, threads, out)

    def place(
        self,
        params: Params,
        tensor: TensorInfo,
        payload: Payload,
        values: Bits,
        threads: int = 1,
        out: Bits | None = None,
    ) -> Decoded:
        """In one thread some chunks at a time, while their mask is in the cache."""
        if threads > 1:
            return super().place(params, tensor, payload, values, threads, out)
        return payloads.place(params, tensor, payload, values, out)

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        payloads.check(params, tensor, payload, threads)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        return payloads.decode_rows(params, tensor, payload, first, last)

    def has_rows(self, params: Params) -> bool:
        return True

    def survey(self, matrix: SymbolMatrix, freedom: Freedom, threads: int = 1) -> Made | None:
        """The form, its payload and its size in bits: to know the size is to have made it."""
        if not freedom.huffman:
            return None
        # Imported here: a reader has no need of it.
        from .plan import plan

        return plan(matrix, threads)

    def most_values(self, tensor: TensorInfo) -> int:
        return MAX_ALPHABET - 1 if tensor.numel >= LEAST else MAX_VALUES

    def propose(
        self,
        survey: Made,
        tensor: TensorInfo,
        number: int,
        resources: Resources,
        freedom: Freedom,
    ) -> Proposal:
        params, payload, bits = survey
        return Proposal(self, replace(params, number=number), bits + _SHARED_BITS, payload, _SHARED_BITS)

    def encode(self, params: Params, tensor: Loadable, threads: int = 1) -> tuple[Params, bytes]:
        symbols, _ = params.codebook.symbols_of(tensor.load().bits, threads)
        return params, payloads.encode(params, symbols.reshape(matrix_shape(tensor.info.shape)), threads)

    def write(self, params: Params, resources: Resources) -> bytes:
        return write(params)


CLASSES = ClassesCoding()
register(CLASSES)
