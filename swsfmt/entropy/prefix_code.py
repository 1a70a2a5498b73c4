"""A code for the symbols of an alphabet, ready for use: Huffman, or fields of a fixed width (spec 6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..cached import cached_property
from . import huffman
from .protocol import Code


def field_width(alphabet: int) -> int:
    """Bits of a fixed-width symbol: the bit length of alphabet - 1."""
    return (alphabet - 1).bit_length()


_FIELDS = np.arange(huffman.KRAFT_ONE, dtype=np.uint16)


@lru_cache
def _fixed_lengths(width: int) -> npt.NDArray[np.uint8]:
    return np.full(1 << width, width, np.uint8)


@dataclass(frozen=True, eq=False)
class PrefixCode:
    """lengths : uint8 of shape (alphabet,), 0 for unused symbols and for a symbol that takes no bits.
    single : the one symbol of a code without bits, else None.
    is_fixed : whether every symbol is a field of the same width; otherwise the code is canonical.
    """

    lengths: npt.NDArray[np.uint8]
    single: int | None = None
    is_fixed: bool = False

    @classmethod
    def fixed(cls, alphabet: int) -> PrefixCode:
        """Every symbol is a field of `field_width(alphabet)` bits."""
        width = field_width(alphabet)
        if width == 0:
            return cls.one_symbol(0, 1)
        # A view of a shared array: a file may have many fixed alphabets, each in a few bits.
        return cls(_fixed_lengths(width)[:alphabet], is_fixed=True)

    @staticmethod
    def one_symbol(symbol: int, alphabet: int) -> PrefixCode:
        """The code of zero bits for an alphabet of which one symbol is used."""
        return _one_symbol(symbol, alphabet)

    @classmethod
    def canonical(cls, lengths: npt.NDArray[np.uint8]) -> PrefixCode:
        """The canonical code of a complete set of lengths (Kraft sum 1)."""
        return cls(lengths)

    @classmethod
    def optimal(cls, counts: npt.NDArray[np.int64]) -> PrefixCode:
        """The Huffman code of these counts; at least one of them must be above zero."""
        used = np.flatnonzero(counts)
        if len(used) == 1:
            return cls.one_symbol(int(used[0]), len(counts))
        return cls.canonical(huffman.code_lengths(counts))

    @property
    def alphabet(self) -> int:
        return len(self.lengths)

    def covers(self, counts: npt.NDArray[np.int64]) -> bool:
        """Whether every symbol with a count has a codeword."""
        if self.single is not None:
            return int(counts.sum()) == int(counts[self.single])
        return not bool(counts[self.lengths == 0].any())

    def cost(self, counts: npt.NDArray[np.int64]) -> int:
        """Size in bits of a stream with these symbol counts."""
        return int((counts * self.lengths.astype(np.int64)).sum())

    @cached_property
    def codewords(self) -> npt.NDArray[np.uint16]:
        """uint16 of shape (alphabet,), to be written least significant bit first. Most codes are only compared."""
        if self.single is not None:
            return np.zeros(self.alphabet, np.uint16)
        return _FIELDS[: self.alphabet] if self.is_fixed else huffman.canonical_codewords(self.lengths)

    @cached_property
    def arrays(self) -> Code:
        """As the kernels take it."""
        return self.codewords, self.lengths, -1 if self.single is None else self.single

    @cached_property
    def max_length(self) -> int:
        return int(self.lengths.max())


# Constant tensors have such codes, many of them the same.
@lru_cache
def _one_symbol(symbol: int, alphabet: int) -> PrefixCode:
    return PrefixCode(np.zeros(alphabet, np.uint8), symbol)
