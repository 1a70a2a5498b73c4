"""Symbols <-> bits, the only part of the package where speed matters.

Each function has one implementation for now, on top of bitarray; this is the place where a native one is chosen.
They trust their `code`, which was checked when its table was read, and nothing else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from . import _fallback
from .prefix_code import PrefixCode

Symbols = npt.NDArray[np.uint16]


def active() -> str:
    """Which implementation runs."""
    return "bitarray"


def encode_symbols(symbols: Symbols, code: PrefixCode) -> bitarray:
    """The bits of `symbols`, each of which must have a codeword in `code`."""
    return _fallback.encode_symbols(symbols, code)


def decode_symbols(bits: bitarray, position: int, count: int, code: PrefixCode) -> tuple[Symbols, int]:
    """Decode `count` symbols from bit `position` on; return them and the position after them.

    Raises `PayloadError` when the bits end too early or a symbol is outside of the alphabet.
    """
    return _fallback.decode_symbols(bits, position, count, code)


def decode_gaps(bits: bitarray, position: int, entries: int, code: PrefixCode) -> tuple[Symbols, int]:
    """Decode gap symbols until `entries` of them are not the skip (the last symbol of the alphabet).

    Returns all symbols, skips included, and the position after them. Raises as `decode_symbols` does.
    """
    return _fallback.decode_gaps(bits, position, entries, code)
