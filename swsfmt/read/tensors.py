"""All tensors of an open file: small ones side by side, large ones chunk by chunk, into new memory or memory given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, TypeAlias, TypeVar

from .. import arguments
from ..dtypes import Bits, DType
from ..errors import InputError, SwsError, warn
from ..parallel import MOST_THREADS, in_order, thread_count
from ..tensor import Elements, TensorInfo
from .reader import Reader, Record

T = TypeVar("T")

Lacks: TypeAlias = Callable[[DType], str | None]
"""Takes a dtype of a file, and says why there is none like it here; None where there is one."""

# Tensors that a warning names.
_NAMED = 8
# Decoded bytes of tensors that are decoded side by side; larger ones have their chunks decoded so.
_SMALL = 1 << 20


def load_all(
    reader: Reader,
    convert: Callable[[Elements], T],
    threads: int | None = None,
    out: Mapping[str, T] | None = None,
    memory: Callable[[T, TensorInfo], Bits | None] = lambda tensor, info: None,
    lacks: Lacks = lambda dtype: None,
) -> dict[str, T]:
    """Every tensor of an open file in its order; tied names get the same object.

    threads : for the chunks of large tensors, one tensor at a time, and for small ones side by side; None for as many
        as there are processors.
    out : tensors that take the place of new ones where they have the name.
    memory : the elements of such a tensor, flat, where it is contiguous; raises `InputError` where it does not fit.
    lacks : why there can be no tensors of a dtype; None where there can. Those of such a dtype are left out, which a
        `SwsWarning` says, as long as any are left.
    """
    threads = thread_count(threads)
    given: Mapping[str, Any] = {} if out is None else arguments.mapping(out, "out", "names to tensors")
    # All are looked at before the first is changed.
    places = {name: _place(given[name], reader, name, memory) for name in reader.keys() if name in given}  # noqa: SIM118
    if given and not places:
        raise InputError("no name in `out` is that of a tensor", file=reader.source.name)
    for name in given:
        if name not in places:
            warn(f"what is in `out` stays as it was: {arguments.no_such('tensor', name, reader.keys())}")
            break
    tensors: dict[str, T] = {}
    for record, elements in _decoded(reader, _holdable(reader, lacks), places, threads):
        name = record.name
        if elements is not None and places.get(name) is not None:
            tensors[name] = given[name]
            continue
        tensor = tensors[reader.resolve(record).name] if elements is None else convert(elements)
        # What has been converted goes before the next tensor is decoded.
        del elements
        if name in given:
            _copy(tensor, given[name], name)
        tensors[name] = given.get(name, tensor)
    return tensors


def _holdable(reader: Reader, lacks: Lacks) -> Sequence[Record]:
    """The records of tensors that there can be; all of them where there can be none, to fail on the first."""
    dtypes = {record.info.dtype for record in reader.records if record.info is not None}
    reasons = {dtype: reason for dtype in dtypes if (reason := lacks(dtype)) is not None}
    if not reasons:
        return reader.records
    infos = [(record, reader.resolve(record).info) for record in reader.records]
    left_out = {
        record.name: reasons[info.dtype] for record, info in infos if info is not None and info.dtype in reasons
    }
    if len(left_out) == len(reader.records):
        return reader.records
    names = ", ".join(map(repr, islice(left_out, _NAMED))) + (", ..." if len(left_out) > _NAMED else "")
    text = f"left out {names}: {'; '.join(sorted(set(left_out.values())))}"
    warn(text if reader.source.name is None else f"{reader.source.name}: {text}")
    return [record for record in reader.records if record.name not in left_out]


def _decoded(
    reader: Reader, records: Sequence[Record], places: Mapping[str, Bits | None], threads: int
) -> Iterator[tuple[Record, Elements | None]]:
    """These records, in order, with their elements, which may be in their `places` already; None for a tied one."""

    def is_small(record: Record) -> bool:
        return record.info is None or record.info.nbytes <= _SMALL

    def decode(record: Record, threads: int = 1) -> Elements | None:
        if reader.resolve(record) is not record:
            return None
        return reader.read(record.name, threads, places.get(record.name))

    for small, group in groupby(records, is_small):
        records = list(group)
        if not small:
            yield from ((record, decode(record, threads)) for record in records)
            continue
        much = sum(record.info.nbytes for record in records if record.info) > _SMALL
        decoded = in_order(decode, records, threads=min(threads, MOST_THREADS) if much else 1)
        yield from zip(records, decoded, strict=True)


def _copy(tensor: Any, out: Any, name: str) -> None:
    try:
        out[...] = tensor
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the tensor in `out` cannot be written to: {error}", tensor=name) from error


def _place(tensor: T, reader: Reader, name: str, memory: Callable[[T, TensorInfo], Bits | None]) -> Bits | None:
    try:
        return memory(tensor, reader.info(name))
    except SwsError as error:
        error.locate(file=reader.source.name, tensor=name)
        raise
