"""Which tensors get a codebook, and which of them share one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .codebook import MAX_VALUES, Codebook
from .dtypes import Bits, DType
from .elements import Elements
from .entropy import kernels

# What one more unused symbol costs in a code table, in bits, about.
_UNUSED_BITS = 2
_HEADER_BITS = 24


def distinct_values(elements: Elements) -> Bits | None:
    """The distinct non-zero elements in ascending order, or None if a codebook cannot hold them or cannot pay."""
    if elements.info.dtype.itemsize > 8 or elements.info.numel == 0:
        return None
    values = kernels.distinct(elements.bits, MAX_VALUES + 1)
    if values is None:
        return None
    values = values[values > 0]
    return values if len(values) <= MAX_VALUES else None


@dataclass(eq=False)
class _Group:
    """Tensors that share a codebook. members : numbers of the tensors."""

    dtype: DType
    values: Bits
    members: list[int] = field(default_factory=list)

    def bits(self) -> int:
        return Codebook.of(self.dtype, self.values).storage.itemsize * 8 * len(self.values)


def share(distinct: Mapping[int, tuple[DType, Bits]]) -> tuple[list[Codebook], dict[int, int]]:
    """Group tensors into codebooks: a tensor joins the group where that costs least, or founds its own.

    distinct : number of each tensor -> its dtype and distinct non-zero values.
    Returns the codebooks and the codebook number of each tensor that has values.
    """
    groups: list[_Group] = []
    for number, (dtype, values) in distinct.items():
        if len(values) == 0:
            continue
        own = _Group(dtype, values, [number])
        best: tuple[int, _Group | None, _Group] = (own.bits() + _HEADER_BITS, None, own)
        for group in groups:
            if group.dtype != dtype or not np.isin(values, group.values).any():
                continue
            union = np.union1d(group.values, values)
            if len(union) > MAX_VALUES:
                continue
            joined = _Group(dtype, union, [*group.members, number])
            unused = len(union) - len(values) + len(group.members) * (len(union) - len(group.values))
            cost = joined.bits() - group.bits() + _UNUSED_BITS * unused
            if cost < best[0]:
                best = (cost, group, joined)
        _, replaced, chosen = best
        if replaced is None:
            groups.append(chosen)
        else:
            groups[groups.index(replaced)] = chosen
    books = [Codebook.of(group.dtype, group.values) for group in groups]
    return books, {member: i for i, group in enumerate(groups) for member in group.members}
