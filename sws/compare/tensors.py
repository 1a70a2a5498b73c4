"""What of the elements is kept: errors of each tensor, and of all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from swsfmt import InputError, Limits, MismatchError
from swsfmt.errors import located
from swsfmt.limits import DEFAULT_LIMITS

from .files import Model, Tensors, opened

BINS = 32
"""Of a histogram: from -WIDTH to WIDTH, and those beyond in the first and the last."""
WIDTH = 1.0
# Elements that are compared at a time, as float64.
_BLOCK = 1 << 20
_LISTED = 10


@dataclass(frozen=True)
class TensorError:
    """Of one tensor, or of all. Elements that are not finite are the same in both or count as `not_finite` alone.

    name : None for all
    shape : of the tensor; () for all
    elements : how many there are
    differing : how many are not equal; -0.0 is 0.0
    relative_error : |small - original| / |original|, norms over all elements; inf where only the original is zero
    cosine : of the angle between them as vectors; 1 where both are zero, nan where one is
    max_error : greatest |small - original|
    rms : of the original, sqrt(mean of its squares)
    not_finite : elements that are NaN or infinite in one of them and something else in the other
    histogram : of the error over `rms`, BINS of equal width from -1 to 1; what is beyond is in the outer ones
    """

    name: str | None
    shape: tuple[int, ...]
    elements: int
    differing: int
    relative_error: float
    cosine: float
    max_error: float
    rms: float
    not_finite: int
    histogram: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold: None in place of numbers that it has not."""
        return {key: None if _is_odd(value) else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class TensorComparison:
    """tensors : in the order of the original; tied names each by itself. total : over all of them

    missing : names that only the original has. unexpected : names that only the other has
    reshaped : names whose shapes differ, with the shape in the original and in the other
    """

    tensors: list[TensorError]
    total: TensorError
    missing: list[str]
    unexpected: list[str]
    reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def to_json(self) -> dict[str, Any]:
        return {
            "tensors": [tensor.to_json() for tensor in self.tensors],
            "total": self.total.to_json(),
            "missing": self.missing,
            "unexpected": self.unexpected,
            "reshaped": [{"name": name, "original": a, "small": b} for name, a, b in self.reshaped],
        }


def compare_tensors(
    original: Model,
    small: Model,
    *,
    strict: bool = True,
    key: str | None = None,
    strip_prefix: Iterable[str] = (),
    step: Callable[[int, int], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> TensorComparison:
    """The errors of each tensor of `small`, tensor by tensor: two of them are in memory at a time.

    original, small : any checkpoint that `swsfmt.checkpoints.open` takes or a .sws file, as a path or as bytes; or a
        mapping of names to tensors. Dtypes may differ: values are compared as float64, complex ones as pairs.
    strict : names and shapes must be the same; False compares those that both have
    key, strip_prefix : as for `swsfmt.checkpoints.open`, of the original and, where it takes them, of the other
    step : is told how many tensors are done and how many there are
    Raises `MismatchError`, which lists the names and shapes that differ, and where no name is in both; what those who
    read the files raise.
    """
    with ExitStack() as stack:
        theirs = stack.enter_context(opened(original, key, strip_prefix, limits))
        ours = stack.enter_context(opened(small, None, strip_prefix, limits))
        known = set(ours.names())
        names = [name for name in theirs.names() if name in known]
        missing = [name for name in theirs.names() if name not in known]
        unexpected = sorted(known.difference(theirs.names()))
        shapes = [(name, theirs.shape(name), ours.shape(name)) for name in names]
        reshaped = [entry for entry in shapes if entry[1] != entry[2]]
        if strict:
            _refuse(missing, unexpected, reshaped)
        apart = {name for name, _, _ in reshaped}
        names = [name for name in names if name not in apart]
        if not names:
            raise MismatchError("no tensor is in both with one name and shape")
        errors, total = _compare(theirs, ours, names, step or (lambda done, count: None))
    return TensorComparison(errors, total, missing, unexpected, reshaped)


def _refuse(
    missing: Sequence[str], unexpected: Sequence[str], reshaped: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]
) -> None:
    parts = []
    if missing:
        parts.append(f"only the original has {_listed(missing)}")
    if unexpected:
        parts.append(f"the original has not {_listed(unexpected)}")
    if reshaped:
        shapes = [f"{name} {list(original)} and {list(small)}" for name, original, small in reshaped]
        parts.append(f"shapes differ: {_listed(shapes)}")
    if parts:
        raise MismatchError(f"{'; '.join(parts)}. strict=False (sws: --common) compares the others")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def _compare(
    theirs: Tensors, ours: Tensors, names: list[str], step: Callable[[int, int], None]
) -> tuple[list[TensorError], TensorError]:
    errors = []
    total = _Sums()
    for done, name in enumerate(names):
        with located(tensor=name):
            original, small = _flat(theirs.load(name)), _flat(ours.load(name))
            sums = _sums(original, small)
        errors.append(sums.error(name, theirs.shape(name)))
        total.join(sums)
        step(done + 1, len(names))
    return errors, total.error(None, ())


class _Sums:
    """What adds up over blocks of elements, and over tensors."""

    def __init__(self) -> None:
        self.elements = self.differing = self.not_finite = 0
        self.original = self.small = self.product = self.error_squared = self.max_error = 0.0
        self.histogram = np.zeros(BINS, np.int64)

    def add(self, original: npt.NDArray[np.float64], small: npt.NDArray[np.float64]) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            difference = small - original
            finite = np.isfinite(original) & np.isfinite(small)
            same = (original == small) | (np.isnan(original) & np.isnan(small))
        self.elements += len(original)
        self.differing += len(original) - int(same.sum())
        if not finite.all():
            self.not_finite += int((~finite & ~same).sum())
            original, small, difference = original[finite], small[finite], difference[finite]
        self.original += float(original @ original)
        self.small += float(small @ small)
        self.product += float(original @ small)
        self.error_squared += float(difference @ difference)
        self.max_error = max(self.max_error, float(np.abs(difference).max(initial=0.0)))

    def count(self, differences: npt.NDArray[np.float64], rms: float) -> None:
        """Into the histogram. rms : of the whole tensor, so that this takes a second pass over it"""
        finite = differences[np.isfinite(differences)]
        scaled = finite / rms if rms else np.sign(finite) * math.inf
        with np.errstate(invalid="ignore"):
            places = (np.nan_to_num(scaled, posinf=WIDTH, neginf=-WIDTH).clip(-WIDTH, WIDTH) + WIDTH) / (2 * WIDTH)
        self.histogram += np.bincount(np.minimum((places * BINS).astype(np.int64), BINS - 1), minlength=BINS)

    def join(self, other: _Sums) -> None:
        for name in ("elements", "differing", "not_finite", "original", "small", "product", "error_squared"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.max_error = max(self.max_error, other.max_error)
        self.histogram += other.histogram

    @property
    def rms(self) -> float:
        return math.sqrt(self.original / self.elements) if self.elements else 0.0

    def error(self, name: str | None, shape: tuple[int, ...]) -> TensorError:
        return TensorError(
            name,
            shape,
            self.elements,
            self.differing,
            relative(self.error_squared, self.original),
            cosine(self.product, self.original, self.small),
            self.max_error,
            self.rms,
            self.not_finite,
            tuple(int(count) for count in self.histogram),
        )


def relative(error_squared: float, original_squared: float) -> float:
    """Of two sums of squares: the relative error."""
    if original_squared:
        return math.sqrt(error_squared / original_squared)
    return math.inf if error_squared else 0.0


def cosine(product: float, first_squared: float, second_squared: float) -> float:
    """Of the sums of products and of squares of two vectors."""
    if first_squared and second_squared:
        quotient = product / math.sqrt(first_squared) / math.sqrt(second_squared)
        return math.copysign(1.0, quotient) if abs(quotient) > 1 else quotient
    return 1.0 if first_squared == second_squared else math.nan


def _sums(original: Tensor, small: Tensor) -> _Sums:
    sums = _Sums()
    starts = range(0, len(original), _BLOCK)
    for start in starts:
        sums.add(_numbers(original, start), _numbers(small, start))
    for start in starts:
        with np.errstate(invalid="ignore", over="ignore"):
            sums.count(_numbers(small, start) - _numbers(original, start), sums.rms)
    return sums


def _flat(tensor: Tensor) -> Tensor:
    """Real numbers in one dimension."""
    if tensor.is_complex():
        # torch computes nothing with complex32, whose parts it has all the same.
        tensor = torch.view_as_real(tensor.resolve_conj())
    if tensor.dtype.itemsize == 1 and "float4" in str(tensor.dtype):
        raise InputError(f"torch does not convert {tensor.dtype}; leave this tensor out of both")
    return tensor.reshape(-1)


def _numbers(flat: Tensor, start: int) -> npt.NDArray[np.float64]:
    part = flat[start : start + _BLOCK]
    numbers: npt.NDArray[np.float64] = part.to(torch.float32 if part.dtype.itemsize == 1 else torch.float64).numpy()
    return numbers.astype(np.float64, copy=False)


def _is_odd(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
