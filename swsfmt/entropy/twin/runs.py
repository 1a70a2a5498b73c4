"""How few bits the runs of a bitmap take, as it is, or after what it repeats is taken out (spec 6.5)."""

from __future__ import annotations

import numpy as np

from ..bits import varint_bytes
from ..protocol import Live, Raw

# Strides worth a try: kernel and image widths are small.
_STRIDES = range(2, 65)
# Bits whose runs are measured in one go: a run takes 20 bytes.
_BLOCK = 1 << 18
# Kinds of bitmaps (spec 6.5).
_COPY, _MASKED_RAW, _MASKED_RUNS = 4, 5, 6


def cheapest_runs(live: Live, most: int) -> tuple[int, int] | None:
    sizes = [(_runs_bits(live), 0)]
    for stride in _STRIDES:
        if stride < len(live):
            differences = live.copy()
            differences[stride:] ^= live[:-stride]
            sizes.append((8 + _runs_bits(differences), stride))
    size, stride = min(sizes)
    return (stride, size) if size < most else None


def cheapest_mask(live: Live, masks: list[Raw], first: int) -> tuple[int, int, int] | None:
    inside = int(np.count_nonzero(live))
    ways = []
    for number, raw in enumerate(masks, first):
        mask = np.frombuffer(raw, np.bool_)
        if len(live) % len(mask):
            continue
        mask = np.repeat(mask, len(live) // len(mask))
        if not mask.any() or (live & ~mask).any():
            continue
        inner, argument = live[mask], 8 * varint_bytes(number)
        if len(inner) == inside:
            ways.append((argument, _COPY, number))
        else:
            ways.append((argument + len(inner), _MASKED_RAW, number))
            ways.append((argument + _runs_bits(inner), _MASKED_RUNS, number))
    if not ways:
        return None
    size, kind, number = min(ways)
    return kind, number, size


def _runs_bits(bits: Live) -> int:
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
