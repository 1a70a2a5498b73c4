"""Tensors that stay in a .sws file in memory until they, or some of their rows, are asked for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakValueDictionary

import torch

from ..errors import located
from ..limits import DEFAULT_LIMITS, Limits
from ..read.reader import Reader
from ..read.source import BytesSource, File, PathSource
from ..tensor import Elements, TensorInfo
from ..torch import to_tensor
from ..torch_tensors import Scaled, dtype_of

_NUMBERS = itertools.count()
# By number, which a compiled graph can hold: it cannot hold the tensors themselves.
_ALL: WeakValueDictionary[int, Packed] = WeakValueDictionary()


class Packed:
    """One tensor of a file that is in memory as a whole. It does not change: copies of a module share it.

    shape : of the tensor
    dtype : of its elements
    nbytes : what it takes of the file, in bytes
    dense_bytes : what its elements take, decoded
    has_rows : whether some rows take less to decode than all of them: the coding has restart points
    """

    def __init__(self, reader: Reader, name: str) -> None:
        """reader : of a file in memory. Raises `TensorNotFoundError`, `UnknownCodingError`, `InputError`."""
        self._reader, self._name = reader, name
        self._record = reader.record(name)
        info = reader.info(name)
        self._info = info
        self.shape = torch.Size(info.shape)
        self.dtype = dtype_of(info.dtype.name)
        self.nbytes = self._record.payload_length
        self.dense_bytes = info.nbytes
        # Not asked for when it is needed: graphs are made of what is asked then.
        self.has_rows = len(self.shape) > 0 and self._record.coding.has_rows(self._record.params)
        self._is_checked = False
        self.number = next(_NUMBERS)
        _ALL[self.number] = self

    def __repr__(self) -> str:
        return f"Packed({self._name!r}, {tuple(self.shape)}, {self.dtype}, {self.nbytes:,} bytes)"

    def decode(self, threads: int | None = None) -> torch.Tensor:
        """All of it, in new memory. Raises `FormatError`."""
        return to_tensor(self._reader.read(self._name, torch.get_num_threads() if threads is None else threads))

    def rows(self, first: int, last: int) -> torch.Tensor:
        """The part first:last along dimension 0, in new memory; the first time all of it is checked.

        0 <= first <= last <= shape[0]. Raises `FormatError`.
        """
        record, info = self._record, self._info
        if not self._is_checked:
            elements = self._reader.read_rows(self._name, first, last, torch.get_num_threads())
            self._is_checked = True
            return to_tensor(elements)
        row = math.prod(info.shape[1:])
        payload = self._reader.stored(record)
        with located(tensor=self._name):
            bits = record.coding.decode_rows(record.params, info, payload, first * row, last * row)
        return to_tensor(Elements(TensorInfo(info.dtype, (last - first, *info.shape[1:])), bits))

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """First and last rows of blocks of about so many decoded bytes; one block where rows are not cheap."""
        rows = self.shape[0] if self.shape else 1
        step = rows
        if self.has_rows:
            step = max(1, size * rows // max(1, self.dense_bytes))
        for first in range(0, rows, max(1, step)):
            yield first, min(first + step, rows)

    def parts(self) -> Scaled | None:
        """Levels and scales, where it is stored so."""
        structured = self._reader.read_parts(self._name, torch.get_num_threads())
        if structured is None:
            return None
        return Scaled._of(structured, [to_tensor(part.load()) for part in structured.parts])

    def __deepcopy__(self, memo: dict[int, Any]) -> Packed:
        return self

    def __reduce__(self) -> tuple[Callable[..., Packed], tuple[Reader, str]]:
        return Packed, (self._reader, self._name)


def open_packed(file: File, limits: Limits = DEFAULT_LIMITS) -> dict[str, Packed]:
    """The tensors of a file, by name; tied ones are the same object. A path is read into memory, as a whole.

    Raises `FormatError`, `LimitError`, `OSError`.
    """
    if isinstance(file, bytes):
        data, name = file, None
    else:
        with Reader.open(file, limits) as on_disk:
            name = on_disk.source.name
            if isinstance(on_disk.source, PathSource):
                # Once in memory, and not twice for a moment.
                with open(on_disk.source.path, "rb") as opened:
                    data = opened.read()
            else:
                data = bytes(on_disk.source.read_at(0, on_disk.source.size))
    reader = Reader(BytesSource(data, name), limits)
    firsts: dict[str, Packed] = {}
    tensors = {}
    for key in reader.keys():  # noqa: SIM118
        own = reader.record(key).name
        if own not in firsts:
            firsts[own] = Packed(reader, own)
        tensors[key] = firsts[own]
    return tensors


# torch before 2.5 reads no annotations that are strings, so the schemas are written out.
@torch.library.custom_op(
    "swsfmt::rows",
    mutates_args=(),
    schema="(int number, int first, int last, ScalarType dtype, Device device) -> Tensor",
)
def rows_of(number: int, first: int, last: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Rows of the packed tensor of that number; a compiled graph keeps the call, and decodes each time it runs."""
    return _ALL[number].rows(first, last).to(device, dtype)


@rows_of.register_fake
def _(number: int, first: int, last: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.empty((last - first, *_ALL[number].shape[1:]), dtype=dtype, device=device)


@torch.library.custom_op(
    "swsfmt::select",
    mutates_args=(),
    schema="(int number, Tensor indices, ScalarType dtype, int size) -> Tensor",
)
def select(number: int, indices: torch.Tensor, dtype: torch.dtype, size: int) -> torch.Tensor:
    """The rows of these indices, of any shape; those are decoded, in blocks of `size` bytes, that hold one."""
    packed = _ALL[number]
    flat = indices.reshape(-1).cpu()
    out = torch.empty((len(flat), *packed.shape[1:]), dtype=dtype, device=indices.device)
    order = flat.argsort()
    ascending = flat[order]
    if len(flat) and (ascending[0] < 0 or ascending[-1] >= packed.shape[0]):
        raise IndexError(f"an index is out of range: there are {packed.shape[0]} rows")
    for first, last in packed.blocks(size):
        low, high = torch.searchsorted(ascending, torch.tensor([first, last])).tolist()
        if low == high:
            continue
        start, stop = int(ascending[low]), int(ascending[high - 1]) + 1
        rows = packed.rows(start, stop)
        out[order[low:high]] = rows[ascending[low:high] - start].to(out.device, dtype)
    return out.reshape(*indices.shape, *packed.shape[1:])


@select.register_fake
def _(number: int, indices: torch.Tensor, dtype: torch.dtype, size: int) -> torch.Tensor:
    return torch.empty((*indices.shape, *_ALL[number].shape[1:]), dtype=dtype, device=indices.device)
