"""Tensors of a GGUF file, and parts of them, that stay in the file until they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...codings.scaled import SCALED, ScaledTensor
from ...codings.scaled.params import Form, Params, Shift, factor_shape
from ...dtypes import BY_NAME
from ...errors import InputError
from ...tensor import Elements, Loadable, TensorInfo, check_shape
from ..file import Origin
from . import others
from .blocks import BLOCK_TYPES, F16, F32, I8, U8, BlockType, Numbers, Take
from .header import Entry

# Numbers of types that are no blocks.
_PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
# Bytes that are read at a time: what is made of them is larger, and stays in the cache of a processor.
_AT_ONCE = 1 << 18
_DTYPES = {F16: "F16", F32: "F32", I8: "I8", U8: "U8"}


def opened(origin: Origin, entry: Entry) -> tuple[Loadable, int]:
    """A tensor, and its size in the file. Raises `InputError` for what cannot be read."""
    if entry.type in _PLAIN:
        info = TensorInfo(BY_NAME[_PLAIN[entry.type]], entry.shape)
        check_shape(info)
        return _Stored(origin, entry.offset, info), info.nbytes
    info = TensorInfo(BY_NAME["F32"], entry.shape)
    check_shape(info)
    own = BLOCK_TYPES.get(entry.type)
    name, elements, size = (own.name, own.elements, own.size) if own else others.sizes(entry.type)
    columns = entry.shape[-1] if entry.shape else 1
    if columns % elements:
        raise InputError(f"rows of {columns} elements are no blocks of {elements}, as {name} has them")
    place = _Place(origin, entry.offset, entry.type, info.numel // elements, size)
    if own is None:
        others.check(entry.type, name)
    if not info.numel:
        return Elements(info, np.zeros(0, info.dtype.bits)), 0
    return _Dequantized(place, info) if own is None else _scaled(place, own, info), place.size


def _scaled(place: _Place, own: BlockType, info: TensorInfo) -> ScaledTensor:
    levels = _Part(place, TensorInfo(BY_NAME["I8"], info.shape), "levels")
    factors = [_factor(place, info.shape, "scales", i, numbers) for i, numbers in enumerate(own.scales)]
    blocks = [_blocks(info.shape, numbers.per) for numbers in own.scales]
    if own.minimum:
        shape = factor_shape(info.shape, _blocks(info.shape, own.minimum[0].per))
        minima = [_factor(place, info.shape, "minimum", i, numbers) for i, numbers in enumerate(own.minimum)]
        if len(minima) > 1:
            # A part of a part: the integers, with the scale that many of them share.
            scale = _blocks(shape, own.minimum[1].per // own.minimum[0].per)
            minima = [_tensor(TensorInfo(info.dtype, shape), Form(), minima, [scale])]
        factors += minima
        blocks.append(_blocks(info.shape, own.minimum[0].per))
    form = Form(len(own.scales), Shift.OFFSET if own.minimum else Shift.NONE)
    return _tensor(info, form, [levels, *factors], blocks)


def _tensor(info: TensorInfo, form: Form, parts: Sequence[Loadable], blocks: Sequence[tuple[int, ...]]) -> ScaledTensor:
    return ScaledTensor(info, SCALED, Params(form, blocks, infos=[part.info for part in parts]), parts)


def _blocks(shape: tuple[int, ...], columns: int) -> tuple[int, ...]:
    """So many elements of a row have the same factor."""
    return (*(1 for _ in shape[:-1]), columns)


def _factor(place: _Place, shape: tuple[int, ...], what: str, number: int, numbers: Numbers) -> Loadable:
    own = TensorInfo(BY_NAME[_DTYPES[numbers.dtype]], factor_shape(shape, _blocks(shape, numbers.per)))
    return _Part(place, own, what, number)


@dataclass(frozen=True)
class _Stored:
    """A tensor whose elements are as they are."""

    origin: Origin
    offset: int
    info: TensorInfo

    def load(self) -> Elements:
        """Raises `InputError` where the file has changed, `OSError`."""
        data = self.origin.read(self.offset, self.info.nbytes)
        return Elements(self.info, np.frombuffer(data, self.info.dtype.bits))


@dataclass(frozen=True)
class _Place:
    """Where the blocks of a quantised tensor are. block : bytes of one"""

    origin: Origin
    offset: int
    type: int
    count: int
    block: int

    @property
    def size(self) -> int:
        return self.count * self.block

    def numbers(self, take: Take, info: TensorInfo) -> Elements:
        """What `take` gives of all blocks. Raises `InputError` where the file has changed, `OSError`."""
        out = np.empty(info.numel, info.dtype.bits)
        width = info.numel // self.count
        step = max(1, _AT_ONCE // self.block)
        with self.origin.opened() as file:
            file.seek(self.offset)
            for start in range(0, self.count, step):
                stop = min(start + step, self.count)
                data = file.read((stop - start) * self.block)
                blocks = np.frombuffer(data, U8).reshape(-1, self.block)
                numbers = np.ascontiguousarray(take(blocks)).reshape(-1)
                out[start * width : stop * width] = numbers.view(info.dtype.bits)
        return Elements(info, out)


@dataclass(frozen=True)
class _Part:
    """The levels of a tensor, or one factor.

    what : "levels", or the field of `BlockType` that has the factor. number : of the factor there
    """

    place: _Place
    info: TensorInfo
    what: str
    number: int = 0

    def load(self) -> Elements:
        """Raises `InputError` where the file has changed, `OSError`."""
        own = BLOCK_TYPES[self.place.type]
        take = own.levels if self.what == "levels" else getattr(own, self.what)[self.number].take
        return self.place.numbers(take, self.info)


@dataclass(frozen=True)
class _Dequantized:
    """A tensor that has no levels, or whose levels are not known here."""

    place: _Place
    info: TensorInfo

    def load(self) -> Elements:
        """Raises `InputError` where the file has changed, `OSError`."""
        return self.place.numbers(partial(others.dequantize, number=self.place.type), self.info)
