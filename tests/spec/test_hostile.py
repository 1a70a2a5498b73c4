"""Files that break a rule of the specification, one rule each; damaged files; small files that stand for huge ones.

Every one must be refused by the error that its fault has, in one line, in bounded memory.
"""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from craft import (
    ADAPTED,
    ALIAS,
    BF16,
    BOOK,
    BOOL,
    C64,
    C128,
    CLASSED,
    DENSE,
    F16,
    F32,
    F64,
    I8,
    I16,
    NARROW,
    ONLY0_OF3,
    ONLY0_OF4,
    ONLY1_OF4,
    SIGNATURE,
    SPARSE,
    TABLE4,
    U8,
    U16,
    U32,
    adaptive,
    bits,
    classes,
    codebook,
    crc,
    dense,
    field,
    fields,
    file_,
    floats,
    gamma,
    halves,
    index,
    no_entries,
    record,
    sparse,
    varint,
    wrap,
)

import swsfmt
from swsfmt import (
    ChecksumError,
    IndexRuleError,
    LimitError,
    Limits,
    NotSwsError,
    PayloadError,
    SwsError,
    TruncatedError,
    UnknownCodingError,
    VersionError,
)

pytestmark = pytest.mark.usefixtures("each_kernel")
MAX_PEAK = 64 << 20
Row = tuple[str, bytes, type[SwsError], str]

# ---- valid parts -----------------------------------------------------------------------------------------------------

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

# ---- section 2: the file ---------------------------------------------------------------------------------------------

FILE_ROWS: list[Row] = [
    ("empty", b"", NotSwsError, "empty"),
    ("part of the signature", SIGNATURE[:5], NotSwsError, "ends within its signature"),
    ("first byte of the signature", b"\x88" + SMALL[1:], NotSwsError, "signature"),
    ("newlines converted to unix", SMALL.replace(b"\r\n", b"\n"), NotSwsError, "text mode"),
    ("newlines converted to dos", SMALL.replace(b"\n", b"\r\n"), NotSwsError, "text mode"),
    ("high bits stripped", bytes(b & 0x7F for b in SMALL), NotSwsError, "text mode"),
    ("text", b"Hello, this is not a model.\n", NotSwsError, "does not begin with the signature"),
    ("zip", zip_file(), NotSwsError, "zip file"),
    ("safetensors", SAFETENSORS, NotSwsError, "safetensors"),
    ("git-lfs pointer", LFS, NotSwsError, "git lfs pull"),
    ("pickle", pickle.dumps({"a": 1}), NotSwsError, "pickle"),
    ("signature only", SIGNATURE, TruncatedError, "ends within its header"),
    ("version only", SIGNATURE + b"\1\0", TruncatedError, "ends within its header"),
    ("version 0", file_(ONE, version=(0, 0)), IndexRuleError, "version 0.0"),
    ("version 2", file_(ONE, version=(2, 0)), VersionError, "version 2.0"),
    ("version 2, another header", SIGNATURE + b"\2\0", VersionError, "upgrade"),
    ("version 255", file_(ONE, version=(255, 255)), VersionError, "upgrade"),
    (
        "index length too long",
        file_(ONE, index_length=varint(len(ONE_RECORD) + 1)),
        TruncatedError,
        "ends within its index",
    ),
    ("index length far too long", file_(ONE, index_length=varint(1 << 27)), TruncatedError, "ends within its index"),
    ("index length too short", file_(ONE, index_length=varint(len(ONE_RECORD) - 1)), ChecksumError, "CRC-32"),
    (
        "index length too short, CRC right",
        wrap(ONE_RECORD[:-1], ONE_RECORD[-1:]),
        IndexRuleError,
        "inline payload takes 8 bytes, 7 are left",
    ),
    ("index length overlong", file_(ONE, index_length=varint(len(ONE_RECORD), 2)), IndexRuleError, "shortest form"),
    (
        "index length of ten bytes",
        file_(ONE, index_length=b"\xff" * 9 + b"\1"),
        IndexRuleError,
        "varint is longer than 9 bytes",
    ),
    ("index length of 2^63 - 1", file_(ONE, index_length=varint((1 << 63) - 1)), LimitError, "max_index_bytes"),
    ("index length above the limit", file_(ONE, index_length=varint((1 << 28) + 1)), LimitError, "max_index_bytes"),
    ("index CRC", file_(ONE, index_crc=b"\0\0\0\0"), ChecksumError, "header and index"),
    ("index CRC big-endian", file_(ONE, index_crc=SMALL[-4:][::-1]), ChecksumError, "header and index"),
    ("index damaged", SMALL[:-6] + b"\7" + SMALL[-5:], ChecksumError, "header and index"),
    ("byte after the last record", wrap(ONE_RECORD + b"\0"), IndexRuleError, "1 bytes are left"),
    ("trailing byte", SMALL + b"\0", TruncatedError, "goes on after its end"),
    ("trailing byte after payloads", file_(BIG) + b"\0", TruncatedError, "goes on after its end"),
    ("last byte of the index missing", SMALL[:-1], TruncatedError, "ends within its index"),
    ("last byte of a payload missing", file_(BIG)[:-1], TruncatedError, "ends early"),
    ("no payload", file_(BIG)[:-400], TruncatedError, "ends early"),
    ("payload CRC", file_(record("big", shape=(100,), payload=bytes(400), payload_crc=bytes(4))), ChecksumError, "big"),
    ("payload damaged", file_(BIG)[:-1] + b"\x7f", ChecksumError, "CRC-32 of the payload"),
]

# ---- section 3: the index --------------------------------------------------------------------------------------------

