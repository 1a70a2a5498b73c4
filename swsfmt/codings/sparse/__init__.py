"""Coding 4: compressed sparse rows with relative indices (spec 5.5).

params           index bytes <-> parameters
compact_matrix   a matrix without its dead rows and columns
decode           payload -> elements; positions turns gaps into places
analysis, plan   what is known of a matrix, and the cheapest form for it
encode           matrix -> payload; entries finds the gaps and values
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...dtypes import Bits
from ...errors import ChangedError
from ...format.codebook import Codebook
from ...format.cursor import Cursor
from ...format.resources import Resources
from ...tensor import Elements, Loadable, TensorInfo
from ..base import Coding, Decoded, Description, Freedom, Payload, Proposal, Scan, SymbolMatrix, check_marks
from ..matrix import matrix_shape
from ..registry import register
from ..streams import number_tables
from .decode import decode as decode_all
from .decode import decode_rows
from .params import Coded, Params, parse, write

if TYPE_CHECKING:
    from .analysis import Analysis

# Where fewer than one element in so many is zero, the gaps alone cost more than the zeros among the symbols.
_ONE_ZERO_IN = 20


class SparseCoding(Coding[Params]):
    """Positions as gaps of `pbits` bits, values as symbols, both in Huffman codes or fields of a fixed width."""

    id = 4
    name = "sparse"
    has_symbols = True

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        return parse(cursor, tensor, resources)

    def payload_length(self, params: Params, tensor: TensorInfo) -> int | None:
        """0 without entries; otherwise the record holds it."""
        return 0 if params.coded is None else None

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        return decode_all(params, tensor, payload, threads, out)

    def place(
        self,
        params: Params,
        tensor: TensorInfo,
        payload: Payload,
        values: Bits,
        threads: int = 1,
        out: Bits | None = None,
    ) -> Decoded:
        """The values go to their places at once, unless they are many and the places come column by column."""
        coded = params.coded
        if coded is None or (coded.scan == Scan.COLUMNS and coded.chunks.code):
            return super().place(params, tensor, payload, values, threads, out)
        check_marks(params.entries, len(values))
        return decode_all(params, tensor, payload, threads, out, values)

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        if _parts(params) is not None:
            decode_all(params, tensor, payload, threads)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        coded = _parts(params)
        if coded is None:
            return super().decode_rows(params, tensor, payload, first, last)
        return decode_rows(params.entries, coded, tensor, payload, first, last)

    def has_rows(self, params: Params) -> bool:
        return _parts(params) is not None

    def describe(self, params: Params) -> Description:
        coded = params.coded
        return Description() if coded is None else Description(coded.pbits, coded.scan.name.lower())

    def codebook(self, params: Params) -> Codebook | None:
        return None if params.coded is None else params.coded.codebook

    def with_codebook(self, params: Params, codebook: Codebook) -> Params:
        assert params.coded is not None
        return replace(params, coded=replace(params.coded, codebook=codebook))

    def propose_plain(self, elements: Elements, own: Codebook | None) -> Proposal | None:
        """Zeros alone need neither codebook nor payload."""
        return Proposal(self, Params(0), 8, b"") if own is not None and own.count == 0 else None

    # What plans is imported where it is used: a reader has no need of it.

    def survey(self, matrix: SymbolMatrix, freedom: Freedom, threads: int = 1) -> Analysis | None:
        from .analysis import analyse

        if matrix.counts[0] * _ONE_ZERO_IN < matrix.symbols.size:
            return None
        return analyse(matrix.symbols, matrix.counts, freedom, threads)

    def propose(
        self, survey: Analysis, tensor: TensorInfo, number: int, resources: Resources, freedom: Freedom
    ) -> Proposal:
        """The cheapest sparse form. The widths of the chunk table are left open: `encode` finds them."""
        from .plan import plan

        cheapest, bits = plan(survey, number, resources.codebooks[number], resources, freedom)
        return Proposal(self, cheapest, bits, b"" if cheapest.coded is None else None)

    def number_resources(self, params: Params, resources: Resources) -> None:
        coded = params.coded
        if coded is None:
            return
        for live in (coded.matrix.live_rows, coded.matrix.live_columns):
            if live is not None:
                resources.add_bitmap(live)
        number_tables([coded.gaps, coded.values], resources)

    def encode(self, params: Params, tensor: Loadable, threads: int = 1) -> tuple[Params, bytes]:
        from .encode import encode

        if params.coded is None:
            return params, b""
        symbols, counts = params.coded.codebook.symbols_of(tensor.load().bits, threads)
        if symbols.size - int(counts[0]) != params.entries:
            raise ChangedError
        return encode(params, symbols.reshape(matrix_shape(tensor.info.shape)), threads)

    def write(self, params: Params, resources: Resources) -> bytes:
        return write(params, resources)


def _parts(params: Params) -> Coded | None:
    """The parameters, where rows can be decoded without all others."""
    coded = params.coded
    return coded if coded is not None and coded.chunks.code and coded.scan == Scan.ROWS else None


SPARSE = SparseCoding()
register(SPARSE)
