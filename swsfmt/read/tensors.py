"""All tensors of an open file: small ones side by side, large ones chunk by chunk, into new memory or memory given.

The payload of the next large one is read while one is decoded; small ones are read by the threads that decode them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeAlias, TypeVar

from .. import arguments
from ..codings.base import Payload
from ..dtypes import Bits, DType
from ..errors import InputError, SwsError, warn
from ..memory import Span, share_memory
from ..parallel import MOST_THREADS, in_order, team_of, thread_count
from ..tensor import Elements, TensorInfo
from .reader import Reader, Recode, Record

T = TypeVar("T")

Lacks: TypeAlias = Callable[[DType], str | None]
"""Takes a dtype of a file, and says why there is none like it here; None where there is one."""

# Tensors that a warning names.
_NAMED = 8
# Decoded bytes of tensors that are decoded side by side; larger ones have their chunks decoded so. Each part of a
# tensor needs the tables of its codes once more.
_SMALL = 1 << 22
# Fewer bytes than these, of all that are decoded side by side, are decoded before a thread has started.
_LITTLE = 1 << 20
# Of those that one thread decodes in one go, at least, where there are so many.
_BATCH = 1 << 17


class Place(NamedTuple):
    """Memory that a tensor is decoded into.

    span : what it takes up
    bits : its elements, flat, where they are contiguous and here
    """

    span: Span
    bits: Bits | None


def load_all(
    reader: Reader,
    convert: Callable[[Elements], T],
    threads: int | None = None,
    out: Mapping[str, T] | None = None,
    place_of: Callable[[T, TensorInfo], Place] | None = None,
    lacks: Lacks = lambda dtype: None,
    recode: Recode | None = None,
    prefetch: bool = False,
) -> dict[str, T]:
    """Every tensor of an open file in its order; tied names get the same object.

    threads : for the chunks of large tensors, one tensor at a time, and for small ones side by side; None for as many
        as there are processors.
    out : tensors that take the place of new ones where they have the name. Where some share memory they are decoded one
        after the other, and the last one in the file is what that memory holds.
    place_of : where such a tensor lies; raises `InputError` where it does not fit.
    lacks : why there can be no tensors of a dtype; None where there can. Those of such a dtype are left out, which a
        `SwsWarning` says, as long as any are left.
    recode : changes the codebooks of tensors that are not in `out`; `convert` gets what comes of it.
    prefetch : decode the next large tensor while `convert` works on one, as where that copies it to another device; for
        that there is memory for one more.
    Raises `LimitError` where all together are more than the reader may decode.
    """
    reader.check_decoded_bytes()
    threads = thread_count(threads)
    given: Mapping[str, Any] = {} if out is None else arguments.mapping(out, "out", "names to tensors")
    with team_of(threads):
        return _load_all(reader, convert, threads, given, place_of, lacks, recode, prefetch)


def _load_all(
    reader: Reader,
    convert: Callable[[Elements], T],
    threads: int,
    given: Mapping[str, Any],
    place_of: Callable[[T, TensorInfo], Place] | None,
    lacks: Lacks,
    recode: Recode | None,
    prefetch: bool,
) -> dict[str, T]:
    # All are looked at before the first is changed.
    places = {
        name: _place(given[name], reader, name, place_of)
        for name in reader.keys()  # noqa: SIM118
        if name in given and place_of is not None
    }
    if given and not places:
        raise InputError("no name in `out` is that of a tensor", file=reader.source.name)
    for name in given:
        if name not in places:
            warn(f"what is in `out` stays as it was: {arguments.no_such('tensor', name, reader.keys())}")
            break
    shared = share_memory(place.span for place in places.values())
    targets = {name: place.bits for name, place in places.items()}
    tensors: dict[str, T] = {}
    records = _holdable(reader, lacks)
    decoded = _decoded(reader, records, targets, threads, recode, one_by_one=shared, prefetch=prefetch)
    for record, elements in decoded:
        name = record.name
        if elements is not None and targets.get(name) is not None:
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
    reader: Reader,
    records: Sequence[Record],
    targets: Mapping[str, Bits | None],
    threads: int,
    recode: Recode | None,
    *,
    one_by_one: bool,
    prefetch: bool,
) -> Iterator[tuple[Record, Elements | None]]:
    """These records in order, with their elements, which may be in their `targets` already; None for one that is tied.

    one_by_one : each is decoded when it is asked for, even one that is tied and has a target: what it is tied to may be
        overwritten
    """

    def is_small(record: Record) -> bool:
        return _size(record) <= _SMALL

    def is_tied(record: Record) -> bool:
        return reader.resolve(record) is not record and not (one_by_one and record.name in targets)

    def decode(record: Record, threads: int = 1, payload: Payload | None = None) -> Elements | None:
        if is_tied(record):
            return None
        if record.name in targets:
            return reader.read(record.name, threads, targets[record.name], payload=payload)
        return reader.read(record.name, threads, recode=recode, payload=payload)

    if one_by_one:
        yield from ((record, decode(record, threads)) for record in records)
        return
    for small, group in groupby(records, is_small):
        records = list(group)
        if not small and prefetch:
            ahead = in_order(lambda record: decode(record, threads), records, threads=threads, ahead=1)
            yield from zip(records, ahead, strict=True)
            continue
        if not small:
            payloads = in_order(
                lambda record: None if is_tied(record) else reader.stored(record), records, threads=threads, ahead=1
            )
            for record, payload in zip(records, payloads, strict=True):
                yield record, decode(record, threads, payload)
            continue
        batches = list(_batches(records))
        decoded = in_order(
            lambda batch: [decode(record) for record in batch],
            batches,
            threads=min(threads, MOST_THREADS) if sum(map(_size, records)) > _LITTLE else 1,
        )
        for batch, elements in zip(batches, decoded, strict=True):
            yield from zip(batch, elements, strict=True)


def _size(record: Record) -> int:
    """In bytes, decoded."""
    return 0 if record.info is None else record.info.nbytes


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Small tensors that are decoded in one go: to hand over each takes longer than to decode a tiny one."""
    batch, size = list[Record](), 0
    for record in records:
        batch.append(record)
        size += _size(record)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _copy(tensor: Any, out: Any, name: str) -> None:
    try:
        out[...] = tensor
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"the tensor in `out` cannot be written to: {error}", tensor=name) from error


def _place(tensor: T, reader: Reader, name: str, place_of: Callable[[T, TensorInfo], Place]) -> Place:
    try:
        return place_of(tensor, reader.info(name))
    except SwsError as error:
        error.locate(file=reader.source.name, tensor=name)
        raise