INDEX_ROWS: list[Row] = [
    ("no index", wrap(b""), IndexRuleError, "0 are left"),
    ("ends before the records", wrap(b"\0\0"), IndexRuleError, "number of tensors"),
    ("metadata count", file_(counts=(1000, None, None)), IndexRuleError, "number of metadata pairs is 1000"),
    ("metadata count of 2^63 - 1", file_(counts=((1 << 63) - 1, None, None)), IndexRuleError, "metadata pairs"),
    ("codebook count", file_(counts=(None, 1 << 40, None)), IndexRuleError, "number of codebooks"),
    ("tensor count", file_(ONE, counts=(None, None, 1 << 40)), IndexRuleError, "number of tensors"),
    ("one tensor too few", file_(ONE, counts=(None, None, 0)), IndexRuleError, "left after the last record"),
    ("one tensor too many", file_(ONE, ONE, counts=(None, None, 3)), IndexRuleError, "name"),
    ("overlong count", wrap(varint(0, 2) + b"\0\0"), IndexRuleError, "shortest form"),
    ("metadata not sorted", file_(metadata=[("b", "1"), ("a", "2")]), IndexRuleError, "does not ascend"),
    (
        "metadata in UTF-16 order",
        file_(metadata=[("\U0001f600", "1"), ("\uff5e", "2")]),
        IndexRuleError,
        "does not ascend",
    ),
    ("metadata twice", file_(metadata=[("a", "1"), ("a", "2")]), IndexRuleError, "does not ascend"),
    ("metadata key not UTF-8", file_(metadata=[(b"\xff", "1")]), IndexRuleError, "UTF-8"),
    ("metadata value not UTF-8", file_(metadata=[("a", b"\xc3")]), IndexRuleError, "UTF-8"),
    ("metadata value is a surrogate", file_(metadata=[("a", b"\xed\xa0\x80")]), IndexRuleError, "UTF-8"),
    ("metadata key past the end", wrap(b"\1\x7fab\0\0"), IndexRuleError, "metadata key takes 127 bytes"),
    ("codebook dtype unknown", books(codebooks=(codebook(halves(1), dtype=99),)), IndexRuleError, "unknown dtype 99"),
    ("codebook storage unknown", books(codebooks=(codebook(halves(1), storage=99),)), IndexRuleError, "dtype 99"),
    (
        "codebook of 16-byte elements",
        books(codebooks=(codebook(bytes(15) + b"\1", 1, C128, C128),)),
        IndexRuleError,
        "cannot hold C128",
    ),
    ("codebook storage wider", books(codebooks=(codebook(bytes(8), 1, F32, F64),)), IndexRuleError, "stored as F64"),
    ("codebook storage of other kind", books(codebooks=(codebook(b"\1\0", 1, F32, U16),)), IndexRuleError, "as U16"),
    ("codebook signed for unsigned", books(codebooks=(codebook(b"\1", 1, U16, I8),)), IndexRuleError, "stored as I8"),
    ("codebook of F16 as BF16", books(codebooks=(codebook(b"\1\0", 1, F16, BF16),)), IndexRuleError, "stored as BF16"),
    ("codebook of C64 as F32", books(codebooks=(codebook(floats(1), 1, C64, F32),)), IndexRuleError, "stored as F32"),
    ("codebook without values", books(codebooks=(codebook(b"", 0) + b"abc",)), IndexRuleError, "codebook size 0"),
    (
        "codebook of 4096 values",
        books(codebooks=(codebook(struct.pack("<4096H", *range(1, 4097)), dtype=U16, storage=U16),)),
        IndexRuleError,
        "codebook size 4096",
    ),
    ("codebook larger than the file", books(codebooks=(codebook(b"", 4095),)), IndexRuleError, "codebook size is 4095"),
    ("codebook with zero", books(codebooks=(codebook(halves(0.0, 1.0)),)), IndexRuleError, "ascend"),
    ("codebook with zero alone", books(codebooks=(codebook(halves(0.0)),)), IndexRuleError, "ascend"),
    ("codebook with equal values", books(codebooks=(codebook(halves(1.0, 1.0)),)), IndexRuleError, "ascend"),
    ("codebook that descends", books(codebooks=(codebook(halves(1.0, 0.25)),)), IndexRuleError, "ascend"),
    ("codebook in numeric order", books(codebooks=(codebook(halves(-0.5, 0.25)),)), IndexRuleError, "ascend"),
    ("codebook in storage order", books(codebooks=(codebook(b"\xff\1", 2, I16, I8),)), IndexRuleError, "ascend"),
    ("codebook NaN as F16", books(codebooks=(codebook(b"\x00\x7e", 1),)), IndexRuleError, "NaN"),
    ("codebook NaN as BF16", books(codebooks=(codebook(b"\xc0\x7f", 1, F32, BF16),)), IndexRuleError, "NaN"),
    ("codebook NaN as F32", books(codebooks=(codebook(b"\1\0\x80\x7f", 1, F64, F32),)), IndexRuleError, "NaN"),
    ("codebook BOOL of 2", books(codebooks=(codebook(b"\2", 1, BOOL, BOOL),)), IndexRuleError, "BOOL"),
]

# ---- section 4: records ----------------------------------------------------------------------------------------------

RECORD_ROWS: list[Row] = [
    ("prefix of the first record", file_(record("a", prefix=1, payload=floats(1))), IndexRuleError, "name prefix 1"),
    ("prefix too long", file_(ONE, record("b", prefix=2, payload=floats(1))), IndexRuleError, "name prefix 2"),
    ("suffix of the record itself", file_(record(suffix=varint(1), payload=floats(1))), IndexRuleError, "suffix of 1"),
    ("suffix distance", file_(ONE, record(suffix=varint(3), payload=floats(1))), IndexRuleError, "suffix of 2 records"),
    (
        "suffix distance of 2^62",
        file_(ONE, record(suffix=varint((1 << 63) - 1), payload=floats(1))),
        IndexRuleError,
        "before the first",
    ),
    ("suffix past the end", file_(record(suffix=varint(2000), payload=floats(1))), IndexRuleError, "takes 1000 bytes"),
    ("name twice", file_(ONE, ONE), IndexRuleError, "twice"),
    ("name twice, coded otherwise", file_(ONE, record("", prefix=1, payload=floats(1))), IndexRuleError, "twice"),
    ("name twice with a line break", file_(*[record("a\nb", payload=floats(1))] * 2), IndexRuleError, "twice"),
    ("name not UTF-8", file_(record(b"a\xff", payload=floats(1))), IndexRuleError, "UTF-8"),
    ("name overlong UTF-8", file_(record(b"\xc0\x80", payload=floats(1))), IndexRuleError, "UTF-8"),
    (
        "prefix cuts a character",
        file_(record("ä", payload=floats(1)), record("b", prefix=1, payload=floats(1))),
        IndexRuleError,
        "UTF-8",
    ),
    ("name too long", file_(record("a" * 65536, payload=floats(1))), LimitError, "max_name_bytes"),
    (
        "coding below 15 behind the head",
        file_(record(head=b"\x1f" + varint(14), shape=(1,), payload=floats(1))),
        IndexRuleError,
        "coding 14 must be written in the head",
    ),
    ("raw behind the head", file_(record(head=b"\x0f\0", payload=floats(1))), IndexRuleError, "coding 0 must be"),
    ("dtype unknown", file_(record(dtype=22, payload=floats(1))), IndexRuleError, "unknown dtype 22"),
    ("dtype unknown, no elements", file_(record(dtype=255, shape=(0,))), IndexRuleError, "unknown dtype 255"),
    (
        "dtype unknown, from an unknown coding",
        file_(record("a", 13, dtype=200), record("b", payload=floats(1))),
        IndexRuleError,
        "unknown dtype 200",
    ),
    (
        "coding 14 behind the head",
        file_(record("a", 14, head=bytes([15]) + varint(14))),
        IndexRuleError,
        "coding 14 must be written in the head",
    ),
    (
        "dimension of 2^63, of an unknown coding and dtype",
        file_(record("a", 13, dtype=200, dimensions=varint(1 << 63), head=bytes([13 | 1 << 4 | 128, 200]))),
        IndexRuleError,
        "varint",
    ),
    (
        "rank below 7 in the long form",
        file_(record(head=b"\x70\6", shape=(1,) * 6, payload=floats(1))),
        IndexRuleError,
        "rank 6 must be written in the head",
    ),
    ("rank 65", file_(record(shape=(1,) * 65, payload=floats(1))), IndexRuleError, "rank 65"),
    ("rank of 2^62", file_(record(head=b"\x70" + varint(1 << 62))), IndexRuleError, "rank"),
    ("shape too large", file_(record(shape=(1 << 62,), coding=SPARSE, params=b"\0")), IndexRuleError, "too large"),
    ("shape of exactly 2^63 bytes", file_(no_entries(shape=(1 << 61,))), IndexRuleError, "too large"),
    ("product of dimensions too large", file_(no_entries(shape=(1 << 32, 1 << 32))), IndexRuleError, "too large"),
    ("product wraps to 0 at 2^64", file_(no_entries(shape=(1 << 32, 1 << 30, 4))), IndexRuleError, "too large"),
    ("product too large beside a 0", file_(record(shape=(0, 1 << 40, 1 << 40))), IndexRuleError, "too large"),
    ("shape too large, rank 64", file_(record(shape=((1 << 62),) * 63 + (0,))), IndexRuleError, "too large"),
    ("dimension overlong", file_(record(head=b"\x10", dimensions=varint(2, 2))), IndexRuleError, "shortest form"),
    ("payload length of 2^62", books(dense(length=1 << 62)), TruncatedError, "ends early"),
    ("payload length past the index", books(dense(payload=b"", length=200)), IndexRuleError, "takes 200 bytes"),
    ("raw payload past the index", file_(record(shape=(4,), payload=bytes(8))), IndexRuleError, "takes 16 bytes"),
    ("raw BOOL of 2", file_(record(dtype=BOOL, shape=(3,), payload=b"\0\1\2")), PayloadError, "BOOL"),
    ("raw BOOL of 255", file_(record(dtype=BOOL, payload=b"\xff")), PayloadError, "BOOL"),
    ("narrow to itself", file_(record(coding=NARROW, params=bytes([F32]), payload=floats(1))), IndexRuleError, "F32"),
    ("narrow to U16", file_(record(coding=NARROW, params=bytes([U16]), payload=b"\0\0")), IndexRuleError, "as U16"),
    (
        "narrow unsigned to signed",
        file_(record(coding=NARROW, dtype=U32, params=bytes([I8]), payload=b"\1")),
        IndexRuleError,
        "U32 cannot be stored as I8",
    ),
    (
        "narrow to a wider type",
        file_(record(coding=NARROW, dtype=F16, params=bytes([F32]), payload=floats(1))),
        IndexRuleError,
        "as F32",
    ),
    ("narrow to an unknown type", file_(record(coding=NARROW, params=b"\x63")), IndexRuleError, "dtype 99"),
    ("narrow NaN", file_(record(coding=NARROW, params=bytes([F16]), payload=b"\1\x7c")), PayloadError, "NaN"),
    ("narrow without elements", file_(record(coding=NARROW, shape=(0,), params=bytes([F16]))), IndexRuleError, "raw"),
    ("alias of itself", file_(record(coding=ALIAS, params=varint(0))), IndexRuleError, "alias of record 0"),
    ("alias forward", file_(record("b", ALIAS, params=varint(1)), ONE), IndexRuleError, "alias of record 1"),
    (
        "alias of an alias",
        file_(ONE, record("b", ALIAS, params=varint(0)), record("c", ALIAS, params=varint(1))),
        IndexRuleError,
        "alias of record 1",
    ),
    ("alias with a dtype bit", file_(ONE, record("b", ALIAS, head=b"\x82", params=b"\0")), IndexRuleError, "no dtype"),
    ("alias with a rank", file_(ONE, record("b", ALIAS, head=b"\x12", params=b"\0")), IndexRuleError, "no shape"),
    (
        "parameters of an unknown coding past the end",
        wrap(b"\0\0\1" + b"\0\2a\x0d" + varint(100) + b"xyz"),
        IndexRuleError,
        "parameters takes 100 bytes",
    ),
    ("unknown coding", file_(record("a", 13, params=b"xyz", payload=b"data")), UnknownCodingError, "coding 13"),
    ("unknown coding above 14", file_(record("a", 300, payload=b"data")), UnknownCodingError, "coding 300"),
    (
        "unknown coding, alias",
        file_(record("a", 13), record("b", ALIAS, params=b"\0")),
        UnknownCodingError,
        "coding 13",
    ),
]

