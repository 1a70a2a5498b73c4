"""Rows of the gallery of hostile files: levels and scales."""

from __future__ import annotations

from craft import BF16, C64, F16, F32, F64, I64, PLANES, SCALED, U8, file_, part, record, varint
from gallery_files import Row

from swsfmt import ChecksumError, IndexRuleError, UnknownCodingError

LEVELS = part(payload=b"\1\2\3\4")
SCALE = part(payload=b"\0\0\x80\x3f")
WHOLE, ROWS = b"\0\0", b"\1\0"
TWO = part(payload=b"\0\0\x80\x3f" * 2)


def scaled(*params: bytes, shape: tuple[int, ...] = (2, 2), dtype: int = F32, payload: bytes = b"") -> bytes:
    """A file of one tensor with these parameters, and a raw one behind it."""
    return file_(
        record("a", SCALED, shape, dtype=dtype, params=b"".join(params), payload=payload),
        record("b", shape=(1,), dtype=U8, payload=b"z"),
    )


def deep(levels: int) -> bytes:
    """Scales that have scales that have scales."""
    own = SCALE
    for _ in range(levels):
        own = part(SCALED, params=b"\0" + WHOLE + part(payload=b"\1") + own)
    return scaled(b"\0", WHOLE, LEVELS, own)


SCALED_ROWS: list[Row] = [
    ("no form", file_(record("a", SCALED, (2, 2), dtype=F32)), IndexRuleError, "form"),
    *[(f"reserved bit {k}", scaled(bytes([1 << k]), WHOLE, LEVELS, SCALE), IndexRuleError, "") for k in range(4, 8)],
    ("shift 3", scaled(b"\6", WHOLE, LEVELS, SCALE), IndexRuleError, "form"),
    ("each operation in F32", scaled(b"\x08", WHOLE, LEVELS, SCALE), IndexRuleError, "anyway"),
    ("each operation in F64", scaled(b"\x08", WHOLE, LEVELS, SCALE, dtype=F64), IndexRuleError, "anyway"),
    ("levels of U8 tensors", scaled(b"\0", WHOLE, LEVELS, SCALE, dtype=U8), IndexRuleError, "U8 has no scales"),
    ("levels of C64", scaled(b"\0", WHOLE, LEVELS, SCALE, dtype=C64), IndexRuleError, "C64 has no scales"),
    ("without elements", scaled(b"\0", WHOLE, part(), SCALE, shape=(0, 2)), IndexRuleError, "raw"),
    ("no scale", file_(record("a", SCALED, (2, 2), dtype=F32, params=b"\0" + WHOLE + LEVELS)), IndexRuleError, "head"),
    ("no second scale", scaled(b"\1", WHOLE, LEVELS, SCALE), IndexRuleError, ""),
    ("no zero", scaled(b"\2", WHOLE, LEVELS, SCALE), IndexRuleError, ""),
    ("a scale too many", scaled(b"\0", WHOLE, LEVELS, SCALE, WHOLE, SCALE), IndexRuleError, ""),
    ("a block as long as the dimension", scaled(b"\0", b"\1\2", LEVELS, TWO), IndexRuleError, "must be 0"),
    ("a block longer than the dimension", scaled(b"\0", b"\1\3", LEVELS, TWO), IndexRuleError, "must be 0"),
    ("a block of 1 of 1", scaled(b"\0", ROWS, LEVELS, SCALE, shape=(1, 4)), IndexRuleError, "must be 0"),
    (
        "a block of 2 to the 62",
        scaled(b"\0", b"\1" + varint(1 << 62), LEVELS, TWO),
        IndexRuleError,
        "must be 0",
    ),
    ("a block in a long varint", scaled(b"\0", b"\x81\0\0", LEVELS, TWO), IndexRuleError, "shortest"),
    (
        "the usual dtype of levels written",
        scaled(b"\0", WHOLE, part(dtype=2, payload=b"\1\2\3\4")),
        IndexRuleError,
        "usual",
    ),
    ("the usual dtype of a scale written", scaled(b"\0", WHOLE, LEVELS, part(dtype=F32)), IndexRuleError, "usual"),
    ("levels of I64", scaled(b"\0", WHOLE, part(dtype=I64, payload=bytes(32)), SCALE), IndexRuleError, "I64"),
    ("levels of BOOL", scaled(b"\0", WHOLE, part(dtype=0, payload=bytes(4)), SCALE), IndexRuleError, "BOOL"),
    ("a scale of F64 to F32", scaled(b"\0", WHOLE, LEVELS, part(dtype=F64, payload=bytes(8))), IndexRuleError, "F64"),
    ("a scale of C64", scaled(b"\0", WHOLE, LEVELS, part(dtype=C64, payload=bytes(8))), IndexRuleError, "C64"),
    ("a scale of F4_X2", scaled(b"\0", WHOLE, LEVELS, part(dtype=21, payload=b"\0")), IndexRuleError, "F4_X2"),
    ("a dtype that is not known", scaled(b"\0", WHOLE, LEVELS, part(dtype=99, payload=b"\0")), IndexRuleError, "99"),
    ("too few scales", scaled(b"\0", ROWS, LEVELS, SCALE), IndexRuleError, ""),
    ("too many scales", scaled(b"\0", WHOLE, LEVELS, TWO), IndexRuleError, ""),
    ("scales of one field", scaled(b"\0", WHOLE, part(PLANES, dtype=U8, params=b"\b"), SCALE), IndexRuleError, "one"),
    ("scales too deep", deep(4), IndexRuleError, "deep"),
    ("an unknown coding of a scale", scaled(b"\0", WHOLE, LEVELS, part(13, payload=b"?")), UnknownCodingError, "13"),
    (
        "an unknown coding and dtype of levels",
        scaled(b"\0", WHOLE, part(13, payload=b"?", dtype=200), SCALE, dtype=BF16),
        UnknownCodingError,
        "13",
    ),
    (
        "a scale damaged",
        scaled(
            b"\0", b"\1", part(payload=bytes(300)), part(dtype=F16, payload=bytes(600)),
            shape=(300,), payload=bytes(899) + b"\1",
        ),
        ChecksumError,
        "payload",
    ),
]  # fmt: skip
