"""Codings whose records hold others: parts, each with a coding, a payload and a checksum of its own (spec 4.1)."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..dtypes import Bits, DType
from ..errors import ChangedError, IndexRuleError
from ..format import body, records
from ..format.checksum import crc32
from ..format.cursor import Cursor
from ..format.resources import Resources
from ..tensor import Elements, Loadable, TensorInfo
from .base import Coding, Decoded, Freedom, Payload
from .registry import coding_of
from .unknown import UnknownCoding

P = TypeVar("P")

# Of tensors up to so many bytes all parts are kept for a while.
_KEPT = 1 << 25
# Parts of fewer elements, such as scales, have no chunks, and cost little as a whole.
_FEW = 1 << 15

Record = records.Record[Coding[Any]]
Draft = records.Draft[Coding[Any]]


class Composite(Coding[P]):
    """A coding of records that hold others. A writer takes a tensor apart, and treats each part as a tensor."""

    profiles = frozenset({"default", "small"})
    is_composite = True
    is_structured = False
    """Whether the parts mean something to a caller, who may want them as they are."""

    @abstractmethod
    def parts(self, params: P) -> Sequence[Any]: ...

    def part_names(self, params: P) -> list[str]:
        """What the parts are called in a report."""
        return [str(number) for number in range(len(self.parts(params)))]

    @abstractmethod
    def part_infos(self, params: P, tensor: TensorInfo) -> Sequence[TensorInfo]:
        """Dtypes and shapes of the parts of a tensor that is to be written."""
        ...

    @abstractmethod
    def part(self, params: P, elements: Elements, number: int) -> Elements:
        """The elements of one part, numbered from 0. Raises `ChangedError` where it is not what it was."""
        ...

    @abstractmethod
    def with_parts(self, params: P, parts: Sequence[Draft]) -> P:
        """The parameters with the records of all parts."""
        ...

    def choices(
        self, params: P, number: int, codings: Sequence[Coding[Any]], freedom: Freedom
    ) -> tuple[Sequence[Coding[Any]], Freedom]:
        """Of these codings and forms those that a part may have: fewer where it is known what pays."""
        return codings, freedom

    def least_saving(self, params: P, part: TensorInfo) -> int:
        """Bits that a part must save, or it is stored without a codebook, which decodes at once."""
        return 0

    def has_rows(self, params: P) -> bool:
        return all(part.coding.has_rows(part.params) or info_of(part).numel < _FEW for part in self.parts(params))

    def structured(self, params: P, tensor: TensorInfo, parts: Sequence[Elements]) -> Structured:
        """A tensor that has been read in parts. Where they mean something."""
        raise NotImplementedError

    def encode(self, params: P, tensor: Loadable, threads: int = 1) -> tuple[P, bytes]:
        """It has no payload of its own."""
        raise NotImplementedError

    def check(self, params: P, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        for part, own in part_payloads(self.parts(params), payload):
            known(part).coding.check(part.params, info_of(part), own, threads)


@dataclass(frozen=True, eq=False)
class Structured:
    """A tensor that comes in parts, and is stored so; a part may come in parts too. It is `Loadable`."""

    info: TensorInfo
    coding: Composite[Any]
    params: Any
    parts: Sequence[Loadable]

    def load(self) -> Elements:
        """The elements that its parts stand for."""
        raise NotImplementedError


class Latest:
    """The parts of the tensor that each thread took apart last: siblings that are asked for one after the other come
    from one reading. Those of a large tensor are not kept, and none are after `close`, nor in another process.
    """

    def __init__(self, is_open: bool = True) -> None:
        self._is_open = is_open
        self._of_thread: dict[int, tuple[Source, list[Elements]]] = {}

    def __reduce__(self) -> tuple[type[Latest], tuple[bool]]:
        return Latest, (False,)

    def close(self) -> None:
        """From here on only some parts are asked for, each for itself."""
        self._is_open, self._of_thread = False, {}

    def part(self, source: Source, number: int) -> Elements:
        """One part, numbered from 0. Raises `ChangedError` where the tensor is not what it was."""
        if not self._is_open or source.tensor.info.nbytes > _KEPT:
            return source.part(source.read(), number)
        thread = threading.get_ident()
        latest, parts = self._of_thread.get(thread, (None, []))
        if latest is not source:
            elements = source.read()
            parts = [source.part(elements, own) for own in range(len(source.infos))]
            self._of_thread[thread] = source, parts
        return parts[number]


@dataclass(frozen=True, eq=False)
class Source:
    """A tensor that a writer takes apart: read for its parts, as often as they are asked for.

    infos : dtypes and shapes of the parts
    crc : CRC-32 of the elements, since parts may have to be read at different times
    latest : of the file that is written
    """

    tensor: Loadable
    coding: Composite[Any]
    params: Any
    infos: Sequence[TensorInfo]
    crc: int
    latest: Latest

    def read(self) -> Elements:
        """All of it. Raises `ChangedError` where it is not what it was."""
        elements = self.tensor.load()
        if checksum(elements) != self.crc:
            raise ChangedError
        return elements

    def part(self, elements: Elements, number: int) -> Elements:
        """Of what was read."""
        return self.coding.part(self.params, elements, number)


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a tensor. It is `Loadable`."""

    source: Source
    number: int

    @property
    def info(self) -> TensorInfo:
        return self.source.infos[self.number]

    def load(self) -> Elements:
        """Its elements. Raises `ChangedError` where the tensor is not what it was."""
        return self.source.latest.part(self.source, self.number)