# ---- 5.4 dense -------------------------------------------------------------------------------------------------------

DENSE_ROWS: list[Row] = [
    ("without elements", books(dense(shape=(0,), stream="")), IndexRuleError, "without elements"),
    ("codebook number", books(dense(book=1)), IndexRuleError, "codebook 1 does not exist"),
    ("codebook of another dtype", books(dense(dtype=F64)), IndexRuleError, "holds F32"),
    ("reserved bit 2", books(dense(reserved=1)), IndexRuleError, "reserved"),
    ("reserved bit 3", books(dense(reserved=2)), IndexRuleError, "reserved"),
    ("kind 3", books(dense(kind=3)), IndexRuleError, "stream kind 3"),
    ("table number", books(dense(kind=2, table=b"\0")), IndexRuleError, "table 0 does not exist"),
    (
        "table of itself",
        books(dense(kind=1, packed=TABLE4), dense("b", kind=2, table=b"\1")),
        IndexRuleError,
        "table 1",
    ),
    (
        "table of another alphabet",
        books(
            dense(kind=1, packed=TABLE4, stream="00" * 5),
            dense("b", book=1, kind=2, table=b"\0", stream="00" * 5),
            codebooks=(BOOK, codebook(halves(1.0))),
        ),
        IndexRuleError,
        "alphabet of 4",
    ),
    ("chunks of a fixed width", chunked_dense(kind=0), IndexRuleError, "fixed"),
    ("chunk code with one chunk", chunked_dense(numel=1024), IndexRuleError, "more than one chunk"),
    ("one chunk with a chunk table", chunked_dense((2048,), numel=1024), IndexRuleError, "more than one chunk"),
    ("chunk code with far less than a chunk", chunked_dense(chunk=15), IndexRuleError, "more than one chunk"),
    (
        "chunk width 0",
        books(dense(shape=(1025,), kind=1, chunk=1, width=b"\0", packed=TABLE4)),
        IndexRuleError,
        "width 0",
    ),
    (
        "chunk width 33",
        books(dense(shape=(1025,), kind=1, chunk=1, width=b"\x21", packed=TABLE4)),
        IndexRuleError,
        "33",
    ),
    ("chunk table, first chunk", chunked_dense((2049, 2)), PayloadError, "chunk 0 is 2048"),
    ("chunk table, second chunk", chunked_dense((2048, 1)), PayloadError, "chunk 1 is 2"),
    (
        "chunk table past the end",
        books(dense(shape=(1025,), kind=1, chunk=1, width=b"\x20", packed=ONLY1_OF4, stream="0" * 56)),
        PayloadError,
        "chunk table takes 64 bits",
    ),
    (
        "symbol outside of the alphabet",
        file_(dense(stream=fields([0, 1, 2, 3, 1], 2)), codebooks=[codebook(halves(1.0, 2.0))]),
        PayloadError,
        "outside of the alphabet",
    ),
    ("stream too short", books(dense(shape=(9,))), PayloadError, "ends before"),
    ("stream of no bytes", books(dense(payload=b"")), PayloadError, "ends before"),
    ("Huffman stream too short", books(dense(kind=1, shape=(9,), packed=TABLE4)), PayloadError, "ends before"),
    (
        "Huffman stream ends within a symbol",
        file_(
            dense(shape=(8,), kind=1, packed="0" + field(1, 4) + "0" + "100" + "0", stream="1011 1111"),
            codebooks=[codebook(halves(1.0, 2.0))],
        ),
        PayloadError,
        "ends before",
    ),
    (
        "a byte too long",
        books(dense(payload=bits(fields([0, 1, 2, 3, 1], 2)) + b"\0")),
        PayloadError,
        "before its last byte",
    ),
    ("a symbol too long", books(dense(stream=fields([0, 1, 2, 3, 1, 1], 2))), PayloadError, "padding"),
    ("padding bit", books(dense(stream=fields([0, 1, 2, 3, 1], 2) + "000001")), PayloadError, "padding"),
    (
        "one symbol with a payload",
        books(dense(kind=1, packed=ONLY1_OF4, stream="0")),
        PayloadError,
        "before its last byte",
    ),
    (
        "padding bit of the table",
        books(dense(kind=1, packed=TABLE4 + "000 0001", stream="00" * 5)),
        IndexRuleError,
        "padding",
    ),
    (
        "table past the index",
        wrap(index([record(coding=DENSE, shape=(5,), params=b"\0\1")], [BOOK])[:-1]),
        IndexRuleError,
        "bits, 0 are left",
    ),
]

# ---- 6.4 code tables -------------------------------------------------------------------------------------------------

TABLE_ROWS: list[Row] = [
    (
        "one symbol outside",
        file_(dense(kind=1, packed="1" + field(3, 2), stream=""), codebooks=[codebook(halves(1.0, 2.0))]),
        IndexRuleError,
        "symbol 3 is outside",
    ),
    ("one symbol more than the alphabet", table("0" + field(1, 4) + "0 100 100 100 0"), IndexRuleError, "below 1"),
    ("first length 0", table("0" + field(0, 4) + "0" * 8), IndexRuleError, "code length 0"),
    ("first length 13", table("0" + field(13, 4) + "0" * 8), IndexRuleError, "code length 13"),
    ("first length 15", table("0" + field(15, 4) + "0" * 8), IndexRuleError, "code length 15"),
    ("explicit length 0", table("0" + field(2, 4) + "0 111" + field(0, 4) + "0" * 8), IndexRuleError, "code length 0"),
    ("explicit length 13", table("0" + field(2, 4) + "0 111" + field(13, 4) + "00"), IndexRuleError, "code length 13"),
    ("step down to 0", table("0" + field(1, 4) + "0 101" + "0" * 8), IndexRuleError, "code length 0"),
    ("step up to 13", table("0" + field(12, 4) + "0 100" + "0" * 8), IndexRuleError, "code length 13"),
    ("Kraft above 1", table("0" + field(2, 4) + "000 101 00"), IndexRuleError, "above 1"),
    ("Kraft above 1 at once", table("0" + field(2, 4) + "0 111" + field(1, 4) + "0"), IndexRuleError, "above 1"),
    ("Kraft below 1", table("0" + field(2, 4) + "000" + "100" + "0" * 16), IndexRuleError, "below 1"),
    (
        "one length only",
        table("0" + field(1, 4) + "0 110" + gamma(2) + "110" + gamma(1) + "0" * 9),
        IndexRuleError,
        "below 1",
    ),
    (
        "unused past the alphabet",
        table("0" + field(1, 4) + "0 110" + gamma(3) + "0" + "0" * 9),
        IndexRuleError,
        "below 1",
    ),
    (
        "unused far past the alphabet",
        table("0" + field(1, 4) + "0 110" + gamma(1 << 31) + "0"),
        IndexRuleError,
        "below 1",
    ),
    ("gamma of 33 zeros", table("0" + field(1, 4) + "0 110" + "0" * 33 + "1" + "0" * 33), IndexRuleError, "gamma"),
    ("gamma past the index", cut_table("0" + field(1, 4) + "0 110" + "0" * 15), IndexRuleError, "gamma"),
    ("past the index", cut_table("0" + field(12, 4) + "0" * 19), IndexRuleError, "0 are left"),
]

