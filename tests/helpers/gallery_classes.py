"""Rows of the gallery of hostile files: static codes per class (spec 5.10, 6.8)."""

from __future__ import annotations

import numpy as np
from craft import BOOK, CLASSED, F32, F64, U8, bits, classes, codebook, file_, gamma, index, record, wrap
from gallery_files import Row, books

from swsfmt import IndexRuleError, PayloadError


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
