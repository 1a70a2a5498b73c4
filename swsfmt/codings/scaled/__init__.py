"""Coding 7: levels times scales, which are broadcast in blocks; zeros or offsets beside them (spec 5.8).

params      form and blocks, to and from the index
grid        the levels and scales of one that comes as floats
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...dtypes import Bits
from ...entropy.scaled import Factor, Product
from ...format.cursor import Cursor
from ...format.resources import Resources
from ...tensor import Elements, TensorInfo
from ..base import Decoded, Payload, Split
from ..composite import Composite, Draft, Record, Structured, decode_part, decode_part_rows, info_of, part_payloads
from ..registry import register
from ..sampling import Sampled
from . import grid
from . import params as form
from .params import Params


class ScaledCoding(Composite[Params]):
    """Floats of 2, 4 or 8 bytes."""

    id = 7
    name = "scaled"
    is_structured = True

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Params:
        return form.parse(cursor, tensor, resources)

    def parts(self, params: Params) -> Sequence[Any]:
        return params.parts

    def decode(
        self, params: Params, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        parts = [decode_part(part, own, threads) for part, own in part_payloads(params.parts, payload)]
        levels, *factors = (
            Elements(info_of(part), decoded.bits) for part, decoded in zip(params.parts, parts, strict=True)
        )
        bits = np.empty(tensor.numel, tensor.dtype.bits) if out is None else out
        dequantize(params, tensor, levels, factors, bits, threads=threads)
        return Decoded(bits, [], parts=parts)

    def decode_rows(self, params: Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        (levels, own), *factors = part_payloads(params.parts, payload)
        bits = np.empty(last - first, tensor.dtype.bits)
        if first == last:
            return bits
        part = Elements(info_of(levels), decode_part_rows(levels, own, first, last))
        shape, start, blocks, rows = _window(params.blocks, tensor.shape, first, last)
        elements = [_factor_rows(*factor, *span) for factor, span in zip(factors, rows, strict=True)]
        dequantize(replace(params, blocks=blocks), TensorInfo(tensor.dtype, shape), part, elements, bits, first - start)
        return bits

    def propose_split(self, elements: Sampled) -> Split | None:
        found = grid.search(elements)
        return None if found is None else Split(self, *found)

    def part_names(self, params: Params) -> list[str]:
        return ["levels", *params.form.names]

    def part_infos(self, params: Params, tensor: TensorInfo) -> Sequence[TensorInfo]:
        return params.infos

    def part(self, params: Params, elements: Elements, number: int) -> Elements:
        part: Elements = params.grid.part(elements, number)
        return part

    def structured(self, params: Params, tensor: TensorInfo, parts: Sequence[Elements]) -> Structured:
        return ScaledTensor(tensor, self, replace(params, parts=()), parts)

    def with_parts(self, params: Params, parts: Sequence[Draft]) -> Params:
        return Params(params.form, params.blocks, parts)

    def write(self, params: Params, resources: Resources) -> bytes:
        return form.write(params, resources)


class ScaledTensor(Structured):
    """A tensor that comes in levels and factors: `parts`, in the order of the file."""

    def load(self) -> Elements:
        bits = np.empty(self.info.numel, self.info.dtype.bits)
        levels, *factors = (part.load() for part in self.parts)
        dequantize(self.params, self.info, levels, factors, bits)
        return Elements(self.info, bits)


def dequantize(
    params: Params,
    tensor: TensorInfo,
    levels: Elements,
    factors: Sequence[Elements],
    out: Bits,
    first: int = 0,
    threads: int = 1,
) -> None:
    """Levels of elements first to first + len(out) - 1 of a tensor with their factors, into `out`."""
    own = [
        Factor(operation, factor.bits, factor.info.dtype, blocks)
        for operation, factor, blocks in zip(params.form.operations, factors, params.blocks, strict=True)
    ]
    product = Product(tensor.shape, own, tensor.dtype, params.form.each)
    product.into(out, levels.bits, levels.info.dtype, first, threads)


class _Window(NamedTuple):
    """Rows of a tensor that begin where blocks begin, as a tensor of its own.

    shape. start : its first element. blocks : of its factors
    rows : the first row of each factor, and the one after its last
    """

    shape: tuple[int, ...]
    start: int
    blocks: Sequence[tuple[int, ...]]
    rows: Sequence[tuple[int, int]]


def _window(blocks: Sequence[tuple[int, ...]], shape: tuple[int, ...], first: int, last: int) -> _Window:
    """The smallest one that has elements first to last - 1."""
    if not shape:
        return _Window((), 0, blocks, [(0, 1)] * len(blocks))
    row = math.prod(shape[1:])
    cut = math.lcm(*(own[0] for own in blocks if own[0] < shape[0]))
    start, stop = first // row // cut * cut, -(-last // row)
    own_shape = (stop - start, *shape[1:])
    rows = [(0, 1) if own[0] == shape[0] else (start // own[0], -(-stop // own[0])) for own in blocks]
    return _Window(own_shape, start * row, [(min(own[0], stop - start), *own[1:]) for own in blocks], rows)


def _factor_rows(factor: Record, payload: Payload, first: int, last: int) -> Elements:
    info = info_of(factor)
    row = math.prod(info.shape[1:])
    return Elements(info, decode_part_rows(factor, payload, first * row, last * row))


SCALED = ScaledCoding()
register(SCALED)
