"""Coding 8: a main part, and the values that are not in it, one after the other (spec 5.9).

plan    which elements of a tensor stand apart, and what that takes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dtypes import BY_NAME, Bits, DType
from ...entropy import escape
from ...errors import ChangedError, PayloadError
from ...format.body import build_part
from ...format.cursor import Cursor, varint
from ...format.resources import Resources
from ...tensor import Elements, TensorInfo
from ..base import Decoded, Description, Payload, Split, check_marks
from ..composite import (
    Composite,
    Draft,
    check_dtype,
    decode_part,
    decode_part_rows,
    info_of,
    known,
    parse_part,
    part_payloads,
)
from ..registry import register
from ..sampling import Sampled

BOOL = BY_NAME["BOOL"]
# Fewer elements cannot save what a record with parts takes more.
_LEAST = 64


@dataclass(frozen=True, eq=False)
class Params:
    """count : of the values.

    mark : an element of the main part that is the next of the values; None where the main part is a mask
    kept : the elements of a tensor to be written that stand in the main part; None for a mask
    parts : records of the main part and of the values, or their drafts; empty until there are any
    """

    count: int
    mark: int | None = None
    kept: Bits | None = None
    parts: Sequence[Any] = ()


class EscapeCoding(Composite[Params]):
    """Sparse tensors of any values; tensors of many values of which some are frequent."""

    id = 8
    name = "escape"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        dtype = tensor.dtype
        if tensor.numel == 0:
            raise cursor.error("a tensor without elements must be raw")
        if dtype.itemsize > 8 or dtype == BOOL:
            raise cursor.error(f"elements of {dtype.name} do not stand apart")
        count, has_mark = divmod(cursor.varint("number of values"), 2)
        if not 1 <= count <= tensor.numel:
            raise cursor.error(f"{count} values of {tensor.numel} elements")
        mark = int.from_bytes(cursor.take(dtype.itemsize, "mark"), "little") if has_mark else None
        usual = dtype if has_mark else BOOL
        main = parse_part(cursor, tensor.shape, usual, resources)
        check_dtype(main, usual, cursor)
        values = parse_part(cursor, (count,), dtype, resources)
        check_dtype(values, dtype, cursor)
        return Params(count, mark, parts=[main, values])

    def parts(self, params: Params) -> Sequence[Any]:
        return params.parts

    def describe(self, params: Params) -> Description:
        main = params.parts[0]
        return main.coding.describe(main.params) if main.coding.is_known else Description()

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        (main, of_main), (values, of_values) = part_payloads(params.parts, payload)
        apart = decode_part(values, of_values, threads)
        _check_values(params, apart.bits)
        if params.mark is None:
            rest = known(main).coding.place(main.params, info_of(main), of_main, apart.bits, threads, out)
        else:
            bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
            rest = decode_part(main, of_main, threads, bits)
            check_marks(escape.fill_marks(rest.bits, params.mark, apart.bits, threads), params.count)
        return Decoded(rest.bits, [], rest.gap_symbols, [rest, apart])

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        (main, of_main), (values, of_values) = part_payloads(params.parts, payload)
        known(values)
        check_marks(_count(params, decode_part(main, of_main, threads).bits, threads), params.count)
        _check_values(params, decode_part(values, of_values, threads).bits)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        """All of the main part before them is decoded too: its marks say where their values start."""
        (main, of_main), (values, of_values) = part_payloads(params.parts, payload)
        rest = decode_part_rows(main, of_main, 0, last)
        start, marks = _count(params, rest[:first]), _count(params, rest[first:])
        apart = decode_part_rows(values, of_values, start, start + marks)
        if params.mark is not None:
            bits: Bits = rest[first:].copy()
            escape.fill_marks(bits, params.mark, apart)
            return bits
        bits = np.empty(last - first, tensor.dtype.bits)
        escape.spread(rest[first:], apart, bits)
        return bits

    # What plans is imported where it is used: a reader has no need of it.

    def has_rows(self, params: Params) -> bool:
        return False

    def propose_split(self, elements: Sampled) -> Split | None:
        from .plan import plan

        info = elements.info
        if not 2 <= info.dtype.itemsize <= 8 or info.numel < _LEAST:
            return None
        cheapest = plan(elements)
        if cheapest is None:
            return None
        return Split(self, Params(cheapest.count, cheapest.mark, cheapest.kept), cheapest.bits)

    def part_infos(self, params: Params, tensor: TensorInfo) -> Sequence[TensorInfo]:
        main = TensorInfo(BOOL if params.mark is None else tensor.dtype, tensor.shape)
        return [main, TensorInfo(tensor.dtype, (params.count,))]

    def part(self, params: Params, elements: Elements, number: int) -> Elements:
        info = self.part_infos(params, elements.info)[number]
        if params.mark is None:
            mask = (elements.bits != 0).view(np.uint8)
            if number == 0:
                return Elements(info, mask)
        else:
            assert params.kept is not None
            main, _ = escape.keep(elements.bits, params.kept, params.mark)
            if number == 0:
                return Elements(info, main)
            mask = (main == main.dtype.type(params.mark)).view(np.uint8)
        values = escape.gather(mask, elements.bits, params.count)
        # Others may have written to them since the mask was made.
        if values is None or (params.mark is None and not values.all()):
            raise ChangedError
        return Elements(info, values)

    def with_parts(self, params: Params, parts: Sequence[Draft]) -> Params:
        return Params(params.count, params.mark, parts=parts)

    def write(self, params: Params, resources: Resources) -> bytes:
        main, values = params.parts
        dtype: DType = info_of(values).dtype
        out = varint(2 * params.count + (params.mark is not None))
        if params.mark is not None:
            out += params.mark.to_bytes(dtype.itemsize, "little")
        out += build_part(main, BOOL if params.mark is None else dtype, resources)
        return out + build_part(values, dtype, resources)


def _count(params: Params, main: Bits, threads: int = 1) -> int:
    """How many values the main part, or some of it, asks for."""
    return escape.count_marks(main, 1 if params.mark is None else params.mark, threads)


def _check_values(params: Params, values: Bits) -> None:
    if params.mark is None and escape.count_marks(values, 0):
        raise PayloadError("a value that stands apart is zero, which the mask says")


ESCAPE = EscapeCoding()
register(ESCAPE)