def checksum(elements: Elements) -> int:
    """The CRC-32 of elements, by which two readings of a tensor are compared."""
    return crc32(np.ascontiguousarray(elements.bits).view(np.uint8).data)


def parse_part(cursor: Cursor, shape: tuple[int, ...], dtype: DType, resources: Resources) -> Record:
    """The part that comes next. dtype : where none is written. Raises `IndexRuleError`, `LimitError`."""
    return body.parse_part(cursor, shape, dtype, coding_of, resources)


def check_dtype(part: Record, dtype: DType, cursor: Cursor) -> None:
    """Raise `IndexRuleError` for a part of another dtype."""
    if part.info is None or part.info.dtype != dtype:
        raise cursor.error(f"this part must be {dtype.name}")


def info_of(part: Record) -> TensorInfo:
    """Dtype and shape of a part, which it has unless both are unknown."""
    if part.info is None:
        raise IndexRuleError("the dtype of a part is not known")
    return part.info


def known(part: Record) -> Record:
    """A part that can be decoded. Raises `UnknownCodingError`."""
    if not part.coding.is_known:
        raise UnknownCoding(part.coding.id).error()
    return part


def part_payloads(parts: Sequence[Record], payload: Payload) -> Iterator[tuple[Record, Payload]]:
    """Each part with its payload. payload : of the record that holds them."""
    start = 0
    view = memoryview(payload)
    for part in parts:
        end = start + part.length_behind
        yield part, view[start:end] if part.inline is None else part.inline
        start = end


def decode_part(part: Record, payload: Payload, threads: int, out: Bits | None = None) -> Decoded:
    """All of a part, in `out` if there is one. Raises `PayloadError`, `UnknownCodingError`."""
    decoded = decode_part_in(part, payload, threads, out)
    if out is not None and decoded.bits is not out:
        out[:] = decoded.bits
        return decoded._replace(bits=out)
    return decoded


def decode_part_in(part: Record, payload: Payload, threads: int, room: Bits | None) -> Decoded:
    """All of a part, in `room` unless it is elsewhere already, or `room` is None.

    Raises `PayloadError`, `UnknownCodingError`.
    """
    return known(part).coding.decode(part.params, info_of(part), payload, threads, room)


def decode_part_rows(part: Record, payload: Payload, first: int, last: int) -> Bits:
    """Elements first to last - 1 of a part. Raises `PayloadError`, `UnknownCodingError`."""
    return known(part).coding.decode_rows(part.params, info_of(part), payload, first, last)
