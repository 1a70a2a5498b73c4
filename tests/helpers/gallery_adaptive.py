"""Rows of the gallery of hostile files: adaptive coding."""

from __future__ import annotations

from craft import ADAPTED, ADAPTED_CLASSES, BOOK, C128, F64, U8, adaptive, codebook, file_, index, record, varint, wrap
from gallery_files import Row, books

from swsfmt import IndexRuleError, PayloadError


def idle(shape: tuple[int, int], code: str) -> bytes:
    """An adaptive tensor with a payload that sets a live flag over zeros alone; the coder is in order otherwise."""
    return books(adaptive(shape=shape, payload=bytes.fromhex(code)))


def classes(numbers: int, payload: bytes = ADAPTED_CLASSES) -> bytes:
    """With classes as contexts."""
    return books(adaptive(layout=32, arguments=bytes([numbers]), payload=payload))


ADAPTIVE_ROWS: list[Row] = [
    ("without elements", books(adaptive(shape=(0, 5))), IndexRuleError, "without elements"),
    ("codebook number", books(adaptive(book=1)), IndexRuleError, "codebook 1 does not exist"),
    ("codebook of another dtype", books(adaptive(dtype=F64)), IndexRuleError, "holds F32"),
    ("16-byte elements", books(adaptive(dtype=C128)), IndexRuleError, "holds F32"),
    *(
        (f"reserved bit {bit}", books(adaptive(layout=1 << bit)), IndexRuleError, "reserved bits of an adaptive layout")
        for bit in (6, 7)
    ),
    *(
        (f"reserved bit {bit} of classes", classes(1 << bit), IndexRuleError, "reserved bits of adaptive classes")
        for bit in (6, 7)
    ),
    ("more classes than rows", classes(3), IndexRuleError, "4 x 1 classes in a matrix of 3 x 5"),
    ("more classes than columns", classes(5 << 3), IndexRuleError, "1 x 6 classes in a matrix of 3 x 5"),
    ("classes past the end", classes(4 << 3, b"\1"), PayloadError, "classes of columns"),
    ("class 3 of 3", classes(2, bytes([0b110100]) + ADAPTED), PayloadError, "classes of rows: class 3 of 3"),
    ("bit behind the classes", classes(2, bytes([0b1100100]) + ADAPTED), PayloadError, "the classes"),
    (
        "chunk table behind classes past the end",
        books(adaptive(layout=48, arguments=b"\1\2", payload=bytes(8))),
        PayloadError,
        "chunk table up to byte 9",
    ),
    ("a byte more behind classes", classes(1, ADAPTED_CLASSES + b"\1"), PayloadError, "not the one that an encoder"),
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
    ("chunk table past the end", books(adaptive(layout=16, arguments=b"\1")), PayloadError, "chunk table up to byte 8"),
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
