"""What is asked for, a size, bits for each weight, an error, and the search for the step that gives it.

Everything hangs on one number, the step of the network: a smaller one is a larger file with a smaller error. The search
is one in logarithms, since bytes fall by about weights / 8 for each doubling of the step and an error grows as a
power of it, kept within the bracket of what was tried: inverse quadratic interpolation, else halving (Brent 1973).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from swsfmt import InputError, SwsWarning, arguments
from swsfmt.checkpoints import parse_size

from ..warnings import warn

SIZE, BITS, ERROR, FIXED = "size", "bits", "error", "step"

TOLERANCE = 0.01
"""A target is hit at its value or up to this part below it, never above."""
_AIM = 1 - TOLERANCE / 2
_TRIES = 24
# A bracket of steps that are this near, in logarithms, holds a jump: so many others around it are tried, so far apart.
_NARROWEST = 1e-3
_NEARBY, _APART = 8, 2.5e-3
# What comes so near below a target is taken where nothing comes nearer.
_NEAR = 0.95
# Outside of a bracket jumps grow by this factor at least, up to this one.
_FACTOR, _FURTHEST = 4.0, 256.0
_LEAST, _MOST = 2.0**-40, 2.0**40
# Where four times the step changes the file by less than this part of it, nothing more will come.
_FLAT = 1e-3


@dataclass(frozen=True)
class Target:
    """kind : "size" in bytes of the whole file; "bits", of the whole file for each element of a tensor; "error", of the
    outputs, relative or in nats of KL; "step", which is used as it is
    """

    kind: str
    value: float

    def __post_init__(self) -> None:
        if self.kind not in (SIZE, BITS, ERROR, FIXED):
            raise InputError(f"a target is a size, bits, an error or a step, not {arguments.brief(self.kind)}")
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not is_number or not 0 < self.value < math.inf:
            raise InputError(f"the target {self.kind} is {arguments.brief(self.value)}, it must be a number above 0")

    @classmethod
    def size(cls, size: int | str) -> Self:
        """The whole file, in bytes or as text: "5MB", "6.8MB", "2GiB". Raises `InputError`."""
        return cls(SIZE, parse_bytes(size))

    @classmethod
    def bits(cls, bits: float) -> Self:
        """Of the whole file for each element of a tensor, tied ones once."""
        return cls(BITS, bits)

    @classmethod
    def error(cls, error: float) -> Self:
        """Of the outputs: relative, or for a language model nats of KL divergence for each token."""
        return cls(ERROR, error)

    @classmethod
    def step(cls, step: float) -> Self:
        """The step of the network; nothing is searched for."""
        return cls(FIXED, step)

    def measured(self, attempt: Attempt, elements: int) -> float:
        """What an attempt has of what is asked for. elements : of all tensors"""
        if self.kind == ERROR:
            return math.nan if attempt.error is None else attempt.error
        return 8 * attempt.bytes / max(1, elements) if self.kind == BITS else attempt.bytes

    def is_exceeded(self, attempt: Attempt, elements: int) -> bool:
        """Whether the file is larger than what was asked for."""
        return self.kind in (SIZE, BITS) and self.measured(attempt, elements) > self.value

    def text(self, value: float) -> str:
        """A value of this kind, for people."""
        if self.kind == SIZE:
            return f"{value:,.0f} bytes"
        return f"{value:.4g} bits a weight" if self.kind == BITS else f"{self.kind} {value:.4g}"

    def __str__(self) -> str:
        return self.text(self.value)


@dataclass(frozen=True)
class Attempt:
    """A network quantised with a step.

    bytes : of its whole file
    error : of its outputs; None where it was not measured
    weight_error : relative, of all weights that were quantised; None likewise
    untuned_error : as `error`, before it was tuned; None where it was not
    quantized : what was made; None for one that is only told of
    """

    step: float
    bytes: int
    error: float | None = None
    weight_error: float | None = None
    untuned_error: float | None = None
    quantized: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        error = "" if self.error is None else f", error {self.error:.4g}"
        return f"step {self.step:.4g}: {self.bytes:,} bytes{error}"


def parse_bytes(size: int | str) -> int:
    """As `swsfmt.checkpoints.parse_size`, which takes whole numbers: 6.8MB too. Raises `InputError`."""
    match = re.fullmatch(r"(\d{1,12})\.(\d{1,6})\s*([a-zA-Z]+)", str(size).strip())
    if match is None:
        return parse_size(str(size).replace(" ", "") if isinstance(size, str) else size)
    unit = parse_size(f"1{match[3]}")
    fraction: int = 10 ** len(match[2])
    return max(1, int(match[1]) * unit + int(match[2]) * unit // fraction)


def search(
    target: Target,
    attempt: Callable[[float], Attempt],
    *,
    elements: int,
    start: float = 1.0,
    tried: list[Attempt] | None = None,
) -> Attempt:
    """The attempt that hits the target: at most its value, and at least 99 % of it, or 95 % where no step gives more.

    An error may go up and down by more than that from step to step: then the smallest file within it, with a warning.
    attempt : quantises with a step, and measures; it is called some three to eight times, for an error that goes up
        and down some twenty
    elements : of all tensors, for a target in bits
    start : the step that is tried first
    tried : takes every attempt, in order, without what was made; what a run before has put there is not tried again,
        and may be what is given back, `quantized` None
    Raises `InputError` for a target that cannot be reached, which names what comes nearest on both sides, and what
    `attempt` raises.
    """
    if target.kind == FIXED:
        return attempt(target.value)
    return _Search(target, attempt, elements, [] if tried is None else tried).run(start)


@dataclass(frozen=True)
class _End:
    """Of the bracket. distance : from what is aimed at, which lies between two ends with other signs"""

    log_step: float
    distance: float
    attempt: Attempt


def _by_bytes(attempt: Attempt) -> tuple[int, float]:
    """And of files of one size by the error."""
    return attempt.bytes, math.inf if attempt.error is None else attempt.error


class _Search:
    """below, above : the ends of the bracket, with less and with more than the target"""

    def __init__(
        self, target: Target, attempt: Callable[[float], Attempt], elements: int, tried: list[Attempt]
    ) -> None:
        self._target, self._attempt, self._elements, self._tried = target, attempt, elements, tried
        self._known = {one.step: one for one in tried}
        self._below: _End | None = None
        self._above: _End | None = None
        self._ends: list[_End] = []
        self._same_side = 0
        self._centre: float | None = None
        self._nearby_tries = 0

    def run(self, start: float) -> Attempt:
        step: float | None = min(max(start, _LEAST), _MOST)
        for _ in range(_TRIES):
            if step is None:
                break
            attempt = self._try(step)
            value = self._target.measured(attempt, self._elements)
            if (1 - TOLERANCE) * self._target.value <= value <= self._target.value:
                return self._smallest(attempt)
            if math.isnan(value):
                raise InputError(f"with {attempt} there is no {self._target.kind}: the outputs are not finite")
            if self._centre is None:
                self._narrow(_End(math.log(step), self._distance(value), attempt), is_below=value <= self._target.value)
            step = self._between() if self._below and self._above else self._beyond()
        nearest = self._nearest() or self._smallest_within()
        if nearest is None:
            raise self._unreachable()
        return nearest

    def _try(self, step: float) -> Attempt:
        if step not in self._known:
            made = self._attempt(step)
            # One network at a time is enough.
            self._known[step] = replace(made, quantized=None)
            self._tried.append(self._known[step])
            return made
        return self._known[step]

    def _distance(self, value: float) -> float:
        """Of a value from what is aimed at: bytes are about linear in the logarithm of the step, an error a power."""
        aim = _AIM * self._target.value
        return math.log(max(value, 1e-300) / aim) if self._target.kind == ERROR else value - aim

    def _narrow(self, new: _End, *, is_below: bool) -> None:
        old, other = (self._below, self._above) if is_below else (self._above, self._below)
        self._same_side = self._same_side + 1 if old is not None else 0
        if old is not None and other is None:
            self._check_flat(old.attempt, new.attempt)
        self._ends.append(new)
        self._below, self._above = (new, other) if is_below else (other, new)

    def _beyond(self) -> float | None:
        """The step to be tried next where all that were tried lie on one side; None where there is none."""
        end = self._below or self._above
        assert end is not None
        is_error = self._target.kind == ERROR
        is_finer = (end.distance < 0) != is_error
        # If a doubled step takes a bit off each element, or doubles the error; a little further, for a bracket.
        bits = abs(end.distance) * (1 if self._target.kind == BITS else 8 / max(1, self._elements))
        jump = 1.05 * (abs(end.distance) if is_error else bits * math.log(2))
        # What was not enough before is doubled, and at least this.
        jump = max(jump * 2**self._same_side, 0.01 * _FACTOR**self._same_side)
        jump = min(jump, math.log(_FURTHEST))
        step = math.exp(end.log_step + (-jump if is_finer else jump))
        return step if _LEAST <= step <= _MOST else None

    def _between(self) -> float | None:
        """The step to be tried next within the bracket; None where it is too narrow to hold another one."""
        assert self._below is not None
        assert self._above is not None
        low, high = self._below, self._above
        width = high.log_step - low.log_step
        if abs(width) < _NARROWEST:
            return self._nearby((low.log_step + high.log_step) / 2)
        part = (self._interpolated(low, high) - low.log_step) / width
        *_, before, last = self._ends
        is_slow = self._same_side > 0 and abs(last.distance) > 0.5 * abs(before.distance)
        if is_slow or not 0 < part < 1:
            part = 0.5
        # Not too near to an end: sizes have jumps.
        return math.exp(low.log_step + min(max(part, 0.005), 0.995) * width)

    def _nearby(self, centre: float) -> float | None:
        """Steps around a jump: what a network makes of them goes up and down, and one of them may hit."""
        self._centre = centre
        self._nearby_tries += 1
        if self._nearby_tries > _NEARBY:
            return None
        side = 1 if self._nearby_tries % 2 else -1
        return math.exp(centre + side * ((self._nearby_tries + 1) // 2) * _APART)

    def _nearest(self) -> Attempt | None:
        """The greatest below the target, where that is near enough to be what was meant."""
        below = [one for one in self._tried if self._target.measured(one, self._elements) <= self._target.value]
        best = max(below, key=lambda one: self._target.measured(one, self._elements), default=None)
        is_near = best is not None and self._target.measured(best, self._elements) >= _NEAR * self._target.value
        return self._smallest(best) if best is not None and is_near else None

    def _smallest(self, hit: Attempt) -> Attempt:
        """Of what was tried as well: an error is a limit, and a smaller file may be within it."""
        if self._target.kind != ERROR:
            return hit
        best = min(self._within(), key=_by_bytes, default=hit)
        return best if best.bytes < hit.bytes else hit

    def _within(self) -> list[Attempt]:
        return [one for one in self._tried if one.error is not None and one.error <= self._target.value]

    def _smallest_within(self) -> Attempt | None:
        """For an error, which is a limit: where steps on both sides of it were tried, the smallest file within it."""
        if self._target.kind != ERROR or not self._below or not self._above:
            return None
        best = min(self._within(), key=_by_bytes)
        rough = f"no step was found with an error within 5 % of the target of {self._target.value:.4g}"
        warn(f"{rough}; this file has {best.error:.4g}. With more inputs errors may be steadier", SwsWarning)
        return best

    def _interpolated(self, low: _End, high: _End) -> float:
        """The logarithm of the step of distance 0: on the inverse parabola through the ends and the nearest other."""
        others = [
            end for end in self._ends if end not in (low, high) and end.distance not in (low.distance, high.distance)
        ]
        nearest = sorted(others, key=lambda end: abs(end.distance))[:1]
        points = [low, high, *nearest]
        result = 0.0
        for one in points:
            rest = (-two.distance / (one.distance - two.distance) for two in points if two is not one)
            result += one.log_step * math.prod(rest)
        return result

    def _check_flat(self, other: Attempt, attempt: Attempt) -> None:
        """Raise `InputError` where a step that is four times another one has changed next to nothing."""
        is_far = max(attempt.step, other.step) >= 0.99 * _FACTOR * min(attempt.step, other.step)
        old, new = (self._target.measured(one, self._elements) for one in (other, attempt))
        if is_far and abs(new - old) <= _FLAT * max(new, old):
            raise self._unreachable()

    def _unreachable(self) -> InputError:
        target, tried = self._target, sorted(self._tried, key=lambda one: one.step)
        values = [target.measured(one, self._elements) for one in tried]
        under = max((v for v in values if v <= target.value), default=None)
        over = min((v for v in values if v > target.value), default=None)
        there = "; ".join(map(str, tried))
        if over is None:
            limit = f"the most that comes out is {target.text(under or 0)}"
            advice = "" if target.kind == ERROR else ": `sws encode` keeps every value, ask for less or use that"
        elif under is None:
            limit, advice = f"the least that comes out is {target.text(over)}", ""
        else:
            limit = f"the nearest are {target.text(under)} and {target.text(over)}"
            advice = ": the method has nothing between them; ask for one of these"
        return InputError(f"the target of {target} cannot be reached, {limit}{advice} (tried: {there})")
