"""How the adaptive coder sees a matrix, and how large one may be (spec 5.6)."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LINE = 1 << 22
MAX_LINES = 1 << 31
MAX_STRIDE = 1 << 16


@dataclass(frozen=True)
class Model:
    """How a matrix of symbols is coded.

    stride : columns j and j - stride are taken for neighbours too, within a line
    line_stride : the same for lines
    values : number of symbols of the first sign, 1 to values[0], and of the second, the ones that follow
    zeros : whether symbol 0 may occur
    light : the smaller set of contexts, which is faster
    """

    stride: int
    line_stride: int
    values: tuple[int, int]
    zeros: bool = True
    light: bool = False
