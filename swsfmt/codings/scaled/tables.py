"""Levels of well-known tables, and the largest magnitude of each group as its scale: NF4 and FP4 of bitsandbytes.

NF4: Dettmers et al., QLoRA (arXiv 2305.14314), appendix E. FP4: the sixteen floats of that library, over the largest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...dtypes import F32, Bits
from ...errors import ChangedError
from ...tensor import Elements, TensorInfo
from .params import Form, factor_shape

Singles = npt.NDArray[np.float32]

_NF4 = [
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334),
    *(-0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
]
_FP4 = [0.0, 0.0625 / 12, 8 / 12, 12 / 12, 4 / 12, 6 / 12, 2 / 12, 3 / 12]
TABLES = (np.array(_NF4, np.float32), np.unique(np.array([*_FP4, *(-x for x in _FP4)], np.float32)))
GROUPS = (4096, 2048, 1024, 512, 256, 128, 64, 32)
"""Elements that have the same scale, along the last dimension."""

# Elements whose levels are made at a time.
_BLOCK = 1 << 18
# Elements that are looked at first.
_FIRST = 32


@dataclass(frozen=True, eq=False)
class Table:
    """table : number of it. group : elements of each group. scales : one for each group."""

    table: int
    group: int
    scales: Singles
    form = Form()

    def infos(self, tensor: TensorInfo) -> list[TensorInfo]:
        """Of the parts."""
        return [TensorInfo(F32, tensor.shape), TensorInfo(F32, factor_shape(tensor.shape, self.blocks(tensor)))]

    def blocks(self, tensor: TensorInfo) -> tuple[int, ...]:
        """For each dimension."""
        return (*[1] * (len(tensor.shape) - 1), self.group)

    def part(self, elements: Elements, number: int) -> Elements:
        """Levels or scales. Raises `ChangedError` where the elements are not what they were."""
        info = self.infos(elements.info)[number]
        if number:
            return Elements(info, self.scales.view(F32.bits))
        out = np.empty(info.numel, F32.bits)
        for start in range(0, info.numel, _BLOCK):
            scales = self.scales[start // self.group : (start + _BLOCK) // self.group]
            levels = levels_of(elements.bits[start : start + _BLOCK], scales, self.table)
            if levels is None:
                raise ChangedError
            out[start : start + _BLOCK] = TABLES[self.table][levels].view(F32.bits)
        return Elements(info, out)


def scales_of(bits: Bits, group: int) -> Singles:
    """The largest magnitude of each group."""
    magnitudes = (bits & bits.dtype.type(0x7FFFFFFF)).reshape(-1, group)
    scales: Singles = magnitudes.max(1).astype("<u4", copy=False).view("<f4")
    return scales


def levels_of(bits: Bits, scales: Singles, table: int) -> npt.NDArray[np.intp] | None:
    """The number of each element in a table; None where one is not, bit for bit, an entry times its scale."""
    values, entries = bits.view("<f4").reshape(len(scales), -1).astype(np.float64), TABLES[table]
    wide = scales.astype(np.float64)[:, None]
    with np.errstate(all="ignore"):
        middles = (entries[1:].astype(np.float64) + entries[:-1]) / 2
        numbers = np.searchsorted(middles, values / np.where(wide > 0, wide, 1))
        made = (entries[numbers] * scales[:, None]).astype(np.float32)
    return numbers.reshape(-1) if np.array_equal(made.view(np.uint32).reshape(-1), bits) else None


def search(elements: Elements) -> Table | None:
    """The table and the groups of a tensor of F32; None where it is of none."""
    info, last = elements.info, elements.info.shape[-1]
    # Of so few values of so many are elements of a table; ordinary floats differ.
    if info.dtype != F32 or len(np.unique(elements.bits[:_FIRST])) > _FIRST // 2 + 1:
        return None
    for group in GROUPS:
        if last % group or info.numel < 2 * group:
            continue
        some = elements.bits[: 2 * group]
        for table in range(len(TABLES)):
            if not (some & 0x7FFFFFFF).any() or levels_of(some, scales_of(some, group), table) is None:
                continue
            scales = scales_of(elements.bits, group)
            own = Table(table, group, scales)
            try:
                own.part(elements, 0)
            except ChangedError:
                continue
            return own
    return None
