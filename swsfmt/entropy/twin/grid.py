"""The steps of floats that are whole multiples of one, block by block.

Each element is k x step, rounded. Euclid's algorithm finds the greatest common divisor of a block, where each number is
known up to half of the distance to its neighbours: a remainder below what these errors come to is none. Each element
and its k then say what the step is between; of the floats that are left the one with the fewest digits is tried, and
every element must come out bit for bit. Ordinary floats have no divisor, which a few of them show.

Floats of 16 bits are known too badly for that. Their step is the smallest one over a small number, which is guessed;
ascending, each element narrows the range for the next.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...dtypes import BY_ID, BY_NAME
from .. import reals
from ..protocol import Elements

_MISSING, _FIRST, _LARGE = 8, 16, 256
# What the rounding of these numbers here must not decide.
_SLACK, _LESS, _MORE = 1 + 2.0**-20, 1 - 2.0**-40, 1 + 2.0**-40
# Digits of the mantissa.
_DIGITS = {"F32": 24, "F16": 11, "BF16": 8}
_SINGLE_MOST = 3.0e38


class _Block(NamedTuple):
    """values : magnitudes, or differences to `base`. halves : how far off each may be, upwards, and downwards.

    own : the elements. kind : their dtype
    """

    values: list[float]
    halves: list[float]
    below: list[float]
    own: npt.NDArray[np.float64]
    kind: str
    is_affine: bool
    base: float


def grid_steps(
    elements: Elements,
    kind: int,
    columns: int,
    block: int,
    affine: bool,
    most: int,
    steps: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32],
) -> int:
    done = 0
    dtype = BY_ID[kind]
    for row in elements.reshape(-1, columns):
        for column in range(0, columns, block):
            with np.errstate(all="ignore"):
                found = _find(reals.of_bits(row[column : column + block], dtype), dtype.name, affine, most)
            if found is None:
                return done
            steps[done], offsets[done] = found
            done += 1
    return done


def grid_levels(
    elements: Elements,
    kind: int,
    columns: int,
    row_block: int,
    column_block: int,
    steps: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32],
    first: int,
    out: npt.NDArray[np.int32],
) -> None:
    row, column = np.divmod(np.arange(first, first + len(out)), columns)
    numbers = row // row_block * -(-columns // column_block) + column // column_block
    values, own = reals.of_bits(elements, BY_ID[kind]), reals.widened(steps)[numbers]
    if len(offsets):
        values = values - reals.widened(offsets)[numbers]
    with np.errstate(all="ignore"):
        levels = np.where(own > 0, np.rint(values / own), 0)
        out[:] = np.where((levels > -(2.0**31)) & (levels < 2.0**31 - 1), levels, 0)


def _find(own: npt.NDArray[np.float64], kind: str, affine: bool, most: int) -> tuple[float, float] | None:
    """Step and offset; a step of 0 for a block that needs none."""
    digits = _DIGITS[kind]
    if affine:
        base = float(own.min()) + 0.0
        if not abs(base) < math.inf:
            return None
        values = own - base
        halves = _half(own, digits) + _half(np.array([base]), digits) + _half(values, digits)
        below = values - halves
    else:
        base = 0.0
        own = np.unique(np.abs(own)) if kind != "F32" else own
        values = np.abs(own)
        halves = _half(values, digits)
        # The number below a power of two is nearer.
        below = values - np.where(np.frexp(values)[0] == 0.5, halves / 2, halves)
    if not (values < math.inf).all():
        return None
    block = _Block(values.tolist(), halves.tolist(), below.tolist(), own, kind, affine, base)
    if not values.any():
        return 0.0, base
    if kind != "F32" and not affine:
        return _of_few_digits(block, most)
    between = _divisor(block, most, (1,))
    if between is None and len(own) >= _LARGE:
        between = _divisor(block, most, (256, 16, 1))
    if between is None or between[0] <= 0:
        return None
    between = _narrow(block, *between)
    step = _simplest(*between) if between is not None else None
    if step is None:
        return None
    if _verify(block, step, base, 0, most):
        return step, base
    for shift in range(1, _MISSING) if affine else ():
        offset = _offset(block, step, shift, digits)
        if offset is not None and _verify(block, step, offset, shift, most):
            return step, offset
    return None


def _half(values: npt.NDArray[np.float64], digits: int) -> npt.NDArray[np.float64]:
    """Half of the distance of numbers to their neighbours."""
    exponents = np.frexp(values)[1] - 1
    halves: npt.NDArray[np.float64] = np.where(values == 0, 0.0, np.ldexp(1.0, exponents - digits))
    return halves


def _divisor(block: _Block, most: int, parts: tuple[int, ...]) -> tuple[float, float] | None:
    """What the greatest common divisor is between. Values up to the largest over each of `parts` come before others."""
    g = error = taken = 0.0
    largest = max(block.values)
    for part in parts:
        limit = largest / part
        for value, half in zip(block.values, block.halves, strict=True):
            if value == 0 or value <= taken or value > limit:
                continue
            divided = _divide(g, error, value, half) if g else (value, half)
            if divided is None:
                return None
            g, error = divided
            if largest > g * (most + 0.5):
                return None
        taken = limit
    return g - error * _SLACK, g + error * _SLACK


def _divide(g: float, error: float, value: float, half: float) -> tuple[float, float] | None:
    """The divisor of `g`, which is right up to `error`, and of one more number; None where there is none."""
    times = round(value / g)
    rest, bound = abs(value - times * g), half + times * error
    if 16 * bound > g:
        return g, error
    if rest <= bound * _SLACK:
        return (value / times, half / times) if times > 0 and half < error * times else (g, error)
    a, b, of_a, of_b = g, rest, error, bound
    while b > of_b * _SLACK:
        times = round(a / b)
        a, b, of_a, of_b = b, abs(a - times * b), of_b, of_a + times * of_b
        if 16 * of_b > a:
            return None
    # Both of the numbers that it divides know it better.
    best = a, of_a
    first, second = round(g / a), round(value / a)
    if second > 0 and 16 * second * of_a < a and half < best[1] * second:
        best = value / second, half / second
    if first > 0 and 16 * first * of_a < a and error < best[1] * first:
        best = g / first, error / first
    return best


def _narrow(block: _Block, low: float, high: float) -> tuple[float, float] | None:
    """What all values leave of a range; None where nothing is left, or where a level could be two."""
    is_open = True
    for _ in range(3):
        if not is_open:
            break
        is_open = False
        for value, half, below in zip(block.values, block.halves, block.below, strict=True):
            if value == 0:
                continue
            least, greatest = math.ceil(below / high * _LESS), math.floor((value + half) / low * _MORE)
            if greatest < 1 or greatest < least:
                return None
            if greatest > least:
                is_open = True
                continue
            low, high = max(low, below / least * _LESS), min(high, (value + half) / least * _MORE)
            if low > high:
                return None
    return None if is_open else (low, high)


def _of_few_digits(block: _Block, most: int) -> tuple[float, float] | None:
    number = next(i for i, value in enumerate(block.values) if value > 0)
    first, half, largest = block.values[number], block.halves[number], block.values[-1]
    for times in range(1, _FIRST + 1):
        if largest * times > first * (most + 1):
            break
        between = _narrow(block, (first - half) / times, (first + half) / times)
        step = _simplest(*between) if between is not None else None
        if step is not None and _verify(block, step, 0.0, 0, most):
            return step, 0.0
    return None


def _simplest(low: float, high: float) -> float | None:
    """The float of 32 bits with the fewest digits of low <= x <= high, both above 0; None where there is none."""
    if not low > 0 or not high < _SINGLE_MOST:
        return None
    singles = reals.to_single(np.array([low, high]))
    first, last = singles.view(np.uint32).tolist()
    wide = reals.widened(singles).tolist()
    first, last = first + (wide[0] < low), last - (wide[1] > high)
    for zeros in range(31, -1, -1):
        bits = last >> zeros << zeros
        if last >= first and bits >= first:
            return float(reals.widened(np.array([bits], np.uint32).view(np.float32))[0])
    return None


def _offset(block: _Block, step: float, shift: int, digits: int) -> float | None:
    """An offset where no element has level 0."""
    made = (np.rint((block.own - block.base) / step) + shift) * step
    halves = _half(block.own, digits)
    low, high = float((block.own - halves - made).max()), float((block.own + halves - made).min())
    if low > high:
        return None
    if low > 0:
        return _simplest(low, high)
    if high >= 0:
        return 0.0
    size = _simplest(-high, -low)
    return None if size is None else -size


def _verify(block: _Block, step: float, offset: float, shift: int, most: int) -> bool:
    """Whether step and offset give every element."""
    dtype = BY_NAME[block.kind]
    own = block.own if block.is_affine else np.abs(block.own)
    levels = np.rint((own - block.base if block.is_affine else own) / step) + shift
    made = reals.widened(reals.to_single(levels * step))
    if block.is_affine:
        made = reals.widened(reals.to_single(made + offset))
    return bool((levels <= most).all()) and np.array_equal(reals.to_bits(made, dtype), reals.to_bits(own, dtype))
