"""Valid files, and functions that make some, of which the gallery of hostile files is made by one change each."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

from craft import (
    BOOK,
    DENSE,
    ONLY0_OF3,
    ONLY0_OF4,
    TABLE4,
    bits,
    codebook,
    dense,
    field,
    fields,
    file_,
    floats,
    halves,
    index,
    record,
    sparse,
    varint,
    wrap,
)

from swsfmt import SwsError

Row = tuple[str, bytes, type[SwsError], str]

ONE = record("a", shape=(2,), payload=floats(1, 2))
SMALL = file_(ONE)
ONE_RECORD = index([ONE])
BIG = record("big", shape=(100,), payload=floats(*range(100)))


def books(*records: Any, codebooks: tuple[bytes, ...] = (BOOK,), **other: Any) -> bytes:
    """A file of these records that has `BOOK`."""
    return file_(*records, codebooks=codebooks, **other)


def chunked_dense(
    told: tuple[int, ...] = (2048, 2), numel: int = 1025, chunk: int = 1, width: int = 12, kind: int = 1
) -> bytes:
    """A dense tensor of 1025 symbols of two bits in chunks of 1024."""
    stream = (fields(told, width) if chunk else "") + "01" * numel
    return books(dense(shape=(numel,), kind=kind, chunk=chunk, width=bytes([width]), packed=TABLE4, stream=stream))


def chunked_sparse(told: tuple[int, ...] = (0, 0, 4096, 0, 0, 904), widths: tuple[int, ...] = (1, 1, 13)) -> bytes:
    """5000 entries in 5000 elements, in chunks of 4096; gaps and values take no bits."""
    column_widths = [w for w in widths if w] * 2
    stream = "".join(field(value, width) for value, width in zip(told, column_widths, strict=True))
    return books(
        sparse(
            shape=(5000,),
            n=5000,
            gap=1,
            value=1,
            chunk=b"\3",
            widths=bytes(widths),
            packed=ONLY0_OF4 + ONLY0_OF3,
            stream=stream,
        )
    )


def line_ends(counts: tuple[int, ...] = (2, 0, 2), gaps: tuple[int, ...] = (1, 2, 0, 2), **other: Any) -> bytes:
    """Entries 1 and 4 of the first line, 0 and 3 of the third."""
    stream = fields(counts, 4) + fields(gaps, 2) + fields([0, 0, 2, 0], 2)
    return books(sparse(ends=1, widths=b"\4", stream=stream, **other))


def bitmaps(
    kind: int, argument: int | None, packed: str, rows: int = 8, first: str = "1010 0000", first_rows: int = 4
) -> bytes:
    """A tensor with the raw row bitmap `first`, then one of `rows` rows whose bitmap is to be tried; one entry each."""
    one = {"n": 1, "stream": "00 00"}
    arguments = b"" if argument is None else varint(argument)
    return books(
        sparse("a", (first_rows, 1), rows=1, packed=first[:first_rows], **one),
        sparse("b", (rows, 1), rows=kind, arguments=arguments, packed=packed, **one),
    )


def table(lengths: str, alphabet: int = 4, **other: Any) -> bytes:
    """A dense tensor whose new code table is `lengths`."""
    count = alphabet - 1
    book = codebook(halves(*range(1, 1 + count)))
    return file_(dense(kind=1, packed=lengths, shape=(1,), stream="0", **other), codebooks=[book])


def cut_table(packed: str) -> bytes:
    """The same with an alphabet of 100 symbols, the file ending after these bits."""
    tensor = record(coding=DENSE, shape=(1,), params=b"\0\1" + bits(packed))
    return wrap(index([tensor], [codebook(halves(*range(1, 100)))])[:-1])


def gap_bits(symbols: list[int], n: int = 1, shape: tuple[int, ...] = (3, 5), **other: Any) -> bytes:
    """A sparse tensor with these gap symbols, all values being symbol 0."""
    return books(sparse(shape=shape, n=n, stream=fields(symbols, 2) + fields([0] * n, 2), **other))


def zip_file() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a/data.pkl"), b"x" * 100)
    return out.getvalue()


SAFETENSORS = struct.pack("<Q", 64) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(64) + b"\0" * 4
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 12345\n"
