"""`safe_open`: list a file without decoding it, decode single tensors. Shared by the NumPy and the torch interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .codings.common import TensorInfo
from .dtypes import Bits
from .elements import Elements
from .errors import SwsError
from .layout import Record
from .limits import DEFAULT_LIMITS, Limits
from .parallel import MOST_THREADS, in_order, thread_count
from .reader import Reader
from .source import File

T = TypeVar("T")

# Decoded bytes of tensors that are decoded side by side; larger ones have their chunks decoded so.
_SMALL = 1 << 20


class Handle(Generic[T]):
    """An open file, for use in a `with` statement. Same methods as safetensors' `safe_open`.

    Unlike there, `metadata` is an empty dict where a file has none, and `keys` is in the order of the file.
    Several threads may use one handle. Raises on opening: `FormatError` for a file that is not valid, `LimitError`,
    `OSError`; and when a tensor is asked for after `close`, `InputError`.
    """

    def __init__(
        self,
        file: File,
        convert: Callable[[Elements], T],
        limits: Limits = DEFAULT_LIMITS,
        threads: int | None = None,
    ) -> None:
        self._reader = Reader.open(file, limits)
        self._convert = convert
        self._threads = thread_count(threads)

    def keys(self) -> list[str]:
        """Names in the order of the file."""
        return self._reader.keys()

    def offset_keys(self) -> list[str]:
        """Names in the order of their bytes in the file, which is the same."""
        return self._reader.keys()

    def metadata(self) -> dict[str, str]:
        """The file's string-to-string map."""
        return self._reader.metadata

    def get_tensor(self, name: str) -> T:
        """Decode one tensor. Raises `TensorNotFoundError`, `UnknownCodingError`, `FormatError`."""
        return self._convert(self._reader.read(name, self._threads))

    def get_tensors(self) -> dict[str, T]:
        """Decode all of them. Raises `UnknownCodingError`, `FormatError`."""
        return load_all(self._reader, self._convert, self._threads)

    def get_slice(self, name: str) -> Slice[T]:
        """The tensor's shape and dtype, and parts of it by indexing."""
        self._reader.record(name)
        return Slice(self._reader, self._convert, name, self._threads)

    def close(self) -> None:
        """Give the file back; `with` does so at its end."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Slice(Generic[T]):
    """One tensor that is decoded when it is indexed."""

    def __init__(self, reader: Reader, convert: Callable[[Elements], T], name: str, threads: int) -> None:
        self._reader = reader
        self._convert = convert
        self._name = name
        self._threads = threads

    def get_shape(self) -> list[int]:
        """Its shape, without decoding."""
        return list(self._reader.info(self._name).shape)

    def get_dtype(self) -> str:
        """Its dtype, named as in the registry, without decoding."""
        return self._reader.info(self._name).dtype.name

    def __getitem__(self, index: Any) -> Any:
        """As the whole tensor would be indexed; a first index that is a number or a slice decodes only those rows."""
        shape = self._reader.info(self._name).shape
        first, *rest = index if isinstance(index, tuple) else (index,)
        if not shape or not isinstance(first, int | slice) or isinstance(first, bool):
            tensor: Any = self._convert(self._reader.read(self._name, self._threads))
            return tensor[index]
        if isinstance(first, int):
            row = range(shape[0])[first]
            part: Any = self._convert(self._reader.read_rows(self._name, row, row + 1))
            return part[(0, *rest)]
        rows = range(shape[0])[first]
        ends = (min(rows), max(rows) + 1) if rows else (0, 0)
        part = self._convert(self._reader.read_rows(self._name, *ends))
        return part[(slice(None, None, rows.step), *rest)]


def load_all(
    reader: Reader,
    convert: Callable[[Elements], T],
    threads: int | None = None,
    out: Mapping[str, T] | None = None,
    memory: Callable[[T, TensorInfo], Bits | None] = lambda tensor, info: None,
) -> dict[str, T]:
    """Every tensor of an open file in its order; tied names get the same object.

    threads : for the chunks of large tensors, one tensor at a time, and for small ones side by side; None for as many
        as there are processors.
    out : tensors that take the place of new ones where they have the name.
    memory : the elements of such a tensor, flat, where it is contiguous; raises `InputError` where it does not fit.
    """
    threads = thread_count(threads)
    given: Mapping[str, Any] = out or {}
    # All are looked at before the first is changed.
    places = {name: _place(given[name], reader, name, memory) for name in reader.keys() if name in given}  # noqa: SIM118
    tensors: dict[str, T] = {}
    for record, elements in _decoded(reader, places, threads):
        name = record.name
        if elements is not None and places.get(name) is not None:
            tensors[name] = given[name]
            continue
        found = tensors[reader.resolve(record).name] if elements is None else convert(elements)
        # What has been converted goes before the next tensor is decoded.
        del elements
        if name in given:
            given[name][...] = found
        tensors[name] = given.get(name, found)
    return tensors


def _decoded(
    reader: Reader, places: Mapping[str, Bits | None], threads: int
) -> Iterator[tuple[Record, Elements | None]]:
    """All records in order, with their elements, which may be in their `places` already; None for one that is tied."""

    def is_small(record: Record) -> bool:
        return record.info is None or record.info.nbytes <= _SMALL

    def decode(record: Record, threads: int = 1) -> Elements | None:
        if reader.resolve(record) is not record:
            return None
        return reader.read(record.name, threads, places.get(record.name))

    for small, group in groupby(reader.records, is_small):
        records = list(group)
        if not small:
            yield from ((record, decode(record, threads)) for record in records)
            continue
        much = sum(record.info.nbytes for record in records if record.info) > _SMALL
        found = in_order(decode, records, threads=min(threads, MOST_THREADS) if much else 1)
        yield from zip(records, found, strict=True)


def _place(tensor: T, reader: Reader, name: str, memory: Callable[[T, TensorInfo], Bits | None]) -> Bits | None:
    try:
        return memory(tensor, reader.info(name))
    except SwsError as error:
        error.locate(file=reader.source.name, tensor=name)
        raise
