"""Small valid files that together have every kind of record and every form of it; index and payloads apart."""

from __future__ import annotations

from craft import (
    ADAPTED_CLASSES,
    ALIAS,
    BOOK,
    BOOL,
    DENSE,
    ESCAPE,
    F16,
    F32,
    NARROW,
    ONLY0_OF3,
    ONLY0_OF4,
    PLANES,
    SPARSE,
    TABLE4,
    U8,
    U16,
    Record,
    adaptive,
    codebook,
    dense,
    field,
    fields,
    floats,
    gamma,
    halves,
    index,
    no_entries,
    part,
    record,
    refit,
    sparse,
    varint,
)

RECORDS = {
    "dense": [
        dense(
            "weight",
            (1025,),
            kind=1,
            chunk=1,
            width=b"\x0c",
            packed=TABLE4,
            stream=fields([2048, 2], 12) + "00 01 10 11 01" * 205,
        ),
        dense("bias"),
        dense("again", kind=2, table=b"\0", stream="00 01 10 11 01"),
        record("step", dtype=U8, payload=b"\7"),
        record("tied", ALIAS, params=b"\1"),
        record("flags", dtype=BOOL, shape=(3,), payload=b"\0\1\1"),
    ],
    "sparse": [
        sparse(
            "w",
            (60, 50),
            n=600,
            rows=2,
            columns=2,
            packed="1" + gamma(20) + gamma(10) + gamma(30) + "0" + gamma(5) + gamma(45),
            stream=fields([i % 3 for i in range(600)], 2) + fields([2, 1, 0] * 200, 2),
        ),
        sparse(
            "v",
            (60, 2),
            n=1,
            ends=1,
            rows=6,
            arguments=b"\0",
            widths=b"\4",
            packed="1" + gamma(1) + gamma(49),
            stream=fields([1], 4) + "10 01",
        ),
        sparse(
            "u",
            (120, 4),
            n=3,
            rows=3,
            columns=1,
            arguments=b"\5",
            packed="1" + gamma(9) + gamma(111) + "1010",
            stream=fields([0, 2, 3, 0], 2) + fields([0, 1, 2], 2),
        ),
        no_entries("z"),
        record("n", NARROW, (4,), params=bytes([F16]), payload=halves(1, 2, 3, -0.5)),
    ],
    "tables": [
        sparse(
            "a", gap=1, value=1, packed=TABLE4 + "0" + field(1, 4) + "0 100 0", stream="01 10 11 10 10" + "0 0 11 0"
        ),
        sparse("b", scan=1, gap=2, value=2, arguments=b"\0\1", columns=5 * 0, stream="01 00 01 00" + "0 0 11 0"),
        sparse(
            "c",
            (5000,),
            n=5000,
            gap=1,
            value=1,
            chunk=b"\3",
            widths=b"\1\1\x0d",
            packed=ONLY0_OF4 + ONLY0_OF3,
            stream="00" + field(4096, 13) + "00" + field(904, 13),
        ),
        record("d", payload=floats(1)),
    ],
}


def chunked() -> Record:
    """4200 entries in chunks of 1024, read column by column, 10 of 90 rows dead; gaps 0, 0, 1, values 0, 1, 2."""
    gaps, values = [0, 0, 1] * 1400, [0, 1, 2] * 1400
    table, gap_bits, value_bits = "", "", ""
    for start in range(0, 4200, 1024):
        part = slice(start, min(start + 1024, 4200))
        gap_part = "".join(["00", "01"][g] for g in gaps[part])
        value_part = "".join(["0", "10", "11"][v] for v in values[part])
        advance = sum(g + 1 for g in gaps[part])
        table += field(len(gap_part), 12) + field(len(value_part), 11) + field(advance, 11)
        gap_bits, value_bits = gap_bits + gap_part, value_bits + value_part
    return sparse(
        "w",
        (90, 70),
        n=4200,
        scan=1,
        rows=2,
        gap=1,
        value=1,
        chunk=b"\1",
        widths=bytes([12, 11, 11]),
        packed="0" + gamma(10) + gamma(80) + TABLE4 + "0" + field(1, 4) + "0 100 0",
        stream=table + gap_bits + value_bits,
    )


RECORDS["chunks"] = [chunked(), record("d", payload=floats(1))]


RECORDS["adaptive"] = [
    adaptive("plain"),
    # Light contexts, no zeros, a stride of 3, chunks of two lines.
    adaptive(
        "chunks",
        layout=2 + 4 + 8 + 16,
        arguments=b"\3\2",
        payload=bytes.fromhex("02000000 daf2 7d9a"),
    ),
    adaptive("classes", layout=32, arguments=b"\1", payload=ADAPTED_CLASSES),
]


ONES = codebook(b"\1", 1, BOOL, BOOL)
# Of shape (3, 7), with four entries, and gaps of two bits.
_MASK = part(SPARSE, params=varint(4) + b"\1" + (2 << 12).to_bytes(2, "little"), payload=b"\xa6")
_BYTES = b"".join(part(payload=bytes([16 * k + n for n in range(4)])) for k in range(1, 5))
_PLANES = part(PLANES, params=b"\b" * 4 + _BYTES)
_MAIN = part(DENSE, params=b"\0\0", payload=bytes([0b11001001]))
RECORDS["escape"] = [
    record("mask", ESCAPE, (3, 7), dtype=F32, params=varint(8) + _MASK + _PLANES),
    record("raw", ESCAPE, (6,), dtype=F16, params=varint(4) + part(payload=b"\0\1\0\0\1\0") + part(payload=b"abcd")),
    record("main", ESCAPE, (4,), dtype=F32, params=varint(3) + floats(0.25) + _MAIN + part(payload=b"efgh")),
    record(
        "behind",
        ESCAPE,
        (300,),
        dtype=U16,
        params=varint(400) + part(payload=b"\1\1\0" * 100) + part(payload=b"ij" * 200),
        payload=b"\1\1\0" * 100 + b"ij" * 200,
    ),
]


def parts(kind: str) -> tuple[bytes, list[bytes]]:
    """The index of a valid file and the payloads behind it."""
    records = RECORDS[kind]
    body = index(records, [BOOK, ONES], [("license", "CC0"), ("made by", "hand")])
    return body, [r.payload for r in records if r.payload]


def valid(kind: str) -> bytes:
    body, payloads = parts(kind)
    return refit(body, payloads, payloads)
