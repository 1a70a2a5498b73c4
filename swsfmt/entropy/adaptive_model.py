"""How the adaptive coder sees a matrix, and how large one may be (spec 5.6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

MAX_LINE = 1 << 22
MAX_LINES = 1 << 31
MAX_STRIDE = 1 << 16


class Pairs(NamedTuple):
    """Classes of lines and of places. A line and a place together are of pair lines[line] + places[place].

    lines, places : one byte each. total : how many pairs there are; every sum is below.
    """

    lines: bytes
    places: bytes
    total: int


@dataclass(frozen=True)
class Model:
    """How a matrix of symbols is coded.

    stride : columns j and j - stride are taken for neighbours too, within a line
    line_stride : the same for lines
    values : number of symbols of the first sign, 1 to values[0], and of the second, the ones that follow
    zeros : whether symbol 0 may occur
    light : the smaller set of contexts, which is faster
    pairs : with them more contexts, and finer ones
    """

    stride: int
    line_stride: int
    values: tuple[int, int]
    zeros: bool = True
    light: bool = False
    pairs: Pairs | None = None

    def of_lines(self, first: int, last: int) -> Model:
        """The model of these lines alone."""
        if self.pairs is None:
            return self
        return replace(self, pairs=self.pairs._replace(lines=self.pairs.lines[first:last]))