# ---- 5.5 sparse ------------------------------------------------------------------------------------------------------

SPARSE_ROWS: list[Row] = [
    ("without elements", file_(no_entries(shape=(3, 0))), IndexRuleError, "without elements"),
    ("entries above the elements", books(sparse(n=16)), IndexRuleError, "16 entries"),
    ("entries of 2^62", books(sparse(n=1 << 62)), IndexRuleError, "entries in a tensor of 15"),
    ("16-byte elements", file_(no_entries(dtype=C128)), IndexRuleError, "C128"),
    ("no entries but a payload length", wrap(index([no_entries()]) + b"\0"), IndexRuleError, "are left"),
    ("codebook number", books(sparse(book=1)), IndexRuleError, "codebook 1"),
    ("codebook of another dtype", books(sparse(dtype=BF16)), IndexRuleError, "holds F32"),
    ("pbits 0", books(sparse(pbits=0)), IndexRuleError, "pbits 0"),
    ("pbits 13", books(sparse(pbits=13)), IndexRuleError, "pbits 13"),
    ("gap kind 3", books(sparse(gap=3)), IndexRuleError, "stream kind 3"),
    ("value kind 3", books(sparse(value=3)), IndexRuleError, "stream kind 3"),
    ("row bitmap kind 7", books(sparse(rows=7)), IndexRuleError, "bitmap kind 7"),
    ("column bitmap kind 7", books(sparse(columns=7)), IndexRuleError, "bitmap kind 7"),
    ("gap table number", books(sparse(gap=2, arguments=b"\0")), IndexRuleError, "table 0 does not exist"),
    ("value table number", books(sparse(value=2, arguments=b"\5")), IndexRuleError, "table 5 does not exist"),
    (
        "value table is the gap table",
        books(sparse(gap=1, value=2, arguments=b"\0", packed=TABLE4)),
        IndexRuleError,
        "alphabet of 4, 3",
    ),
    (
        "gap table of the values",
        books(sparse(value=1, packed=ONLY0_OF3), sparse("b", gap=2, arguments=b"\0")),
        IndexRuleError,
        "alphabet",
    ),
    ("new gap table of skips", books(sparse(gap=1, packed="1" + field(3, 2))), IndexRuleError, "skip"),
    (
        "earlier gap table of skips",
        books(dense(kind=1, packed="1" + field(3, 2), stream=""), sparse("b", gap=2, arguments=b"\0")),
        IndexRuleError,
        "skip",
    ),
    (
        "chunks with line ends",
        books(sparse(shape=(5000,), n=5000, ends=1, chunk=b"\3")),
        IndexRuleError,
        "chunk code 3",
    ),
    ("chunk code 16", books(sparse(shape=(5000,), n=5000, chunk=b"\x10")), IndexRuleError, "chunk code 16"),
    (
        "chunk code with one chunk",
        books(sparse(shape=(4096,), n=4096, chunk=b"\3", widths=b"\1\0\1")),
        IndexRuleError,
        "more than one chunk",
    ),
    ("chunk gap width 0", chunked_sparse((0, 4096, 0, 904), (0, 1, 13)), IndexRuleError, "width 0"),
    (
        "chunk gap width 33",
        books(
            sparse(shape=(5000,), n=5000, gap=1, value=1, chunk=b"\3", widths=b"\x21\1\1", packed=ONLY0_OF4 + ONLY0_OF3)
        ),
        IndexRuleError,
        "width 33",
    ),
    ("chunk value width 0 with Huffman", chunked_sparse((0, 4096, 0, 904), (1, 0, 13)), IndexRuleError, "width 0"),
    (
        "chunk value width with fixed",
        books(sparse(shape=(5000,), n=5000, chunk=b"\3", widths=b"\1\1\1")),
        IndexRuleError,
        "no column",
    ),
    ("chunk advance width 0", chunked_sparse((0, 0, 0, 0), (1, 1, 0)), IndexRuleError, "width 0"),
    ("chunk table, gap bits", chunked_sparse((1, 0, 4096, 0, 0, 904)), PayloadError, "gap bits of chunk 0"),
    ("chunk table, value bits", chunked_sparse((0, 0, 4096, 0, 1, 904)), PayloadError, "value bits of chunk 1"),
    ("chunk table, advance", chunked_sparse((0, 0, 4096, 0, 0, 905)), PayloadError, "advance of chunk 1"),
    ("chunk table, running advance", chunked_sparse((0, 0, 4096, 0, 0, 5000)), PayloadError, "advance of chunk 1"),
    (
        "chunk table past the end",
        books(
            sparse(
                shape=(5000,),
                n=5000,
                gap=1,
                value=1,
                chunk=b"\3",
                widths=b"\1\1\x20",
                packed=ONLY0_OF4 + ONLY0_OF3,
                stream="",
            )
        ),
        PayloadError,
        "chunk table takes 68 bits",
    ),
    ("line width 0", books(sparse(ends=1, widths=b"\0")), IndexRuleError, "line width 0"),
    ("line width 33", books(sparse(ends=1, widths=b"\x21")), IndexRuleError, "line width 33"),
    ("line counts above n", line_ends((2, 1, 2)), PayloadError, "sum up to 5, not 4"),
    ("line counts below n", line_ends((2, 0, 1)), PayloadError, "sum up to 3, not 4"),
    (
        "line counts past the end",
        books(sparse(ends=1, widths=b"\x20", stream=fields([4, 0], 32))),
        PayloadError,
        "line counts",
    ),
    ("line past its end", line_ends(gaps=(1, 3, 1, 0, 2)), PayloadError, "line of 5"),
    ("skip past the end of a line", line_ends((1, 0, 3), (3, 3, 0, 0, 0, 0)), PayloadError, "line of 5"),
    ("line longer than a line", line_ends((0, 0, 4), (3, 1, 0, 0, 0)), PayloadError, "line of 5"),
    ("entry past the matrix", gap_bits([2, 3, 3, 3, 3, 0], n=2), PayloadError, "position"),
    ("skips past the matrix", gap_bits([3, 3, 3, 3, 3, 0]), PayloadError, "position 15 of 15"),
    ("gap past the matrix", gap_bits([3, 3, 3, 3, 3, 2]), PayloadError, "position 17"),
    (
        "value outside of the codebook",
        books(sparse(stream=fields([1, 2, 3, 2, 2], 2) + fields([0, 3, 2, 0], 2))),
        PayloadError,
        "outside of the alphabet",
    ),
    ("gap stream too short", books(sparse(stream=fields([1, 2, 3, 2], 2))), PayloadError, "gap stream ends"),
    ("skips alone", books(sparse(stream=fields([3, 3, 3, 3], 2))), PayloadError, "gap stream ends"),
    (
        "value stream too short",
        books(sparse(stream=fields([1, 2, 3, 2, 2], 2) + fields([0, 0, 2], 2))),
        PayloadError,
        "ends before",
    ),
    ("no payload", books(sparse(payload=b"")), PayloadError, "gap stream ends"),
    (
        "a byte too long",
        books(sparse(payload=bits(fields([1, 2, 3, 2, 2], 2) + fields([0, 0, 2, 0], 2)) + b"\0")),
        PayloadError,
        "before its last byte",
    ),
    (
        "padding bit",
        books(sparse(stream=fields([1, 2, 3, 2, 2], 2) + fields([0, 0, 2, 0], 2) + "000001")),
        PayloadError,
        "padding",
    ),
    (
        "padding bit of the parameters",
        books(sparse(rows=1, packed="101 00001", n=1, stream="00 00")),
        IndexRuleError,
        "padding",
    ),
    (
        "parameters past the index",
        wrap(index([record(coding=SPARSE, shape=(3, 5), params=b"\4\0\x40")], [BOOK])[:-1]),
        IndexRuleError,
        "layout takes 2",
    ),
]

