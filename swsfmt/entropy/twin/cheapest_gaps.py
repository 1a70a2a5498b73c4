"""Which form of a sparse matrix has the smallest stream of gaps, with what it needs besides."""

from __future__ import annotations

import numpy as np

from ..logarithms import log2
from ..protocol import MAX_LENGTH, Form, Indices, Raw, Table
from .codes import cheapest_code, cheapest_table
from .entries import gap_counts

_LOG_BITS = 12
# From so many entries on, which have chunks, fewer skips are worth 1/64 of a bit each: they take time.
_LARGE, _SKIPS_SHIFT = 1 << 15, 6


def cheapest_gaps(
    forms: list[Form],
    widths: tuple[int, int],
    logarithms: Indices,
    symbol_bits: int,
    finalists: int,
    huffman: bool,
    tabled: bool,
    windows: bytes,
    tables: list[Table],
) -> tuple[int, int]:
    first, last = widths
    ranks = np.empty((len(forms), last - first + 1), np.int64)
    estimates: dict[int, Indices] = {}
    for form, row in zip(forms, ranks, strict=True):
        gaps, counts, bits, shift = form
        if id(gaps) not in estimates:
            estimates[id(gaps)] = gap_estimates(gaps, counts, logarithms, symbol_bits, huffman)
        row[:] = estimates[id(gaps)][first - 1 : last] + (bits << _LOG_BITS)
        row += row >> shift

    sizes: dict[tuple[int, int], int] = {}
    best: tuple[int, int, int] | None = None
    for at in np.argsort(ranks, axis=None, kind="stable")[:finalists].tolist():
        which, width = divmod(at, ranks.shape[1])
        gaps, counts, bits, shift = forms[which]
        pbits = first + width
        if first < last and int(np.frombuffer(gaps, np.int64).max()) < (1 << pbits - 1) - 1:
            continue
        if (id(gaps), pbits) not in sizes:
            sizes[id(gaps), pbits] = _stream_bits(gap_counts(gaps, counts, pbits), tabled, windows, tables)
        size = bits + sizes[id(gaps), pbits]
        size += size >> shift
        if int(np.frombuffer(counts, np.int64).sum()) >= _LARGE:
            size += int(gap_counts(gaps, counts, pbits)[-1]) >> _SKIPS_SHIFT
        if best is None or size < best[0]:
            best = size, which, pbits
    assert best is not None
    return best[1:]


def gap_estimates(gaps: Raw, counts: Raw, logarithms: Indices, symbol_bits: int, huffman: bool) -> Indices:
    """About the sizes of the streams of gaps with symbols of 1, 2, 3 ... bits, in 4096ths of a bit."""
    estimates = np.empty(MAX_LENGTH, np.int64)
    for pbits in range(1, MAX_LENGTH + 1):
        used = gap_counts(gaps, counts, pbits)
        used = used[used > 0]
        total, most = int(used.sum()), int(used.max())
        entropy, rest = symbol_bits * len(used) << _LOG_BITS, used
        if total - most < most < total:
            # No codeword has less than a bit, if there are two; the others start with another bit than it.
            entropy += total << _LOG_BITS
            rest = used[used != most]
        of_rest = log2(rest.sum(keepdims=True), logarithms)
        entropy += int((rest * (of_rest - log2(rest, logarithms))).sum())
        fixed = total * pbits << _LOG_BITS
        estimates[pbits - 1] = min(fixed, entropy) if huffman else fixed
    return estimates


def _stream_bits(counts: Indices, tabled: bool, windows: bytes, tables: list[Table]) -> int:
    fixed = int(counts.sum()) * (len(counts) - 1).bit_length()
    if not tabled:
        return fixed
    least = min(fixed, cheapest_code(counts, windows)[2])
    earlier = cheapest_table(counts, tables)
    return least if earlier is None else min(least, earlier[1])
