"""`safe_open`: list a file without decoding it, decode single tensors. Shared by the NumPy and the torch interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np

from . import arguments
from .errors import InputError, SwsError
from .limits import DEFAULT_LIMITS, Limits
from .parallel import thread_count
from .read.reader import Reader
from .read.source import File
from .read.tensors import Lacks, load_all
from .scaled import ScaledBase
from .tensor import Elements

T = TypeVar("T")


class Handle(Generic[T]):
    """An open file, for use in a `with` statement. Same methods as safetensors' `safe_open`.

    Unlike there, `metadata` is an empty dict where a file has none, and `keys` is in the order of the file.
    Several threads may use one handle, and so may processes that were forked. One that is pickled, as for processes
    that are spawned, opens its file again. Raises on opening: `FormatError` for a file that is not valid, `LimitError`,
    `OSError`, and `InputError` where it is opened again and has changed; when a tensor is asked for after `close`,
    `InputError`.
    """

    def __init__(
        self,
        file: File,
        convert: Callable[[Elements], T],
        limits: Limits = DEFAULT_LIMITS,
        threads: int | None = None,
        lacks: Lacks = lambda dtype: None,
        scaled: type[ScaledBase[T]] | None = None,
    ) -> None:
        self._threads = thread_count(threads)
        self._reader = Reader.open(file, limits)
        self._convert = convert
        self._lacks = lacks
        self._scaled = scaled

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
        """Decode all of them, as `load` does. Raises `UnknownCodingError`, `FormatError`."""
        return load_all(self._reader, self._convert, self._threads, lacks=self._lacks)

    def get_parts(self, name: str) -> ScaledBase[T] | None:
        """Levels and scales of one tensor as they are stored, not multiplied; None where it is not stored so.

        Raises as `get_tensor` does.
        """
        parts = self._reader.read_parts(name, self._threads)
        if parts is None or self._scaled is None:
            return None
        return self._scaled._of(parts, [self._convert(part.load()) for part in parts.parts])

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
        """As the whole tensor would be indexed; a first index that is a number or a slice decodes only those rows.

        Raises `IndexError` as the tensor does, so that one may iterate; `InputError` for what is no index.
        """
        items = index if isinstance(index, tuple) else (index,)
        try:
            for item in items:
                if not _is_index(item):
                    text = f"{arguments.a(item)} is no index of a tensor: {arguments.brief(item)}"
                    raise InputError(text, tensor=self._name)
            return self._part(index, items)
        except SwsError:
            raise
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"the tensor cannot be indexed by {arguments.brief(index)}: {error}", tensor=self._name
            ) from error

    def _part(self, index: Any, items: tuple[Any, ...]) -> Any:
        shape = self._reader.info(self._name).shape
        first, rest = items[0] if items else None, items[1:]
        if not shape or not isinstance(first, int | slice) or isinstance(first, bool):
            tensor: Any = self._convert(self._reader.read(self._name, self._threads))
            return tensor[index]
        if isinstance(first, int):
            row = range(shape[0])[first]
            part: Any = self._convert(self._reader.read_rows(self._name, row, row + 1, self._threads))
            return part[(0, *rest)]
        rows = range(shape[0])[first]
        first_row, last_row = sorted((rows[0], rows[-1])) if rows else (0, -1)
        part = self._convert(self._reader.read_rows(self._name, first_row, last_row + 1, self._threads))
        return part[(slice(None, None, rows.step), *rest)]


def _is_index(item: Any) -> bool:
    """Whether it is one for tensors of some shape: a whole number, a slice, True, None, ..., or whole numbers."""
    if isinstance(item, str | bytes | bytearray):
        return False
    dtype = getattr(item, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biu"
    if getattr(dtype, "is_floating_point", False) or getattr(dtype, "is_complex", False):
        return False
    if isinstance(item, Sequence):
        return all(map(_is_index, item))
    return item is None or item is Ellipsis or isinstance(item, slice) or hasattr(item, "__index__")