# ---- 6.5 bitmaps -----------------------------------------------------------------------------------------------------

BITMAP_ROWS: list[Row] = [
    ("raw, all dead", bitmaps(1, None, "0" * 8), IndexRuleError, "no live bit"),
    (
        "raw, past the index",
        books(sparse(shape=(1 << 20, 1), n=1, rows=1)),
        IndexRuleError,
        "bitmap takes 1048576 bits",
    ),
    ("runs, all dead", bitmaps(2, None, "0" + gamma(8)), IndexRuleError, "no live bit"),
    ("runs past the end", bitmaps(2, None, "1" + gamma(4) + gamma(5)), IndexRuleError, "run of 5"),
    ("first run past the end", bitmaps(2, None, "1" + gamma(1 << 32)), IndexRuleError, "past the end of 8"),
    ("runs, gamma of 33 zeros", bitmaps(2, None, "1" + "0" * 33 + "1" + "0" * 33), IndexRuleError, "gamma"),
    ("stride 0", bitmaps(3, 0, "1" + gamma(8)), IndexRuleError, "stride 0"),
    ("stride L", bitmaps(3, 8, "1" + gamma(8)), IndexRuleError, "stride 8"),
    ("stride of 2^62", bitmaps(3, 1 << 62, "1" + gamma(8)), IndexRuleError, "stride"),
    ("stride of a single row", bitmaps(3, 1, "1" + gamma(1), rows=1), IndexRuleError, "stride 1"),
    ("stride, all dead", bitmaps(3, 2, "0" + gamma(8)), IndexRuleError, "no live bit"),
    ("copy of itself", bitmaps(4, 1, ""), IndexRuleError, "refers to bitmap 1"),
    ("copy of bitmap 2^62", bitmaps(4, 1 << 62, ""), IndexRuleError, "refers to bitmap"),
    ("copy that does not divide", bitmaps(4, 0, "", rows=6), IndexRuleError, "cannot be stretched"),
    ("copy that is longer", bitmaps(4, 0, "", rows=2), IndexRuleError, "cannot be stretched"),
    ("mask that does not divide", bitmaps(5, 0, "1111", rows=7), IndexRuleError, "cannot be stretched"),
    ("masked raw of itself", bitmaps(5, 1, "1111"), IndexRuleError, "refers to bitmap 1"),
    ("masked raw, all dead", bitmaps(5, 0, "0000"), IndexRuleError, "no live bit"),
    ("masked raw, past the index", wrap(bitmaps(5, 0, "", rows=800)[11:-8]), IndexRuleError, "are left"),
    ("masked runs of itself", bitmaps(6, 1, "1" + gamma(4)), IndexRuleError, "refers to bitmap 1"),
    ("masked runs, all dead", bitmaps(6, 0, "0" + gamma(4)), IndexRuleError, "no live bit"),
    ("masked runs past the mask", bitmaps(6, 0, "1" + gamma(5)), IndexRuleError, "run of 5"),
    (
        "more entries than live positions",
        books(sparse(n=6, rows=1, packed="010", stream="00" * 12)),
        IndexRuleError,
        "6 entries in 5 live positions",
    ),
    (
        "entry past the live positions",
        books(sparse(n=1, rows=1, packed="010", stream=fields([3, 2], 2) + "00")),
        PayloadError,
        "position 5 of 5",
    ),
]

# ---- section 8: small files that stand for much ----------------------------------------------------------------------


def zeros(name: str, numel: int) -> Any:
    return no_entries(name, (numel,), dtype=U8)


def long_names(count: int) -> bytes:
    """Names that grow by one byte each, in six bytes each."""
    first = record("a" * 60_000, shape=(0,))
    copies = [record(coding=ALIAS, prefix=i, suffix=varint(1), params=b"\0") for i in range(1, count)]
    return file_(first, *copies)


def wide_codes(kind: int, count: int) -> bytes:
    """Tensors of one element, each with a code for 4096 gaps of its own, in about 15 bytes each."""
    packed = {0: "", 1: "1" + field(0, 12)}[kind]
    stream = {0: field(0, 12), 1: ""}[kind] + "00"
    return books(*(sparse(f"{i}", (1,), n=1, gap=kind, pbits=12, packed=packed, stream=stream) for i in range(count)))


U8_BOOK = codebook(b"\1", 1, U8, U8)
ROWS_ABOVE = (1 << 26) + 1
ONE_ENTRY = {"n": 1, "dtype": U8, "stream": "00"}

BOMB_ROWS: list[tuple[str, bytes, str]] = [
    ("2^40 bytes of zeros", file_(zeros("a", 1 << 40)), "Limits(max_decoded_bytes=1099511627776)"),
    ("2^62 bytes of zeros", file_(zeros("a", 1 << 62)), f"Limits(max_decoded_bytes={1 << 62})"),
    ("2^34 + 1 bytes of zeros", file_(zeros("a", (1 << 34) + 1)), f"Limits(max_decoded_bytes={(1 << 34) + 1})"),
    (
        "dense of one symbol",
        books(dense(shape=(1 << 40,), kind=1, packed=ONLY1_OF4, stream="")),
        f"Limits(max_decoded_bytes={1 << 42})",
    ),
    (
        "sparse, all entries without bits",
        books(sparse(shape=(1 << 20, 1 << 20), n=1 << 40, gap=1, value=1, chunk=b"\0", packed=ONLY0_OF4 + ONLY0_OF3)),
        f"Limits(max_decoded_bytes={1 << 42})",
    ),
    (
        "many tensors, each below the limit",
        file_(*(zeros(f"t{i}", 1 << 32) for i in range(5))),
        f"Limits(max_decoded_bytes={5 << 32})",
    ),
    (
        "bitmap of zeros with a live end",
        file_(
            sparse("a", (ROWS_ABOVE, 1), rows=2, packed="0" + gamma(ROWS_ABOVE - 1) + gamma(1), **ONE_ENTRY),
            codebooks=[U8_BOOK],
        ),
        f"Limits(max_bitmap_bits={ROWS_ABOVE})",
    ),
    (
        "column bitmap",
        file_(
            sparse("a", (1, ROWS_ABOVE), columns=2, packed="1" + gamma(ROWS_ABOVE), **ONE_ENTRY), codebooks=[U8_BOOK]
        ),
        f"Limits(max_bitmap_bits={ROWS_ABOVE})",
    ),
    (
        "copies of a small bitmap",
        file_(
            sparse("a", (1 << 20, 1), rows=2, packed="1" + gamma(1 << 20), **ONE_ENTRY),
            *(sparse(f"b{i}", (1 << 24, 1), rows=4, arguments=b"\0", **ONE_ENTRY) for i in range(4)),
            codebooks=[U8_BOOK],
        ),
        "Limits(max_bitmap_bits=",
    ),
    (
        "too many tensors",
        wrap(index(counts=(None, None, (1 << 20) + 1)) + bytes(3 << 21)),
        "Limits(max_tensors=1048577)",
    ),
    ("code tables", wide_codes(1, 2049), f"Limits(max_table_symbols={2049 << 12})"),
    ("index", file_(index_length=varint(1 << 40)), f"Limits(max_index_bytes={1 << 40})"),
]

