"""Which tensors get a codebook, and which of them share one."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from ..dtypes import Bits, DType
from ..entropy import kernels
from ..format.codebook import MAX_VALUES, Codebook
from ..tensor import Elements

# What one more unused symbol costs in a code table, in bits, about.
_UNUSED_BITS = 2
_HEADER_BITS = 24


def distinct_values(elements: Elements, threads: int = 1) -> Bits | None:
    """The distinct non-zero elements in ascending order, or None if a codebook cannot hold them or cannot pay."""
    if elements.info.dtype.itemsize > 8 or elements.info.numel == 0:
        return None
    values = kernels.distinct(elements.bits, MAX_VALUES + 1, threads)
    if values is None:
        return None
    values = values[values > 0]
    return values if len(values) <= MAX_VALUES else None


def pays_alone(dtype: DType, values: Bits, plain_bits: int) -> bool:
    """Whether a codebook of its own could make a tensor smaller: its values, and at least log2(V) bits for each.

    V values that all occur cannot be coded in fewer than V log2(V) bits, whatever is known of where they are.
    plain_bits : size of the tensor without a codebook, a byte of parameters included.
    """
    own = Codebook.of(dtype, values).stored.nbytes if len(values) else 0
    symbol_bits = len(values) * max(0, len(values).bit_length() - 1)
    return own + symbol_bits // 8 + 1 < plain_bits // 8


@dataclass(eq=False)
class _Group:
    """Tensors that share a codebook. members : numbers of the tensors. bits : size of the values as stored."""

    dtype: DType
    values: Bits
    members: list[int]
    bits: int

    @classmethod
    def of(cls, dtype: DType, values: Bits, members: list[int]) -> _Group:
        return cls(dtype, values, members, 8 * Codebook.of(dtype, values).stored.nbytes)


def share(
    distinct: Mapping[int, tuple[DType, Bits]], founders: Container[int]
) -> tuple[list[Codebook], dict[int, int]]:
    """Group tensors into codebooks: a tensor joins the group where that costs least, or founds its own.

    distinct : number of each tensor -> its dtype and distinct non-zero values.
    founders : the tensors that may found a codebook; the others may only join one that has all their values.
    Returns the codebooks and the codebook number of each tensor that has one.
    """
    groups: list[_Group] = []
    with_value: dict[tuple[int, int], set[int]] = {}
    # Those that may only join come last, when all codebooks are there.
    for number, (dtype, values) in sorted(distinct.items(), key=lambda item: item[0] not in founders):
        if len(values) == 0:
            continue
        founds = number in founders
        best: tuple[float, int | None, _Group | None] = (math.inf, None, None)
        if founds:
            own = _Group.of(dtype, values, [number])
            best = (own.bits + _HEADER_BITS, len(groups), own)
        keys = [(dtype.id, value) for value in values.tolist()]
        for i in sorted(set().union(*(with_value.get(key, ()) for key in keys))):
            joined = _join(groups[i], number, values, grow=founds)
            if joined is None:
                continue
            unused = len(joined.values) - len(values)
            unused += len(groups[i].members) * (len(joined.values) - len(groups[i].values))
            cost = joined.bits - groups[i].bits + _UNUSED_BITS * unused
            if cost < best[0]:
                best = (cost, i, joined)
        _, place, chosen = best
        if place is None or chosen is None:
            continue
        groups[place : place + 1] = [chosen]
        for key in keys:
            with_value.setdefault(key, set()).add(place)
    books = [Codebook.of(group.dtype, group.values) for group in groups]
    return books, {member: i for i, group in enumerate(groups) for member in group.members}


def _join(group: _Group, number: int, values: Bits, grow: bool) -> _Group | None:
    """The group with one more member; None if it would become too large, or would grow and may not."""
    union = np.union1d(group.values, values)
    if len(union) > MAX_VALUES or (len(union) > len(group.values) and not grow):
        return None
    return _Group.of(group.dtype, union, [*group.members, number])
