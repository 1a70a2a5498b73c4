"""Coding 10: a table of values beyond what a codebook holds, and the number of each element in it (spec 5.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dtypes import BY_NAME, Bits, DType
from ..errors import ChangedError, PayloadError
from ..format.body import build_part
from ..format.cursor import Cursor, varint
from ..format.resources import Resources
from ..tensor import Elements, TensorInfo
from .base import Decoded, Payload, Split
from .composite import Composite, Draft, check_dtype, decode_part, decode_part_rows, parse_part, part_payloads
from .estimates import value_counts
from .registry import register
from .sampling import Sampled, cheapest_forms, has_planes, sample

MAX_VALUES = 1 << 16
"""A table holds at most so many values."""

INDICES = BY_NAME["U16"]
_DIFFERENCES = {size: BY_NAME[f"U{8 * size}"] for size in (2, 4, 8)}
# Fewer elements for each value would not pay for the table.
_SHARERS = 3
# A tensor whose sample has more values than this part of its elements is no candidate; and how large the first one is.
_ALL_DIFFERENT, _FEW = 0.95, 1 << 13
# More elements take too long to sort.
_MOST_ELEMENTS = 1 << 24


@dataclass(frozen=True, eq=False)
class Params:
    """count : of the values. values : for a writer, ascending bits. parts : differences of the values, and indices."""

    count: int
    values: Bits | None = None
    parts: Sequence[Any] = ()


class LookupCoding(Composite[Params]):
    """Elements of 2, 4 or 8 bytes."""

    id = 10
    name = "lookup"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        if tensor.numel == 0:
            raise cursor.error("a tensor without elements must be raw")
        if tensor.dtype.itemsize not in _DIFFERENCES:
            raise cursor.error(f"{tensor.dtype.name} has no table of values")
        count = cursor.varint("number of values")
        if not 1 <= count <= min(MAX_VALUES, tensor.numel):
            raise cursor.error(f"{count} values, they are 1 to {MAX_VALUES}, and no more than elements")
        kinds: list[tuple[tuple[int, ...], DType]] = [
            ((count,), _DIFFERENCES[tensor.dtype.itemsize]),
            (tensor.shape, INDICES),
        ]
        parts = []
        for shape, dtype in kinds:
            parts.append(parse_part(cursor, shape, dtype, resources))
            check_dtype(parts[-1], dtype, cursor)
        return Params(count, None, parts)

    def parts(self, params: Params) -> Sequence[Any]:
        return params.parts

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        differences, indices = (decode_part(part, own, threads) for part, own in part_payloads(params.parts, payload))
        bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
        _look_up(_values(differences.bits, tensor.dtype), indices.bits, bits)
        return Decoded(bits, [], parts=(differences, indices))

    def check(self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        self.decode(params, tensor, payload, threads)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        (table, of_table), (numbers, of_numbers) = part_payloads(params.parts, payload)
        bits = np.empty(last - first, tensor.dtype.bits)
        values = _values(decode_part(table, of_table, 1).bits, tensor.dtype)
        _look_up(values, decode_part_rows(numbers, of_numbers, first, last), bits)
        return bits

    def propose_split(self, elements: Sampled) -> Split | None:
        info = elements.info
        if info.dtype.itemsize not in _DIFFERENCES or not _SHARERS <= info.numel <= _MOST_ELEMENTS:
            return None
        # Where the fields of elements take no more than the entropy of whole ones, so do those of their numbers.
        if info.dtype.itemsize == 2 and has_planes(info.dtype) and elements.entropy >= elements.forms.bits:
            return None
        values = _distinct(elements, min(MAX_VALUES, info.numel // _SHARERS))
        if values is None:
            return None
        params = Params(len(values), values)
        table, indices = self.part_infos(params, info)
        size = cheapest_forms(table, sample(self.part(params, elements, 0).bits)).bits
        size += cheapest_forms(indices, _indices(values, elements.sample)).bits
        return Split(self, params, size)

    def part_infos(self, params: Params, tensor: TensorInfo) -> Sequence[TensorInfo]:
        return [
            TensorInfo(_DIFFERENCES[tensor.dtype.itemsize], (params.count,)),
            TensorInfo(INDICES, tensor.shape),
        ]

    def part(self, params: Params, elements: Elements, number: int) -> Elements:
        info = self.part_infos(params, elements.info)[number]
        assert params.values is not None
        if number == 0:
            return Elements(info, np.diff(params.values, prepend=params.values.dtype.type(0)))
        return Elements(info, _indices(params.values, elements.bits))

    def with_parts(self, params: Params, parts: Sequence[Draft]) -> Params:
        return replace(params, parts=parts)

    def write(self, params: Params, resources: Resources) -> bytes:
        table, numbers = params.parts
        usual = _DIFFERENCES[table.info.dtype.itemsize]
        return varint(params.count) + build_part(table, usual, resources) + build_part(numbers, INDICES, resources)


def _distinct(elements: Sampled, most: int) -> Bits | None:
    """The distinct elements, ascending; None where there are more than `most`."""
    bits = elements.bits
    if bits.itemsize > 2:
        # A few elements first, since it takes long to sort many.
        few = _few(bits)
        if _are_too_many(value_counts(few)[0], few, most) or _are_too_many(elements.values[0], elements.sample, most):
            return None
    values = elements.values[0] if len(elements.sample) == len(bits) else value_counts(bits)[0]
    return values if len(values) <= most else None


def _are_too_many(values: Bits, some: Bits, most: int) -> bool:
    """Whether some of the elements have more values than a table may hold, or nearly as many as there are of them."""
    return len(values) > _ALL_DIFFERENT * len(some) or len(values) > most


def _indices(values: Bits, bits: Bits) -> Bits:
    """The number of each element among the ascending values. Raises `ChangedError` for one that is not there."""
    if bits.itemsize == 2:
        numbers = np.zeros(1 << 16, INDICES.bits)
        numbers[values] = np.arange(len(values))
        indices: Bits = numbers[bits]
    else:
        indices = np.minimum(np.searchsorted(values, bits), len(values) - 1).astype(INDICES.bits)
    if not np.array_equal(values[indices], bits):
        raise ChangedError
    return indices


def _few(bits: Bits) -> Bits:
    """So many from all over that of as many values as a table holds a twentieth part comes twice."""
    return bits[:: max(1, len(bits) // _FEW)]


def _values(differences: Bits, dtype: DType) -> Bits:
    """The values of a table. Raises `PayloadError` where they do not ascend within their dtype."""
    values: Bits = np.cumsum(differences, dtype=dtype.bits)
    if bool((values[1:] <= values[:-1]).any()):
        raise PayloadError("the values of a table do not ascend")
    return values


def _look_up(values: Bits, indices: Bits, out: Bits) -> None:
    """The value of each number, into `out`. Raises `PayloadError`."""
    if len(indices) and int(indices.max()) >= len(values):
        raise PayloadError(f"an element is number {int(indices.max())} of a table of {len(values)} values")
    np.take(values, indices, out=out, mode="clip")


LOOKUP = LookupCoding()
register(LOOKUP)
