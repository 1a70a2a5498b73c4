"""`safe_open`: list a file without decoding it, decode single tensors. Shared by the NumPy and the torch interface."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .codings.common import TensorInfo
from .dtypes import Bits
from .elements import Elements
from .errors import SwsError
from .limits import DEFAULT_LIMITS, Limits
from .reader import Reader
from .source import File

T = TypeVar("T")


class Handle(Generic[T]):
    """An open file, for use in a `with` statement. Same methods as safetensors' `safe_open`.

    Unlike there, `metadata` is an empty dict where a file has none, and `keys` is in the order of the file.
    Several threads may use one handle. Raises on opening: `FormatError` for a file that is not valid, `LimitError`,
    `OSError`; and when a tensor is asked for after `close`, `InputError`.
    """

    def __init__(self, file: File, convert: Callable[[Elements], T], limits: Limits = DEFAULT_LIMITS) -> None:
        self._reader = Reader.open(file, limits)
        self._convert = convert

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
        return self._convert(self._reader.read(name))

    def get_tensors(self) -> dict[str, T]:
        """Decode all of them. Raises `UnknownCodingError`, `FormatError`."""
        return load_all(self._reader, self._convert)

    def get_slice(self, name: str) -> Slice[T]:
        """The tensor's shape and dtype, and parts of it by indexing."""
        self._reader.record(name)
        return Slice(self._reader, self._convert, name)

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

    def __init__(self, reader: Reader, convert: Callable[[Elements], T], name: str) -> None:
        self._reader = reader
        self._convert = convert
        self._name = name

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
            tensor: Any = self._convert(self._reader.read(self._name))
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
    """Every tensor of an open file in its order, one at a time; tied names get the same object.

    threads : for the chunks of large tensors; None for as many as there are processors.
    out : tensors that take the place of new ones where they have the name.
    memory : the elements of such a tensor, flat, where it is contiguous; raises `InputError` where it does not fit.
    """
    threads = threads if threads is not None else os.cpu_count() or 1
    given: Mapping[str, Any] = out or {}
    # All are looked at before the first is changed.
    places = {name: _place(given[name], reader, name, memory) for name in reader.keys() if name in given}  # noqa: SIM118
    tensors: dict[str, T] = {}
    for record in reader.records:
        target, name = reader.resolve(record), record.name
        if target is not record:
            found = tensors[target.name]
        elif places.get(name) is not None:
            reader.read(name, threads, places[name])
            tensors[name] = given[name]
            continue
        else:
            found = convert(reader.read(name, threads))
        if name in given:
            given[name][...] = found
        tensors[name] = given.get(name, found)
    return tensors


def _place(tensor: T, reader: Reader, name: str, memory: Callable[[T, TensorInfo], Bits | None]) -> Bits | None:
    try:
        return memory(tensor, reader.info(name))
    except SwsError as error:
        error.locate(file=reader.source.name, tensor=name)
        raise