# ---- 5.6 adaptive ----------------------------------------------------------------------------------------------------


def idle(shape: tuple[int, int], code: str) -> bytes:
    """An adaptive tensor with a payload that sets a live flag over zeros alone; the coder is in order otherwise."""
    return books(adaptive(shape=shape, payload=bytes.fromhex(code)))


ADAPTIVE_ROWS: list[Row] = [
    ("without elements", books(adaptive(shape=(0, 5))), IndexRuleError, "without elements"),
    ("codebook number", books(adaptive(book=1)), IndexRuleError, "codebook 1 does not exist"),
    ("codebook of another dtype", books(adaptive(dtype=F64)), IndexRuleError, "holds F32"),
    ("16-byte elements", books(adaptive(dtype=C128)), IndexRuleError, "holds F32"),
    *(
        (f"reserved bit {bit}", books(adaptive(layout=1 << bit)), IndexRuleError, "reserved bits of an adaptive layout")
        for bit in (5, 6, 7)
    ),
    ("line too long", books(adaptive(shape=(1, (1 << 22) + 1))), IndexRuleError, "a line of 4194305 elements"),
    ("column too long", books(adaptive(shape=((1 << 22) + 1, 1), layout=1)), IndexRuleError, "a line of 4194305"),
    (
        "too many lines",
        file_(adaptive(shape=((1 << 31) + 1, 1), dtype=U8), codebooks=[codebook(b"\1", 1, U8, U8)]),
        IndexRuleError,
        "a chunk of 2147483649 lines",
    ),
    ("stride 0", books(adaptive(layout=8, arguments=varint(0))), IndexRuleError, "stride 0"),
    ("stride 1", books(adaptive(layout=8, arguments=varint(1))), IndexRuleError, "stride 1"),
    ("stride 2^16 + 1", books(adaptive(layout=8, arguments=varint(65537))), IndexRuleError, "stride 65537"),
    ("stride of 2^62", books(adaptive(layout=8, arguments=varint(1 << 62))), IndexRuleError, "stride"),
    ("chunks of no lines", books(adaptive(layout=16, arguments=b"\0")), IndexRuleError, "chunks of 0 lines"),
    ("one chunk", books(adaptive(layout=16, arguments=b"\3")), IndexRuleError, "chunks of 3 lines"),
    ("chunk table past the end", books(adaptive(layout=16, arguments=b"\1")), PayloadError, "chunk table of 8 bytes"),
    (
        "chunk past the end",
        books(adaptive(layout=16, arguments=b"\2", payload=b"\xff\xff\xff\xff" + ADAPTED)),
        PayloadError,
        "the chunks have 4294967299 bytes",
    ),
    ("a zero byte more", books(adaptive(payload=ADAPTED + b"\0")), PayloadError, "not the one that an encoder writes"),
    ("a byte more", books(adaptive(payload=ADAPTED + b"\1")), PayloadError, "not the one that an encoder writes"),
    (
        "random bytes",
        books(adaptive(payload=bytes(range(255, 0, -3)))),
        PayloadError,
        "not the one that an encoder writes",
    ),
    (
        "no bytes for no zeros",
        books(adaptive(layout=4, payload=b"\0")),
        PayloadError,
        "not the one that an encoder writes",
    ),
    *(
        (
            f"live flags over zeros alone, payload {code}",
            idle((1, 1), code),
            PayloadError,
            "not the one that an encoder",
        )
        for code in ("20", "40", "80")  # c0 is the one that an encoder writes
    ),
    ("live place of zeros alone", idle((3, 5), "0f9fb79a"), PayloadError, "not the one that an encoder"),
    ("live line of zeros alone", idle((3, 5), "05d6940f1b"), PayloadError, "not the one that an encoder"),
    ("live place, no live line", idle((3, 5), "95"), PayloadError, "not the one that an encoder"),
    ("live line, no live place", idle((3, 5), "d1"), PayloadError, "not the one that an encoder"),
    ("live place and line, and zeros alone", idle((3, 5), "9478"), PayloadError, "not the one that an encoder"),
    (
        "parameters past the index",
        wrap(index([record(coding=5, shape=(5,), params=b"\0")], [BOOK])[:-1]),
        IndexRuleError,
        "layout",
    ),
]

# ---- 5.7 classes -----------------------------------------------------------------------------------------------------


def classed(head: str, code: str = "2033090002eb") -> bytes:
    """Other bits of classes and tables, as 0 and 1, or other states and words, in hexadecimal."""
    return books(classes(payload=bits(head) + bytes.fromhex(code)))


_LABELS, _TABLES = "010", "00000111100000100000011001000010010000000110000111"
_WRITES = "not the one that an encoder writes"
CLASSES_ROWS: list[Row] = [
    ("without elements", books(classes(shape=(0, 5))), IndexRuleError, "without elements"),
    ("codebook number", books(classes(book=1)), IndexRuleError, "codebook 1 does not exist"),
    ("codebook of another dtype", books(classes(dtype=F64)), IndexRuleError, "holds F32"),
    (
        "codebook of 1024 values",
        file_(classes(), codebooks=[codebook(np.arange(1, 1025, dtype="<u4").tobytes(), 1024, F32, F32)]),
        IndexRuleError,
        "a codebook of 1024 values",
    ),
    ("128 lanes", books(classes(layout=7)), IndexRuleError, "128 lanes"),
    *(
        (
            f"reserved bit {bit}",
            books(classes(layout=1 << bit)),
            IndexRuleError,
            "reserved bits of a layout with classes",
        )
        for bit in (4, 5, 6, 7)
    ),
    ("frequencies of 9 bits", books(classes(numbers=0xC1)), IndexRuleError, "frequencies of 9 bits"),
    ("more classes than rows", books(classes(numbers=3)), IndexRuleError, "4 x 1 classes in a matrix of 3 x 5"),
    ("more classes than columns", books(classes(numbers=5 << 3)), IndexRuleError, "1 x 6 classes"),
    ("chunks of no rows", books(classes(layout=8, arguments=b"\0")), IndexRuleError, "chunks of 0 rows"),
    ("one chunk", books(classes(layout=8, arguments=b"\3")), IndexRuleError, "chunks of 3 rows"),
    (
        "too many rows",
        file_(classes(shape=((1 << 31) + 1, 1), dtype=U8), codebooks=[codebook(b"\1", 1, U8, U8)]),
        IndexRuleError,
        "a chunk of 2147483649 rows",
    ),
    (
        "rows of a chunk past the index",
        wrap(index([record(coding=9, shape=(5,), params=b"\0\x08\0")], [BOOK])[:-1]),
        IndexRuleError,
        "rows of a chunk",
    ),
    ("no payload", books(classes(payload=b"")), PayloadError, "classes of rows"),
    (
        "class that is not there",
        books(classes(numbers=2, payload=bits("111100") + CLASSED)),
        PayloadError,
        "class 3 of 3",
    ),
    ("tables past the end", books(classes(payload=bits(_LABELS + _TABLES)[:-1])), PayloadError, "table of frequencies"),
    ("level 49", classed(_LABELS + gamma(50) + _TABLES[11:]), PayloadError, "the level 49"),
    ("level 49, foretold", classed(_LABELS + gamma(49) + gamma(2)), PayloadError, "the level 49"),
    ("level below 0", classed(_LABELS + gamma(2) + gamma(5)), PayloadError, "the level -1"),
    ("level of 2^33", classed(_LABELS + gamma((1 << 33) - 1)), PayloadError, "the level 8589934590"),
    ("gamma code of zeros", classed(_LABELS + "0" * 64), PayloadError, "gamma code"),
    ("table without a symbol", classed(_LABELS + "1111" + "1111"), PayloadError, "has 0 symbols"),
    ("padding bits", classed(_LABELS + _TABLES + "001"), PayloadError, "padding"),
    (
        "chunk table past the end",
        books(classes(layout=8, arguments=b"\1", payload=CLASSED[:9])),
        PayloadError,
        "chunk table",
    ),
    (
        "chunk past the end",
        books(classes(layout=8, arguments=b"\2", payload=CLASSED[:7] + b"\xff\xff\xff\xff" + CLASSED[7:])),
        PayloadError,
        "the chunks have 4294967306 bytes",
    ),
    ("state too short", books(classes(payload=CLASSED[:10])), PayloadError, _WRITES),
    ("state below 2^16", classed(_LABELS + _TABLES, "ffff000002eb"), PayloadError, _WRITES),
    ("state of zeros", classed(_LABELS + _TABLES, "0000000002eb"), PayloadError, _WRITES),
    ("state that ends elsewhere", classed(_LABELS + _TABLES, "2133090002eb"), PayloadError, _WRITES),
    ("other word", classed(_LABELS + _TABLES, "2033090003eb"), PayloadError, _WRITES),
    ("no word", classed(_LABELS + _TABLES, "20330900"), PayloadError, _WRITES),
    ("half a word", classed(_LABELS + _TABLES, "2033090002"), PayloadError, _WRITES),
    ("a byte more", classed(_LABELS + _TABLES, "2033090002eb00"), PayloadError, _WRITES),
    ("a word more", classed(_LABELS + _TABLES, "2033090002eb0000"), PayloadError, _WRITES),
    (
        "lane without elements that ends elsewhere",
        books(classes(layout=6, payload=CLASSED[:7] + b"\0\0\2\0" * 64)),
        PayloadError,
        _WRITES,
    ),
]

