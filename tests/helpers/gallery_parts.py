"""Rows of the gallery of hostile files: records that hold parts, and byte planes."""

from __future__ import annotations

from craft import ALIAS, BOOL, C64, C128, DENSE, F16, LOOKUP, PLANES, U8, U16, U32, file_, part, record, varint
from gallery_files import Row

from swsfmt import ChecksumError, IndexRuleError, PayloadError, TruncatedError, UnknownCodingError

TWO = part(payload=b"ab")


def planes(
    *parts: bytes, widths: bytes = b"\b\b", shape: tuple[int, ...] = (2,), dtype: int = U16, payload: bytes = b""
) -> bytes:
    """A file of one tensor with these parts, and a raw one behind it."""
    return file_(
        record("a", PLANES, shape, dtype=dtype, params=widths + b"".join(parts), payload=payload),
        record("b", shape=(1,), dtype=U8, payload=b"z"),
    )


def lookup(count: int, *parts: bytes, shape: tuple[int, ...] = (2,), dtype: int = U16) -> bytes:
    """A file of one tensor with a table of so many values."""
    return file_(record("a", LOOKUP, shape, dtype=dtype, params=varint(count) + b"".join(parts)))


LONG = part(payload=b"p" * 256)
NINE = part(payload=b"\0\0\xff\2")
TINY = part(payload=b"\x0f\0")
NIBBLES = {"widths": b"\4\4", "dtype": U8}

ONE = part(payload=b"\7\0")
FIRST = part(payload=b"\0\0\0\0")

PART_ROWS: list[Row] = [
    ("no part", planes(), IndexRuleError, "reserved bits"),
    ("one part too few", planes(TWO), IndexRuleError, ""),
    ("one part too many", planes(TWO, TWO, TWO), IndexRuleError, ""),
    (
        "index ends within a part",
        file_(record("a", PLANES, (2,), dtype=U16, params=b"\b\b" + TWO)),
        IndexRuleError,
        "index",
    ),
    ("reserved bit 4", planes(part(payload=b"ab", head=b"\x10"), TWO), IndexRuleError, "reserved bits"),
    ("reserved bit 6", planes(TWO, part(payload=b"ab", head=b"\x40")), IndexRuleError, "reserved bits"),
    ("alias", planes(part(head=bytes([ALIAS]), payload=b"\0"), TWO), IndexRuleError, "alias"),
    ("coding 14 behind the head", planes(part(head=b"\x0f\x0e", payload=b"ab"), TWO), IndexRuleError, "in the head"),
    ("the usual dtype written", planes(part(dtype=U8, payload=b"ab"), TWO), IndexRuleError, "usual"),
    ("a plane of another dtype", planes(part(dtype=F16, payload=b"abcd"), TWO), IndexRuleError, "U8"),
    ("a plane of an unknown dtype", planes(part(14, dtype=200), TWO), IndexRuleError, "U8"),
    ("unknown dtype of a known coding", planes(part(dtype=200, payload=b"ab"), TWO), IndexRuleError, "dtype 200"),
    ("planes of BOOL", planes(TWO, TWO, widths=b"\4\4", dtype=BOOL), IndexRuleError, "BOOL has no planes"),
    ("planes of C64", planes(*[TWO] * 8, widths=b"\b" * 8, dtype=C64), IndexRuleError, "C64 has no planes"),
    ("one field of all bits", planes(part(payload=b"abcd"), widths=b"\x10"), IndexRuleError, "one field"),
    ("a field of 8 bits of U8", planes(TWO, widths=b"\b", dtype=U8), IndexRuleError, "one field"),
    ("a field of 0 bits", planes(TWO, TWO, TWO, widths=b"\b\0\b"), IndexRuleError, "1 to 16"),
    ("a field of 17 bits", planes(TWO, TWO, widths=b"\x11\x0f", dtype=U32), IndexRuleError, "1 to 16"),
    ("fields of 17 bits together", planes(TWO, TWO, widths=b"\b\t"), IndexRuleError, "16 together"),
    ("a plane of 9 bits in U8", planes(TWO, TWO, widths=b"\t\7"), IndexRuleError, ""),
    ("an element of more bits than its field", planes(NINE, TWO, widths=b"\t\7"), PayloadError, "than its field"),
    ("an element of 5 bits", planes(TINY, part(payload=b"\x10\0"), **NIBBLES), PayloadError, "than its field"),
    ("an element of 5 bits, first field", planes(part(payload=b"\0\x1f"), TINY, **NIBBLES), PayloadError, "field"),
    ("planes without elements", planes(*[part()] * 2, shape=(0,)), IndexRuleError, "raw"),
    (
        "planes of U16 in a plane",
        planes(part(PLANES, params=b"\t\7" + TWO), TWO),
        IndexRuleError,
        "8 together",
    ),
    ("a part of a codebook that is not there", planes(part(DENSE, params=b"\0\0"), TWO), IndexRuleError, "codebook"),
    ("inline payload of a part too short", planes(TWO, part(payload=b"a")), IndexRuleError, ""),
    ("payload of a part missing", planes(LONG, LONG, shape=(256,), payload=b"p" * 256), TruncatedError, "early"),
    (
        "payload of a part damaged",
        planes(LONG, LONG, shape=(256,), payload=b"p" * 511 + b"q"),
        ChecksumError,
        "payload",
    ),
    (
        "CRC of a part wrong",
        planes(LONG, part(payload=b"p" * 256, payload_crc=b"abcd"), shape=(256,), payload=b"p" * 512),
        ChecksumError,
        "payload",
    ),
    ("unknown coding of a part", planes(part(13, payload=b"?"), TWO), UnknownCodingError, "coding 13"),
    (
        "parameters of an unknown part run past the index",
        file_(record("a", PLANES, (2,), dtype=U16, params=b"\b\b" + bytes([13]) + varint(99))),
        IndexRuleError,
        "index",
    ),
    ("lookup without values", lookup(0, part(), part(payload=b"\0\0\0\0")), IndexRuleError, "0 values"),
    ("lookup of more values than elements", lookup(3, part(payload=bytes(6)), FIRST), IndexRuleError, "3 values"),
    ("lookup of 65537 values", lookup(65537, shape=(1 << 17,)), IndexRuleError, "65537 values"),
    ("lookup of U8", lookup(1, part(payload=b"\1"), FIRST, dtype=U8), IndexRuleError, "U8 has no table"),
    ("lookup of C128", lookup(1, part(payload=bytes(16)), FIRST, dtype=C128), IndexRuleError, "C128 has no table"),
    ("lookup without elements", lookup(1, shape=(0,)), IndexRuleError, "raw"),
    ("differences of another dtype", lookup(1, part(dtype=U32, payload=bytes(4)), FIRST), IndexRuleError, "U16"),
    ("indices of another dtype", lookup(1, ONE, part(dtype=U8, payload=b"\0\0")), IndexRuleError, "U16"),
    ("an index outside of the table", lookup(1, ONE, part(payload=b"\1\0\0\0")), PayloadError, "number 1"),
    ("a value twice", lookup(2, part(payload=b"\1\0\0\0"), FIRST), PayloadError, "ascend"),
    ("a value beyond its dtype", lookup(2, part(payload=b"\xff\xff\1\0"), FIRST), PayloadError, "ascend"),
]
