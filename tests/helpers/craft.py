"""Builds .sws files by hand, valid or broken, from the specification alone: nothing here imports swsfmt.

>>> file_(record("a", shape=(2,), payload=struct.pack("<2f", 1, 2)))        a valid file of one raw tensor
>>> file_(record("a", shape=(2,), payload=b"", length=9), index_crc=0)      and a file with two faults

Bits are written as text, first bit first: "1 01" is the byte 0b101. Spaces are ignored.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SIGNATURE = bytes.fromhex("89 53 57 53 0D 0A 1A 0A")
RAW, NARROW, ALIAS, DENSE, SPARSE, ADAPTIVE, PLANES, SCALED, ESCAPE, CLASSES, LOOKUP = range(11)
KNOWN = range(11)
# Codings whose parameters hold parts, which have the payloads.
COMPOSITE = (PLANES, SCALED, ESCAPE, LOOKUP)
BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64, C64, C128 = range(15)
MAX_INLINE = 255
# Codings whose record has no payload length (sparse without entries has none either).
_IMPLIED_LENGTH = (RAW, NARROW)


# ---- bytes and bits --------------------------------------------------------------------------------------------------


def varint(value: int, size: int = 1) -> bytes:
    """LEB128; a `size` above what the value needs makes an overlong one."""
    out = []
    while value >= 0x80 or len(out) < size - 1:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return varint(len(data)) + data


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def bits(text: str) -> bytes:
    """The bytes of a bit text, zero bits up to the next byte."""
    digits = text.replace(" ", "")
    assert set(digits) <= {"0", "1"}, text
    padded = digits + "0" * (-len(digits) % 8)
    return bytes(int(padded[i : i + 8][::-1], 2) for i in range(0, len(padded), 8))


def field(value: int, width: int) -> str:
    """Bit text of a field: least significant bit first."""
    assert 0 <= value < 1 << width or value == width == 0, (value, width)
    return f"{value:0{width}b}"[::-1] if width else ""


def fields(values: Iterable[int], width: int) -> str:
    return "".join(field(value, width) for value in values)


def gamma(n: int) -> str:
    """Bit text of an Elias gamma code."""
    zeros = n.bit_length() - 1
    return "0" * zeros + "1" + field(n & ((1 << zeros) - 1), zeros)


def floats(*values: float) -> bytes:
    """F32 elements."""
    return struct.pack(f"<{len(values)}f", *values)


def halves(*values: float) -> bytes:
    """F16 elements."""
    return struct.pack(f"<{len(values)}e", *values)


# ---- parts of a file -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """index: its bytes in the index. payload: the bytes that lie behind the index, if any."""

    index: bytes
    payload: bytes = b""


def codebook(values: bytes, count: int | None = None, dtype: int = F32, storage: int = F16) -> bytes:
    """values: the stored bytes. count: by default as many as 2-byte values."""
    return bytes([dtype, storage]) + varint(len(values) // 2 if count is None else count) + values


def record(
    name: str | bytes = "a",
    coding: int = RAW,
    shape: Sequence[int] = (),
    *,
    dtype: int | None = None,
    params: bytes = b"",
    payload: bytes = b"",
    prefix: int = 0,
    suffix: bytes | None = None,
    head: bytes | None = None,
    dimensions: bytes | None = None,
    length: int | None = None,
    payload_crc: bytes | None = None,
) -> Record:
    """One tensor record. What is left out is as the specification wants it; what is given is written as it is.

    suffix : the bytes of the suffix field and what follows, instead of a literal `name`
    head : the bytes of head, coding, dtype and rank
    dimensions : the bytes of the shape
    length : the payload length to write
    """
    literal = name.encode() if isinstance(name, str) else name
    out = varint(prefix) + (varint(2 * len(literal)) + literal if suffix is None else suffix)
    if head is None:
        rank = len(shape)
        head = bytes([min(coding, 15) | min(rank, 7) << 4 | (dtype is not None) << 7])
        head += varint(coding) if coding >= 15 else b""
        head += bytes([dtype]) if dtype is not None else b""
        head += varint(rank) if rank >= 7 else b""
    out += head + (b"".join(varint(d) for d in shape) if dimensions is None else dimensions)
    if coding not in KNOWN:
        out += varint(len(params))
    out += params
    if coding in COMPOSITE:
        return Record(out, payload)
    if coding == ALIAS:
        return Record(out)
    size = len(payload) if length is None else length
    if coding not in _IMPLIED_LENGTH and not (coding == SPARSE and params == b"\0"):
        out += varint(size)
    if size <= MAX_INLINE:
        return Record(out + payload)
    return Record(out + (crc(payload) if payload_crc is None else payload_crc), payload)


def part(
    coding: int = RAW,
    params: bytes = b"",
    payload: bytes = b"",
    *,
    dtype: int | None = None,
    head: bytes | None = None,
    length: int | None = None,
    payload_crc: bytes | None = None,
) -> bytes:
    """A part in the parameters of a record; a payload above 255 bytes has to be among those of the record."""
    whole = record("", coding, params=params, payload=payload, length=length, payload_crc=payload_crc, dtype=dtype)
    own = whole.index[2:]
    if head is None:
        return own
    return head + own[1 + (dtype is not None) :]


def index(
    records: Sequence[Record] = (),
    codebooks: Sequence[bytes] = (),
    metadata: Sequence[tuple[str | bytes, str | bytes]] = (),
    *,
    counts: tuple[int | None, int | None, int | None] = (None, None, None),
) -> bytes:
    """The bytes of an index. counts: what to write as number of pairs, of codebooks and of records."""
    parts = [
        [string(key) + string(value) for key, value in metadata],
        list(codebooks),
        [r.index for r in records],
    ]
    out = b""
    for count, part in zip(counts, parts, strict=True):
        out += varint(len(part) if count is None else count) + b"".join(part)
    return out


def wrap(
    body: bytes,
    payloads: bytes = b"",
    *,
    version: tuple[int, int] = (1, 0),
    index_length: bytes | None = None,
    index_crc: bytes | None = None,
) -> bytes:
    """A whole file around the bytes of an index."""
    head = SIGNATURE + bytes(version) + (varint(len(body)) if index_length is None else index_length) + body
    return head + (crc(head) if index_crc is None else index_crc) + payloads


def file_(
    *records: Record,
    codebooks: Sequence[bytes] = (),
    metadata: Sequence[tuple[str | bytes, str | bytes]] = (),
    counts: tuple[int | None, int | None, int | None] = (None, None, None),
    version: tuple[int, int] = (1, 0),
    index_length: bytes | None = None,
    index_crc: bytes | None = None,
) -> bytes:
    """A whole file of these records."""
    body = index(records, codebooks, metadata, counts=counts)
    payloads = b"".join(r.payload for r in records)
    return wrap(body, payloads, version=version, index_length=index_length, index_crc=index_crc)


# ---- records of the two codings that have many parameters ------------------------------------------------------------

# F32 values 0.25, 1.0 and -0.5: symbols 1, 2 and 3.
BOOK = codebook(halves(0.25, 1.0, -0.5))
# Code tables of the alphabet 0 to 3: all of length 2, and symbol 1 alone; of the alphabet 0 to 2: symbol 0 alone.
TABLE4 = "0" + field(2, 4) + "0000"
ONLY1_OF4 = "1" + field(1, 2)
ONLY0_OF4 = "1" + field(0, 2)
ONLY0_OF3 = "1" + field(0, 2)


def dense(
    name: str = "a",
    shape: Sequence[int] = (5,),
    *,
    book: int = 0,
    kind: int = 0,
    reserved: int = 0,
    chunk: int = 0,
    table: bytes = b"",
    width: bytes = b"",
    packed: str | bytes = "",
    stream: str = fields([0, 1, 2, 3, 1], 2),
    payload: bytes | None = None,
    **other: object,
) -> Record:
    """A dense record; by default five symbols of two bits of `BOOK`."""
    params = varint(book) + bytes([kind | reserved << 2 | chunk << 4]) + table + width
    params += packed if isinstance(packed, bytes) else bits(packed)
    payload = bits(stream) if payload is None else payload
    return record(name, DENSE, shape, params=params, payload=payload, **other)  # type: ignore[arg-type]


def sparse(
    name: str = "a",
    shape: Sequence[int] = (3, 5),
    n: int = 4,
    *,
    book: int = 0,
    scan: int = 0,
    ends: int = 0,
    gap: int = 0,
    value: int = 0,
    rows: int = 0,
    columns: int = 0,
    pbits: int = 2,
    chunk: bytes = b"",
    arguments: bytes = b"",
    widths: bytes = b"",
    packed: str | bytes = "",
    stream: str = fields([1, 2, 3, 2, 2], 2) + fields([0, 0, 2, 0], 2),
    payload: bytes | None = None,
    **other: object,
) -> Record:
    """A sparse record; by default entries at 1, 4, 10 and 13 of 15, gaps and values of two bits.

    arguments : tables and bitmap arguments
    widths : line width and chunk widths
    """
    layout = scan | ends << 1 | gap << 2 | value << 4 | rows << 6 | columns << 9 | pbits << 12
    params = varint(n) + varint(book) + layout.to_bytes(2, "little") + chunk + arguments + widths
    params += packed if isinstance(packed, bytes) else bits(packed)
    payload = bits(stream) if payload is None else payload
    return record(name, SPARSE, shape, params=params, payload=payload, **other)  # type: ignore[arg-type]


# Symbols 0 1 2 3 1, five zeros, 3 0 1 1 2 of `BOOK`, coded by rows.
ADAPTED = bytes.fromhex("0f9fac11")


def adaptive(
    name: str = "a",
    shape: Sequence[int] = (3, 5),
    *,
    book: int = 0,
    layout: int = 0,
    arguments: bytes = b"",
    payload: bytes = ADAPTED,
    **other: object,
) -> Record:
    """An adaptive record. arguments : stride, chunk lines, classes."""
    params = varint(book) + bytes([layout]) + arguments
    return record(name, ADAPTIVE, shape, params=params, payload=payload, **other)  # type: ignore[arg-type]


# The same with two classes of rows, of which the first row has one, and one of columns.
ADAPTED_CLASSES = bytes.fromhex("06 0f966059")


# Two classes of rows and one of columns, one lane: symbols 0 1 2 3 1, five zeros, 3 0 1 1 2 of `BOOK`.
CLASSED = bytes.fromhex("020f021312301c2033090002eb")


def classes(
    name: str = "a",
    shape: Sequence[int] = (3, 5),
    *,
    book: int = 0,
    layout: int = 0,
    numbers: int = 1,
    arguments: bytes = b"",
    payload: bytes = CLASSED,
    **other: object,
) -> Record:
    """A record with classes. numbers : of classes and precision. arguments : rows of a chunk."""
    params = varint(book) + bytes([layout, numbers]) + arguments
    return record(name, CLASSES, shape, params=params, payload=payload, **other)  # type: ignore[arg-type]


def no_entries(name: str = "a", shape: Sequence[int] = (3, 5), **other: object) -> Record:
    """A sparse record of zeros alone."""
    return record(name, SPARSE, shape, params=b"\0", **other)  # type: ignore[arg-type]


# ---- taking valid files apart and mending them -----------------------------------------------------------------------


def refit(body: bytes, old: Sequence[bytes], new: Sequence[bytes]) -> bytes:
    """A file of the index `body` whose payloads `old` became `new`, with all lengths and checksums mended."""
    for before, after in zip(old, new, strict=True):
        body = body.replace(varint(len(before)) + crc(before), varint(len(after)) + crc(after), 1)
        body = body.replace(crc(before), crc(after), 1)
    return wrap(body, b"".join(new))