GALLERY = [
    pytest.param(*row[1:], id=f"{group}: {row[0]}")
    for group, rows in {
        "file": FILE_ROWS,
        "index": INDEX_ROWS,
        "record": RECORD_ROWS,
        "dense": DENSE_ROWS,
        "table": TABLE_ROWS,
        "sparse": SPARSE_ROWS,
        "bitmap": BITMAP_ROWS,
        "adaptive": ADAPTIVE_ROWS,
        "classes": CLASSES_ROWS,
    }.items()
    for row in rows
]


def refused(data: bytes, limits: Limits = swsfmt.limits.DEFAULT_LIMITS) -> SwsError:
    """The error of `verify`, which must be that of `load` as well, in bounded memory."""
    errors = []
    for read in (swsfmt.verify, swsfmt.load):
        tracemalloc.start()
        try:
            with pytest.raises(SwsError) as caught:
                read(data, limits=limits)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MAX_PEAK
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])
    return errors[0]


@pytest.mark.parametrize(("data", "error", "fragment"), GALLERY)
def test_malformed_file_is_refused(data: bytes, error: type[SwsError], fragment: str) -> None:
    found = refused(data)
    assert type(found) is error, found
    assert fragment in str(found)
    assert len(str(found).splitlines()) == 1
    if found.offset is not None:
        assert 0 <= found.offset <= len(data)


def test_gallery_has_no_file_twice() -> None:
    seen: dict[bytes, str] = {}
    for row in GALLERY:
        other = seen.setdefault(row.values[0], row.id)
        assert other == row.id


@pytest.mark.slow
@pytest.mark.parametrize(("data", "fragment"), [pytest.param(*row[1:], id=row[0]) for row in BOMB_ROWS])
def test_bomb_is_refused_before_it_grows(data: bytes, fragment: str) -> None:
    found = refused(data)
    assert type(found) is LimitError
    assert fragment in str(found)
    assert len(str(found).splitlines()) == 1


def many_alphabets(count: int) -> bytes:
    """The same with fixed codes for 100 alphabets of some 4000 symbols in turn."""
    values = [codebook(struct.pack(f"<{n}H", *range(1, n + 1)), n, U16, U16) for n in range(3900, 4000)]
    tensors = (dense(f"{i}", (1,), dtype=U16, book=i % 100, stream=field(i, 12)) for i in range(count))
    return file_(*tensors, codebooks=values)


WIDE = {
    "fixed": wide_codes(0, 6000),
    "one symbol": wide_codes(1, 2048),
    "many alphabets": many_alphabets(3800),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_memory_for_codes_is_bounded_by_the_file(name: str) -> None:
    """Section 10: a reader's memory is bounded by the size of the file plus the decoded size."""
    tracemalloc.start()
    try:
        with swsfmt.safe_open(WIDE[name]) as file:
            assert len(file.keys()) >= 2048
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MAX_PEAK // 2


def test_names_that_grow_by_copying() -> None:
    data = long_names(200)
    assert len(data) < 62_000
    found = refused(data, Limits(max_names_bytes=1 << 20))
    assert type(found) is LimitError
    assert "the length of all names" in str(found)


def test_limit_names_the_value_that_would_do() -> None:
    """The value in the message is enough where one tensor is the reason."""
    data = file_(zeros("a", 5000))
    with pytest.raises(LimitError, match=r"Limits\(max_decoded_bytes=5000\)"):
        swsfmt.load(data, limits=Limits(max_decoded_bytes=4999))
    assert swsfmt.load(data, limits=Limits(max_decoded_bytes=5000))["a"].nbytes == 5000


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (Limits(max_tensors=1), file_(ONE, record("b", payload=floats(1)))),
        (Limits(max_name_bytes=4), file_(record("abcde", payload=floats(1)))),
        (Limits(max_bitmap_bits=7), books(sparse(rows=1, columns=1, packed="111 11111"))),
        (Limits(max_index_bytes=10), SMALL),
        (Limits(max_table_symbols=3), books(dense(kind=1, packed=TABLE4))),
    ],
    ids=["max_tensors", "max_name_bytes", "max_bitmap_bits", "max_index_bytes", "max_table_symbols"],
)
def test_each_limit_can_be_set(limits: Limits, data: bytes) -> None:
    assert swsfmt.load(data)
    assert type(refused(data, limits)) is LimitError


def test_deep_alias_does_not_count_as_decoded() -> None:
    data = file_(ONE, *(record(f"b{i}", ALIAS, params=b"\0") for i in range(100)))
    assert len(swsfmt.load(data, limits=Limits(max_decoded_bytes=8))) == 101


# ---- what the gallery is made of is valid ----------------------------------------------------------------------------

