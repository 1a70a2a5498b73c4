"""Tensors as levels and scales, for callers: what NumPy's and torch's `Scaled` have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Literal, NoReturn, Self, TypeAlias, TypeVar

from . import arguments
from .codings.composite import Structured
from .codings.scaled import SCALED, ScaledTensor
from .codings.scaled.params import PARENTS, Form, Params, Shift, factor_shape, takes
from .dtypes import DType
from .errors import InputError
from .tensor import Elements, TensorInfo, check_shape

T = TypeVar("T")

Rounding: TypeAlias = Literal["once", "each"]
"""How often a result is rounded to its dtype."""

_KINDS = "integers of 1, 2 or 4 bytes, or floats of 1, 2 or 4"


class ScaledBase(Generic[T]):
    """A tensor as levels and factors: (levels - zero) x scale, or levels x scale + offset; there may be two scales.

    levels : of the tensor's shape, integers or floats of 1, 2 or 4 bytes
    scales : one or two arrays of the same rank, or single numbers. Along each dimension there is one factor for all,
        one for each element, or one for each block of elements
    zero, offset : as a scale; not both
    dtype : of the tensor: float16, bfloat16, float32 or float64
    rounding : "once": all is computed in float32 and the result is rounded to `dtype` (in float64 where that is the
        dtype). "each": levels and factors are converted to `dtype` first, and each operation is rounded to it, as
        torch does in that dtype on a processor
    blocks : of each factor by name, how many elements along each dimension have the same one
    """

    levels: T
    scales: tuple[T, ...]
    zero: T | None
    offset: T | None
    rounding: Rounding

    def __init__(
        self,
        levels: T,
        scales: T | Sequence[T],
        zero: T | None = None,
        offset: T | None = None,
        *,
        dtype: Any,
        rounding: Rounding = "once",
        blocks: Sequence[int] | None = None,
    ) -> None:
        """blocks : length of a block along each dimension, for factors whose shape leaves it open, such as 4 of 10.

        Raises `InputError` for what cannot be stored, and says what can.
        """
        if not isinstance(rounding, str) or rounding not in ("once", "each"):
            raise InputError(f"rounding is {arguments.brief(rounding)}, it must be 'once' or 'each'")
        self.levels, self.zero, self.offset, self.rounding = levels, zero, offset, rounding
        self.scales = tuple(scales) if isinstance(scales, tuple | list) else (scales,)  # type: ignore[assignment]
        self._dtype = self._dtype_of(dtype)
        if self._dtype.name not in PARENTS:
            raise InputError(f"the dtype of a scaled tensor is F16, BF16, F32 or F64, not {self._dtype.name}")
        if not 1 <= len(self.scales) <= 2:
            raise InputError(f"there are one or two scales, not {len(self.scales)}; multiply some of them")
        if zero is not None and offset is not None:
            raise InputError("there is a zero or an offset, not both; offset - zero * scale is the offset without zero")
        self._form = _form(len(self.scales), zero is not None, offset is not None, rounding, self._dtype)
        infos = [part.info for part in self._parts()]
        self._shape = infos[0].shape
        check_shape(TensorInfo(self._dtype, self._shape))
        given = _given(blocks, len(self._shape))
        self._blocks = [
            _blocks(self._shape, info.shape, given, name)
            for info, name in zip(infos[1:], self._form.names, strict=True)
        ]
        for info, name in zip(infos, ("levels", *self._form.names), strict=True):
            if not takes(info.dtype, self._dtype):
                _refuse_dtype(info.dtype, name)

    @classmethod
    def _of(cls, structured: Structured, arrays: Sequence[T]) -> Self:
        """What has been read from a file. arrays : of its parts"""
        new = cls.__new__(cls)
        form = structured.params.form
        factors = dict(zip(form.names, arrays[1:], strict=True))
        new.levels = arrays[0]
        new.zero, new.offset = factors.pop("zero", None), factors.pop("offset", None)
        new.scales = tuple(factors.values())
        new.rounding = "each" if form.each else "once"
        new._dtype, new._shape, new._form = structured.info.dtype, structured.info.shape, form
        new._blocks = list(structured.params.blocks)
        return new

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self._shape

    @property
    def blocks(self) -> dict[str, tuple[int, ...]]:
        """Of each factor, how many elements along each dimension have the same one."""
        return dict(zip(self._form.names, self._blocks, strict=True))

    @abstractmethod
    def dequantize(self) -> T:
        """The tensor, as a file gives it."""

    @abstractmethod
    def _dtype_of(self, dtype: Any) -> DType: ...

    @abstractmethod
    def _elements_of(self, part: Any, name: str) -> Elements:
        """Levels or factors. Raises `InputError`."""

    def _parts(self) -> list[Elements]:
        """In the order of a file."""
        zero = [] if self.zero is None else [self.zero]
        offset = [] if self.offset is None else [self.offset]
        parts = [self.levels, *zero, *self.scales, *offset]
        return [self._elements_of(part, name) for part, name in zip(parts, ["levels", *self._form.names], strict=True)]

    def structured(self) -> Structured | Elements:
        """What a writer takes. A tensor without elements has no parts."""
        info = TensorInfo(self._dtype, self._shape)
        levels, *factors = self._parts()
        if levels.info.shape != self._shape:
            raise InputError("the levels have another shape than at first")
        if info.numel == 0:
            return Elements(info, levels.bits[:0].astype(info.dtype.bits))
        shapes = [factor_shape(self._shape, blocks) for blocks in self._blocks]
        factors = [
            Elements(TensorInfo(factor.info.dtype, shape), factor.bits)
            for factor, shape in zip(factors, shapes, strict=True)
        ]
        parts = [levels, *factors]
        return ScaledTensor(info, SCALED, Params(self._form, self._blocks, infos=[part.info for part in parts]), parts)


def _form(scales: int, has_zero: bool, has_offset: bool, rounding: Rounding, dtype: DType) -> Form:
    shift = Shift.ZERO if has_zero else Shift.OFFSET if has_offset else Shift.NONE
    # Operations on float32 are rounded to it anyway.
    return Form(scales, shift, rounding == "each" and dtype.itemsize == 2)


def _given(blocks: Sequence[int] | None, rank: int) -> list[int] | None:
    if blocks is None:
        return None
    if not isinstance(blocks, tuple | list) or len(blocks) != rank:
        raise InputError(f"blocks must have a length for each of the {rank} dimensions, 0 for all of one")
    return [arguments.whole_number(block, "a length in blocks", 0) for block in blocks]


def _blocks(shape: tuple[int, ...], own: tuple[int, ...], given: list[int] | None, name: str) -> tuple[int, ...]:
    """How many elements along each dimension have the same factor. own : shape of the factors"""
    if own in ((), (1,)):
        return shape
    if len(own) != len(shape):
        raise InputError(
            f"{name} has shape {own}, levels {shape}: a factor has as many dimensions as the levels, or is one number; "
            "give scale[:, None] for one of each row, scale[None, :] for one of each column"
        )
    return tuple(
        _block(
            length, count, None if given is None else given[d], f"{name} has {count} along dimension {d} of {length}"
        )
        for d, (length, count) in enumerate(zip(shape, own, strict=True))
    )


def _block(length: int, count: int, given: int | None, where: str) -> int:
    if length == 0 or count == 1:
        return length
    if count == length:
        return 1
    if not 1 < count < length:
        raise InputError(f"{where}: there are at most as many factors as elements")
    if given and -(-length // given) == count:
        return given
    # The shortest and the longest block that are so many.
    least, most = -(-length // count), -(-length // (count - 1)) - 1
    if length % count == 0 and given is None:
        return length // count
    if least > most:
        raise InputError(f"{where}: no blocks of one length are so many")
    if least < most or given:
        raise InputError(f"{where}: blocks of {least} to {most} are so many; say which with blocks=")
    return least


def _refuse_dtype(dtype: DType, name: str) -> NoReturn:
    advice = "convert them to float32" if dtype.name == "F64" else "convert them to int32 or float32"
    raise InputError(f"{name} must be {_KINDS}, not {dtype.name}: {advice}, if that keeps every value")
