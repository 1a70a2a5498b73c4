"""How few bits the runs of a bitmap take, as it is, or after what it repeats is taken out (spec 6.5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_Live = npt.NDArray[np.bool_]

# Strides worth a try: kernel and image widths are small.
_STRIDES = range(2, 65)
# Bits whose runs are measured in one go: a run takes 20 bytes.
_BLOCK = 1 << 18


def cheapest_runs(live: _Live, most: int) -> tuple[int, int] | None:
    sizes = [(_runs_bits(live), 0)]
    for stride in _STRIDES:
        if stride < len(live):
            differences = live.copy()
            differences[stride:] ^= live[:-stride]
            sizes.append((8 + _runs_bits(differences), stride))
    size, stride = min(sizes)
    return (stride, size) if size < most else None


def masks(live: _Live, masks: list[_Live]) -> list[tuple[int, int, int]]:
    found = []
    for which, mask in enumerate(masks):
        if len(live) % len(mask):
            continue
        mask = np.repeat(mask, len(live) // len(mask))
        if mask.any() and not (live & ~mask).any():
            inner = live[mask]
            found.append((which, len(inner), _runs_bits(inner)))
    return found


def _runs_bits(bits: _Live) -> int:
    """Size in bits of the runs of `bits`, in Elias gamma, with the bit that comes first."""
    total, last = 1, -1.0
    for start in range(0, len(bits), _BLOCK):
        # One more bit, to see whether a run ends with the block.
        block = bits[start : start + _BLOCK + 1]
        changes = np.flatnonzero(block[1:] != block[:-1])
        is_last = start + _BLOCK >= len(bits)
        ends = np.empty(len(changes) + is_last)
        if not len(ends):
            continue
        np.add(changes, start, out=ends[: len(changes)])
        if is_last:
            ends[-1] = len(bits) - 1
        runs = ends.copy()
        runs[1:] -= ends[:-1]
        runs[0] -= last
        # The exponent of a number is its length in bits; a run has at most 26 of them.
        _, lengths = np.frexp(runs)
        total += 2 * int(lengths.sum()) - len(ends)
        last = float(ends[-1])
    return total
