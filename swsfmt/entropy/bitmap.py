"""Which rows or columns are live, in few bits (spec 6.5).

A row that is dead in one layer is often a dead column, or a dead group of columns, of the next one,
so a bitmap may be a copy of an earlier one, stretched, or tell only which of its live bits stay live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from . import backend
from .bits import BitReader, BitWriter
from .protocol import Live as Live
from .protocol import Raw

# Earlier bitmaps that are tried, so that the time for a file stays in proportion to its tensors.
LOOK_BACK = 64


class Kind(IntEnum):
    ALL_LIVE = 0
    RAW = 1
    RUNS = 2
    STRIDE_RUNS = 3
    COPY = 4
    MASKED_RAW = 5
    MASKED_RUNS = 6

    @property
    def has_argument(self) -> bool:
        return self >= Kind.STRIDE_RUNS


_PLAIN = (Kind.RAW, Kind.MASKED_RAW)


@dataclass(frozen=True)
class Form:
    """How one bitmap is written. argument: the stride, or the number of the earlier bitmap."""

    kind: Kind
    argument: int = 0


def stretch(earlier: Live, length: int) -> Live:
    """Each bit of `earlier` for length / len(earlier) neighbours."""
    return np.repeat(earlier, length // len(earlier))


def _run_lengths(bits: Live) -> npt.NDArray[np.int64]:
    ends = np.flatnonzero(np.append(bits[1:] != bits[:-1], True))
    return np.diff(ends, prepend=-1)


def _write_runs(writer: BitWriter, bits: Live) -> None:
    writer.field(int(bits[0]), 1)
    for run in _run_lengths(bits).tolist():
        writer.gamma(run)


def _read_runs(reader: BitReader, count: int) -> Live:
    bits = np.zeros(count, np.bool_)
    read = backend.kernels.read_runs(reader.bits, reader.position, len(reader.bits), bits)
    if read is None:
        # The twin knows why.
        from .twin.packed import runs

        runs(reader, bits)
        raise AssertionError("kernels disagree on the runs of a bitmap")
    reader.position, _ = read
    return bits


def _differences(bits: Live, stride: int) -> Live:
    out = bits.copy()
    out[stride:] ^= bits[:-stride]
    return out


def cheapest_form(bits: Live, earlier: Sequence[Raw], first: int = 0) -> tuple[Form, int]:
    """The shortest way to write `bits`, and its size in bits with its argument. Ties go to the lowest kind.

    earlier : bitmaps that it may refer to, of which the last ones are tried
    first : the number of the first of these
    """
    length = len(bits)
    if np.count_nonzero(bits) == length:
        return Form(Kind.ALL_LIVE), 0
    size, kind, argument = length, int(Kind.RAW), 0
    runs = backend.kernels.cheapest_runs(bits, length)
    if runs is not None:
        argument, size = runs
        kind = Kind.STRIDE_RUNS if argument else Kind.RUNS
    skipped = max(0, len(earlier) - LOOK_BACK)
    mask = backend.kernels.cheapest_mask(bits, list(earlier[skipped:]), first + skipped)
    # A mask is of a higher kind than these.
    if mask is not None and mask[2] < size:
        kind, argument, size = mask
    return Form(Kind(kind), argument), size


def write_bitmap(writer: BitWriter, bits: Live, form: Form, earlier: Sequence[Live]) -> None:
    """Append the packed bits of `bits` in the given form."""
    match form.kind:
        case Kind.RAW:
            writer.flags(bits)
        case Kind.RUNS:
            _write_runs(writer, bits)
        case Kind.STRIDE_RUNS:
            _write_runs(writer, _differences(bits, form.argument))
        case Kind.MASKED_RAW:
            writer.flags(bits[stretch(earlier[form.argument], len(bits))])
        case Kind.MASKED_RUNS:
            _write_runs(writer, bits[stretch(earlier[form.argument], len(bits))])
        case _:
            pass


def read_bitmap(reader: BitReader, length: int, form: Form, earlier: Sequence[Live]) -> Live:
    """Read the packed bits of a bitmap of `length` bits."""
    read: Callable[[int], Live]
    if form.kind in _PLAIN:
        read = lambda count: reader.flags(count, "bitmap").astype(np.bool_)  # noqa: E731
    else:
        read = lambda count: _read_runs(reader, count)  # noqa: E731

    if form.kind == Kind.ALL_LIVE:
        return np.ones(length, np.bool_)
    if form.kind in (Kind.RAW, Kind.RUNS):
        return read(length)
    if form.kind == Kind.STRIDE_RUNS:
        stride = form.argument
        if not 1 <= stride < length:
            raise reader.fail(f"bitmap: stride {stride} is not within 1 to {length - 1}")
        return _integrate(read(length), stride)

    if form.argument >= len(earlier):
        raise reader.fail(f"bitmap: refers to bitmap {form.argument}, only {len(earlier)} come before")
    other = earlier[form.argument]
    if length % len(other):
        raise reader.fail(f"bitmap: {len(other)} bits of bitmap {form.argument} cannot be stretched to {length}")
    mask = stretch(other, length)
    if form.kind == Kind.COPY:
        return mask
    bits = np.zeros(length, np.bool_)
    inner = int(np.count_nonzero(mask))
    if inner == 0:
        raise reader.fail(f"bitmap: bitmap {form.argument} has no live bit")
    bits[mask] = read(inner)
    return bits


def _integrate(differences: Live, stride: int) -> Live:
    """Undo `_differences`: a running XOR over every stride-th bit."""
    padded = np.zeros(-(-len(differences) // stride) * stride, np.bool_)
    padded[: len(differences)] = differences
    running = np.logical_xor.accumulate(padded.reshape(-1, stride), axis=0)
    return running.reshape(-1)[: len(differences)].copy()
