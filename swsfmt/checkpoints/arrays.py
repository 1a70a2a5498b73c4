"""Files of NumPy, .npz and .npy <-> elements. Nothing in them is unpickled."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ..errors import InputError, SwsError, located
from ..format.not_sws import is_npy, is_npz
from ..numpy import from_array, to_array
from ..read.reader import Reader
from ..tensor import Elements, Loadable, TensorInfo, Tied, check_shape
from .checkpoint import Checkpoint
from .file import CheckpointFile, Origin

_SUFFIX = ".npy"
ONE_ARRAY = "arr_0"
"""The name of an array that has none, as numpy.savez gives it."""

# What NumPy's own dtypes are; those of ml_dtypes come out of a file as bytes without a meaning.
_DTYPES = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64", "C64", "C128"}
_ADVICE = "decode to a .safetensors file"
# A name in a zip archive has at most 65,535 bytes.
_LONGEST_NAME = 0xFFFF - len(_SUFFIX)


class Npz:
    """Several arrays: a zip archive, compressed or not. They stay in the file until they are asked for."""

    name = "a .npz file"
    has_entries = False
    suffixes: tuple[str, ...] = (".npz",)
    has_metadata = False

    def recognises(self, head: bytes) -> bool:
        return is_npz(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Raises `InputError`, `LimitError` for more than the limit and the size of the file, `OSError`."""
        tensors: dict[str, Loadable | Tied] = {}
        origin = Origin.of(source)
        with _complaints(), origin.opened() as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            source.limits.check("max_tensors", len(members), "the number of arrays")
            for member in members:
                name = member.filename.removesuffix(_SUFFIX)
                with located(tensor=name):
                    if name == member.filename:
                        raise InputError("this file in the archive is no array of NumPy, its name does not end in .npy")
                    if name in tensors:
                        raise InputError("the archive has this array twice")
                    with archive.open(member) as opened:
                        header = Header.read(opened, member.file_size)
                    tensors[name] = StoredArray(origin, Place.of(member, file), header)
        size = sum(tensor.info.nbytes for tensor in tensors.values() if not isinstance(tensor, Tied))
        source.check_decoded(size, "the size of all arrays, which are compressed,")
        return Checkpoint(tensors)

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Tied tensors are written under each name. Raises `SwsError`, `OSError`."""
        for name in reader.keys():  # noqa: SIM118
            _check(reader, name)
        with zipfile.ZipFile(file, "w") as archive:
            for name in reader.keys():  # noqa: SIM118
                # A date of its own would make the same tensors other bytes.
                member = zipfile.ZipInfo(name + _SUFFIX)
                with archive.open(member, "w", force_zip64=True) as opened:
                    _write(opened, reader, name, threads)


class Npy:
    """One array, without a name."""

    name = "a .npy file"
    has_entries = False
    suffixes: tuple[str, ...] = (_SUFFIX,)
    has_metadata = False

    def recognises(self, head: bytes) -> bool:
        return is_npy(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Raises `InputError`, `OSError`."""
        origin = Origin.of(source)
        with _complaints(), origin.opened() as file:
            header = Header.read(file, source.size)
        return Checkpoint({ONE_ARRAY: StoredArray(origin, Place(0, source.size, source.size), header)})

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Raises `InputError` where there is not just one tensor, `SwsError`, `OSError`."""
        names = reader.keys()
        if len(names) != 1:
            raise InputError(f"a .npy file holds one array, there are {len(names):,} tensors; decode to a .npz file")
        _check(reader, names[0])
        _write(file, reader, names[0], threads)


@dataclass(frozen=True)
class Place:
    """Where an array, with its header, is in a file.

    offset, size : in bytes, as it is stored
    whole : its size when it is unpacked
    packed : whether it is compressed, by deflate
    checksum : CRC-32 of what is unpacked; None where there is none
    """

    offset: int
    size: int
    whole: int
    packed: bool = False
    checksum: int | None = None

    @classmethod
    def of(cls, member: zipfile.ZipInfo, file: BinaryIO) -> Place:
        """That of a file in a zip archive. Raises `InputError` for a compression that numpy.savez has not."""
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"compression {member.compress_type} of zip archives is not read; use numpy.savez")
        file.seek(member.header_offset + 26)
        lengths = file.read(4)
        # Of its name and of what else is between its header and the array.
        start = (
            member.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        )
        packed = member.compress_type == zipfile.ZIP_DEFLATED
        return cls(start, member.compress_size, member.file_size, packed, member.CRC)

    def read(self, file: BinaryIO) -> bytes:
        """Header and elements. Raises `InputError` where they are not what they were, `zlib.error`."""
        file.seek(self.offset)
        data = file.read(self.size)
        if self.packed:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.whole + 1)
        if len(data) != self.whole:
            raise InputError(f"{self.whole:,} bytes should be there, and {len(data):,} are")
        if self.checksum is not None and zlib.crc32(data) != self.checksum:
            raise InputError("the checksum in the archive does not match, the array is damaged")
        return data


@dataclass(frozen=True)
class Header:
    """What comes before the elements of an array, and is read once.

    size : in bytes
    is_fortran : whether the first index is the fastest
    """

    size: int
    info: TensorInfo
    dtype: np.dtype[Any]
    is_fortran: bool

    @classmethod
    def read(cls, file: Any, size: int) -> Header:
        """That of the array in a file. size : in bytes, with the elements. Raises `InputError`, `ValueError`."""
        shape, is_fortran, dtype = _header(file)
        info = from_array(np.empty(0, dtype)).info._replace(shape=shape)
        check_shape(info)
        if info.nbytes != size - file.tell():
            raise InputError(f"{info.nbytes:,} bytes of elements should be there, and {size - file.tell():,} are")
        return cls(file.tell(), info, dtype, is_fortran)


@dataclass(frozen=True)
class StoredArray:
    """An array that stays in its file until it is asked for, by any process that sees the file under its path."""

    origin: Origin
    place: Place
    header: Header

    @property
    def info(self) -> TensorInfo:
        return self.header.info

    def load(self) -> Elements:
        """Raises `ChangedError` where the file has changed, `InputError` where it is damaged, `OSError`."""
        with _complaints(), self.origin.opened() as file:
            array = np.frombuffer(self.place.read(file), self.header.dtype, offset=self.header.size)
            return from_array(array.reshape(self.info.shape, order="F" if self.header.is_fortran else "C"))


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first index is the fastest, and dtype. Raises `InputError`, `ValueError`."""
    version = npy.read_magic(file)
    # Version 3 is version 2 with other names of fields, and there are none.
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise InputError("an array of Python objects is a pickle, and swsfmt never unpickles code; save numbers")
    if min(shape, default=0) < 0:
        raise InputError(f"shape {shape} is below 0")
    return tuple(map(int, shape)), fortran, dtype


@contextmanager
def _complaints() -> Iterator[None]:
    """What zipfile, zlib and NumPy say of a damaged file, as an `InputError`."""
    try:
        yield
    except (SwsError, OSError, MemoryError):
        raise
    except Exception as error:  # they raise nearly anything, from zlib.error to that of a tokenizer
        raise InputError(f"the file of NumPy is damaged, or of another kind: {error or 'it ends too early'}") from error


def _check(reader: Reader, name: str) -> None:
    """Raise `InputError` for a tensor that cannot be written."""
    dtype = reader.info(name).dtype.name
    if dtype not in _DTYPES:
        raise InputError(f"NumPy has no {dtype}; {_ADVICE}", tensor=name)
    if "\0" in name or len(name.encode()) > _LONGEST_NAME:
        raise InputError(f"a file in a zip archive cannot have this name; {_ADVICE}", tensor=name)


def _write(file: Any, reader: Reader, name: str, threads: int) -> None:
    # Into a file of the system NumPy writes by itself, and does not say why it cannot.
    plain: Any = SimpleNamespace(write=file.write)
    npy.write_array(plain, to_array(reader.read(name, threads)), allow_pickle=False)