SPARSE_DECODED = [0, 0.25, 0, 0, 0.25, 0, 0, 0, 0, 0, -0.5, 0, 0, 0.25, 0]
VALID: list[tuple[str, bytes, Any]] = [
    ("raw", SMALL, [1, 2]),
    ("external payload", file_(record(shape=(100,), payload=floats(*range(100)))), list(range(100))),
    ("minor version 1", file_(ONE, version=(1, 1)), [1, 2]),
    ("minor version 255", file_(ONE, version=(1, 255)), [1, 2]),
    ("metadata", file_(ONE, metadata=[("", ""), ("a", "b"), ("ä", "\0")]), [1, 2]),
    (
        "dtype as before an alias",
        file_(record("x", dtype=I16, payload=b"\1\0"), record("y", ALIAS, params=b"\0"), record("a", payload=b"\2\0")),
        2,
    ),
    ("rank 7", file_(record(shape=(1,) * 6 + (2,), payload=floats(1, 2))), [[[[[[[1, 2]]]]]]]),
    ("dimension 0 beside large ones", file_(record(shape=(0, 1 << 40))), np.zeros((0, 1 << 40))),
    ("BOOL", file_(record(dtype=BOOL, shape=(2,), payload=b"\0\1")), [False, True]),
    (
        "BOOL codebook",
        file_(dense(shape=(2,), dtype=BOOL, stream="01"), codebooks=[codebook(b"\1", 1, BOOL, BOOL)]),
        [False, True],
    ),
    ("narrow", file_(record(coding=NARROW, shape=(2,), params=bytes([F16]), payload=halves(1, -0.5))), [1, -0.5]),
    ("dense", books(dense()), [0, 0.25, 1, -0.5, 0.25]),
    ("dense Huffman", books(dense(kind=1, packed=TABLE4, stream="00 01 10 11 01")), [0, 0.25, 1, -0.5, 0.25]),
    (
        "dense earlier table",
        books(dense("x", kind=1, packed=TABLE4, stream="00" * 5), dense(kind=2, table=b"\0", stream="11" * 5)),
        [-0.5] * 5,
    ),
    ("dense one symbol", books(dense(kind=1, packed=ONLY1_OF4, stream="")), [0.25] * 5),
    ("dense chunks", chunked_dense(), [0.25] * 1025),
    ("classes", books(classes()), [[0, 0.25, 1, -0.5, 0.25], [0] * 5, [-0.5, 0, 0.25, 0.25, 1]]),
    ("adaptive", books(adaptive()), [[0, 0.25, 1, -0.5, 0.25], [0] * 5, [-0.5, 0, 0.25, 0.25, 1]]),
    ("sparse", books(sparse()), np.reshape(SPARSE_DECODED, (3, 5))),
    ("sparse chunks", chunked_sparse(), [0.25] * 5000),
    ("sparse line ends", line_ends(), np.reshape([0, 0.25, 0, 0, 0.25, 0, 0, 0, 0, 0, -0.5, 0, 0, 0.25, 0], (3, 5))),
    ("sparse no entries", file_(no_entries()), np.zeros((3, 5))),
    ("sparse, skips up to the end", gap_bits([3, 3, 3, 3, 2]), np.reshape([0] * 14 + [0.25], (3, 5))),
    (
        "sparse, chunk code 0",
        books(sparse(shape=(4096,), n=4096, chunk=b"\0", gap=1, value=1, packed=ONLY0_OF4 + ONLY0_OF3, stream="")),
        [0.25] * 4096,
    ),
    (
        "NaN in full storage",
        file_(dense(shape=(1,), stream="1"), codebooks=[codebook(b"\1\0\xc0\x7f", 1, F32, F32)]),
        [np.nan],
    ),
    ("table tokens", table("0" + field(4, 4) + "111" + field(1, 4) + "100" + "110" + gamma(1) + "0"), [0]),
    ("bitmap raw", bitmaps(1, None, "00000001"), None),
    ("bitmap stride", bitmaps(3, 2, "1" + gamma(1) + gamma(7)), None),
    ("bitmap copy", bitmaps(4, 0, ""), None),
    ("bitmap masked raw", bitmaps(5, 0, "0001"), None),
    ("bitmap masked runs", bitmaps(6, 0, "0" + gamma(2) + gamma(2)), None),
]


@pytest.mark.parametrize(("data", "expected"), [pytest.param(*row[1:], id=row[0]) for row in VALID])
def test_valid_counterparts(data: bytes, expected: Any) -> None:
    """What the broken files above are made from can be read, so that each breaks one rule only."""
    swsfmt.verify(data)
    tensors = swsfmt.load(data)
    if expected is not None:
        np.testing.assert_array_equal(tensors["a"], expected)
        assert tensors["a"].shape == np.shape(expected)


def live_row(data: bytes) -> int:
    return int(np.flatnonzero(swsfmt.load(data)["b"])[0])


@pytest.mark.parametrize(
    ("kind", "argument", "packed", "row"),
    [
        (1, None, "00000001", 7),
        (2, None, "0" + gamma(5) + gamma(3), 5),
        (3, 3, "0" + gamma(2) + gamma(1) + gamma(5), 2),
        (4, 0, "", 4),
        (5, 0, "01", 5),
        (6, 0, "0" + gamma(1) + gamma(1), 5),
    ],
)
def test_bitmap_kinds_by_hand(kind: int, argument: int | None, packed: str, row: int) -> None:
    """The entry lies in the first live row. The earlier bitmap is 0010, stretched to 00001100."""
    assert live_row(bitmaps(kind, argument, packed, first="0010")) == row


# ---- unknown codings -------------------------------------------------------------------------------------------------


def test_unknown_coding_fails_alone() -> None:
    data = file_(
        ONE,
        record("unknown", 13, (5,), dtype=200, params=b"xyz", payload=b"data"),
        record("large", 300, params=b"", payload=b"q" * 300),
        record("z", dtype=F32, payload=floats(3)),
        version=(1, 7),
    )
    with swsfmt.safe_open(data) as file:
        assert file.keys() == ["a", "unknown", "large", "z"]
        assert file.get_tensor("a").tolist() == [1, 2]
        assert file.get_tensor("z") == 3
        for name in ("unknown", "large"):
            with pytest.raises(UnknownCodingError, match="upgrade"):
                file.get_tensor(name)
    report = swsfmt.inspect(data)
    assert sum(report.sections.values()) == report.file_bytes == len(data)


def test_tensor_not_found() -> None:
    with swsfmt.safe_open(SMALL) as file, pytest.raises(swsfmt.TensorNotFoundError) as caught:
        file.get_tensor("no\nsuch")
    assert isinstance(caught.value, KeyError)
    assert len(str(caught.value).splitlines()) == 1


def test_payload_error_tells_the_place_in_the_file() -> None:
    """`offset` is a byte offset in the file, for payloads in the index and behind it."""
    for data in (
        books(dense(stream=fields([0, 1, 2, 3, 1], 2) + "000001")),
        books(dense(shape=(1024,), payload=bytes(260))),
    ):
        with pytest.raises(PayloadError) as caught:
            swsfmt.verify(data)
        assert caught.value.tensor == "a"
        offset = caught.value.offset
        assert offset is None or offset >= len(SIGNATURE) + 3


# ---- damage ----------------------------------------------------------------------------------------------------------


def rich_dense() -> bytes:
    """Dense in chunks with a payload of its own, dense and raw in the index, narrow, alias, metadata."""
    return file_(
        dense(
            "layer.weight",
            (1025,),
            kind=1,
            chunk=1,
            width=b"\x0c",
            packed=TABLE4,
            stream=fields([2048, 2], 12) + "00 01 10 11 01" * 205,
        ),
        dense("layer.bias"),
        record("step", dtype=U8, payload=b"\7"),
        record("tied", ALIAS, params=b"\1"),
        codebooks=[BOOK],
        metadata=[("license", "CC0")],
    )


def rich_sparse() -> bytes:
    """Sparse with bitmaps and a payload of its own, sparse with line ends in the index, a tensor of zeros."""
    gaps = [i % 3 for i in range(600)]
    return file_(
        sparse(
            "w",
            (60, 50),
            n=600,
            rows=2,
            columns=2,
            packed="1" + gamma(20) + gamma(10) + gamma(30) + "0" + gamma(5) + gamma(45),
            stream=fields(gaps, 2) + fields([2, 1, 0] * 200, 2),
        ),
        sparse(
            "v",
            ends=1,
            rows=6,
            arguments=b"\0",
            widths=b"\4",
            shape=(60, 2),
            n=1,
            packed="1" + gamma(1) + gamma(49),
            stream=fields([1], 4) + "10" + "01",
        ),
        no_entries("z"),
        codebooks=[BOOK],
    )


RICH = pytest.mark.parametrize("make", [rich_dense, rich_sparse])


@RICH
def test_rich_files_are_valid(make: Any) -> None:
    data = make()
    assert 300 < len(data) < 512
    report = swsfmt.verify(data)
    assert {tensor.coding for tensor in report.tensors} >= {make.__name__.removeprefix("rich_")}


def check_refused(data: bytes) -> None:
    with pytest.raises(SwsError):
        swsfmt.verify(data)


@RICH
def test_every_flipped_bit_is_found(make: Any) -> None:
    data = bytearray(make())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        check_refused(bytes(data))
        data[bit // 8] ^= 1 << bit % 8


@RICH
def test_every_truncation_is_found(make: Any) -> None:
    data = make()
    for length in range(len(data)):
        check_refused(data[:length])


@RICH
def test_every_added_byte_is_found(make: Any) -> None:
    data = make()
    for byte in range(256):
        check_refused(data + bytes([byte]))
    for place in range(len(data)):
        check_refused(data[:place] + data[place : place + 1] + data[place:])


def test_payload_crc_is_that_of_the_payload() -> None:
    data = file_(BIG)
    assert crc(data[-400:]) in data[:-400]
