"""Rows of the gallery of hostile files: values that stand apart."""

from __future__ import annotations

from craft import (
    ALIAS,
    BOOL,
    C128,
    ESCAPE,
    F16,
    PLANES,
    SPARSE,
    U8,
    U16,
    codebook,
    file_,
    part,
    record,
    varint,
)
from gallery_files import Row

from swsfmt import IndexRuleError, PayloadError, UnknownCodingError

MASK = part(payload=b"\1\0\1")
MAIN = part(payload=b"ccabcc")
TWO = part(payload=b"abcd")


def escape(
    *parts: bytes,
    count: int = 2,
    mark: bytes | None = None,
    shape: tuple[int, ...] = (3,),
    dtype: int = U16,
    codebooks: tuple[bytes, ...] = (),
) -> bytes:
    """A file of one tensor with this mark, if there is one, main part and values; and a raw tensor behind it.

    mark : in place of the first bit of the count and of what follows it
    """
    head = varint(2 * count + (mark is not None)) + (mark or b"")
    return file_(
        record("a", ESCAPE, shape, dtype=dtype, params=b"".join([head, *parts])),
        record("b", shape=(1,), dtype=U8, payload=b"z"),
        codebooks=codebooks,
    )


def nested(depth: int) -> bytes:
    """A tensor of one element with values that have values in turn: parts that lie so deep."""
    main, values = part(payload=b"a"), part(payload=b"b")
    for _ in range(depth - 1):
        values = part(ESCAPE, params=varint(3) + b"a" + main + values)
    return escape(main, values, count=1, mark=b"a", shape=(1,), dtype=U8)


def sparse_mask(entries: int, stream: bytes) -> bytes:
    """Of shape (3,), with gaps of two bits."""
    return part(SPARSE, params=varint(entries) + b"\0" + (2 << 12).to_bytes(2, "little"), payload=stream)


ONES = codebook(b"\1", 1, BOOL, BOOL)

ESCAPE_ROWS: list[Row] = [
    ("no values", escape(part(payload=bytes(3)), part(), count=0), IndexRuleError, "0 values"),
    ("more values than elements", escape(MASK, part(payload=b"abcdabcd"), count=4), IndexRuleError, "4 values"),
    ("values of BOOL", escape(MASK, part(payload=b"\1\1"), dtype=BOOL), IndexRuleError, "BOOL"),
    ("values of C128", escape(MASK, part(payload=b"a" * 32), dtype=C128), IndexRuleError, "C128"),
    ("no elements", escape(part(), part(), count=0, shape=(0,)), IndexRuleError, "raw"),
    ("main part of another dtype", escape(part(payload=b"ccabcc", dtype=F16), TWO, mark=b"cc"), IndexRuleError, "U16"),
    ("main part of an unknown dtype", escape(part(14, dtype=200), TWO, mark=b"cc"), IndexRuleError, "U16"),
    ("main part of BOOL, written", escape(part(payload=b"\1\0\1", dtype=BOOL), TWO), IndexRuleError, "usual"),
    ("main part is an alias", escape(part(ALIAS, payload=b"\0"), TWO), IndexRuleError, "alias"),
    ("main part of the dtype, without a mark", escape(part(payload=b"ccabcc", dtype=U16), TWO), IndexRuleError, "BOOL"),
    (
        "main part of the dtype, written",
        escape(part(payload=b"ccabcc", dtype=U16), TWO, mark=b"cc"),
        IndexRuleError,
        "usual",
    ),
    (
        "main part of BOOL beside a mark",
        escape(part(payload=b"\1\0\1", dtype=BOOL), TWO, mark=b"cc"),
        IndexRuleError,
        "U16",
    ),
    (
        "index ends within the mark",
        file_(record("a", ESCAPE, (3,), dtype=U16, params=varint(5) + b"c")),
        IndexRuleError,
        "index",
    ),
    ("values of another dtype", escape(MASK, part(payload=b"abcd", dtype=F16)), IndexRuleError, "U16"),
    ("values of the dtype, written", escape(MASK, part(payload=b"abcd", dtype=U16)), IndexRuleError, "usual"),
    ("values of an unknown dtype", escape(MASK, part(14, dtype=200)), IndexRuleError, "U16"),
    ("no values behind the main part", escape(MASK), IndexRuleError, ""),
    ("a third part", escape(MASK, TWO, TWO), IndexRuleError, ""),
    ("parts 5 deep", nested(5), IndexRuleError, "deep"),
    ("too few ones", escape(part(payload=b"\0\0\1"), TWO), PayloadError, "1 marks for 2 values"),
    ("too many ones", escape(part(payload=b"\1\1\1"), TWO), PayloadError, "3 marks for 2 values"),
    ("too few marks", escape(MAIN, TWO, mark=b"ab"), PayloadError, "1 marks for 2 values"),
    ("too many marks", escape(part(payload=b"cccccc"), TWO, mark=b"cc"), PayloadError, "3 marks for 2 values"),
    ("a mark that half an element is", escape(MAIN, TWO, mark=b"bc"), PayloadError, "0 marks for 2 values"),
    ("a value of zero beside a mask", escape(MASK, part(payload=b"ab\0\0")), PayloadError, "zero"),
    ("a byte of the mask is 2", escape(part(payload=b"\1\0\2"), TWO), PayloadError, "neither 0 nor 1"),
    ("a mask of zeros", escape(part(SPARSE, params=b"\0"), TWO), PayloadError, "0 marks for 2 values"),
    (
        "more entries than values",
        escape(sparse_mask(3, b"\0"), TWO, codebooks=(ONES,)),
        PayloadError,
        "3 marks for 2 values",
    ),
    ("an entry outside", escape(sparse_mask(2, b"\x0a"), TWO, codebooks=(ONES,)), PayloadError, ""),
    ("a mask without a codebook", escape(sparse_mask(2, b"\0"), TWO), IndexRuleError, "codebook"),
    ("a mask of planes", escape(part(PLANES), TWO), IndexRuleError, "BOOL has no planes"),
    ("a mask with values", escape(part(ESCAPE, params=varint(4) + MASK), TWO), IndexRuleError, "BOOL"),
    ("unknown coding of the main part", escape(part(13, payload=b"?"), TWO), UnknownCodingError, "coding 13"),
    ("unknown coding of the values", escape(MASK, part(13, payload=b"?")), UnknownCodingError, "coding 13"),
    ("inline payload of the values too short", escape(MASK, part(payload=b"abc")), IndexRuleError, ""),
]
