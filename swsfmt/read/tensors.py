"""All tensors of an open file: small ones side by side, large ones chunk by chunk, into new memory or memory given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar

from ..dtypes import Bits
from ..errors import SwsError
from ..parallel import MOST_THREADS, in_order, thread_count
from ..tensor import Elements, TensorInfo
from .reader import Reader, Recode, Record

T = TypeVar("T")

# Decoded bytes of tensors that are decoded side by side; larger ones have their chunks decoded so.
_SMALL = 1 << 20


def load_all(
    reader: Reader,
    convert: Callable[[Elements], T],
    threads: int | None = None,
    out: Mapping[str, T] | None = None,
    memory: Callable[[T, TensorInfo], Bits | None] = lambda tensor, info: None,
    recode: Recode | None = None,
) -> dict[str, T]:
    """Every tensor of an open file in its order; tied names get the same object.

    threads : for the chunks of large tensors, one tensor at a time, and for small ones side by side; None for as many
        as there are processors.
    out : tensors that take the place of new ones where they have the name.
    recode : changes the codebooks of tensors that are not in `out`; `convert` gets what comes of it.
    memory : the elements of such a tensor, flat, where it is contiguous; raises `InputError` where it does not fit.
    """
    threads = thread_count(threads)
    given: Mapping[str, Any] = out or {}
    # All are looked at before the first is changed.
    places = {name: _place(given[name], reader, name, memory) for name in reader.keys() if name in given}  # noqa: SIM118
    tensors: dict[str, T] = {}
    for record, elements in _decoded(reader, places, threads, recode):
        name = record.name
        if elements is not None and places.get(name) is not None:
            tensors[name] = given[name]
            continue
        tensor = tensors[reader.resolve(record).name] if elements is None else convert(elements)
        # What has been converted goes before the next tensor is decoded.
        del elements
        if name in given:
            given[name][...] = tensor
        tensors[name] = given.get(name, tensor)
    return tensors


def _decoded(
    reader: Reader, places: Mapping[str, Bits | None], threads: int, recode: Recode | None
) -> Iterator[tuple[Record, Elements | None]]:
    """All records in order, with their elements, which may be in their `places` already; None for one that is tied."""

    def is_small(record: Record) -> bool:
        return record.info is None or record.info.nbytes <= _SMALL

    def decode(record: Record, threads: int = 1) -> Elements | None:
        if reader.resolve(record) is not record:
            return None
        if record.name in places:
            return reader.read(record.name, threads, places[record.name])
        return reader.read(record.name, threads, recode=recode)

    for small, group in groupby(reader.records, is_small):
        records = list(group)
        if not small:
            yield from ((record, decode(record, threads)) for record in records)
            continue
        much = sum(record.info.nbytes for record in records if record.info) > _SMALL
        decoded = in_order(decode, records, threads=min(threads, MOST_THREADS) if much else 1)
        yield from zip(records, decoded, strict=True)


def _place(tensor: T, reader: Reader, name: str, memory: Callable[[T, TensorInfo], Bits | None]) -> Bits | None:
    try:
        return memory(tensor, reader.info(name))
    except SwsError as error:
        error.locate(file=reader.source.name, tensor=name)
        raise
