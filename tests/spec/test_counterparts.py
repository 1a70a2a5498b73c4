"""What the gallery of hostile files is made of is valid, so that each of these breaks one rule only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from craft import (
    ALIAS,
    BOOL,
    F16,
    F32,
    I16,
    NARROW,
    ONLY0_OF3,
    ONLY0_OF4,
    ONLY1_OF4,
    TABLE4,
    adaptive,
    codebook,
    dense,
    field,
    file_,
    floats,
    gamma,
    halves,
    no_entries,
    record,
    sparse,
)
from gallery_files import ONE, SMALL, bitmaps, books, chunked_dense, chunked_sparse, gap_bits, line_ends, table

import swsfmt

pytestmark = pytest.mark.usefixtures("each_kernel")

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
