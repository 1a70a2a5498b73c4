"""Files that break a rule of the specification, one rule each: the rows of `helpers/gallery_*.py`.

Every one must be refused by the error that its fault has, in one line, in bounded memory.
"""

from __future__ import annotations

import pytest
from craft import F32, SIGNATURE, dense, fields, file_, floats, record
from gallery_adaptive import ADAPTIVE_ROWS
from gallery_classes import CLASSES_ROWS
from gallery_dense import DENSE_ROWS, TABLE_ROWS
from gallery_escape import ESCAPE_ROWS
from gallery_files import ONE, SMALL, books
from gallery_index import FILE_ROWS, INDEX_ROWS, RECORD_ROWS
from gallery_parts import PART_ROWS
from gallery_scaled import SCALED_ROWS
from gallery_sparse import BITMAP_ROWS, SPARSE_ROWS
from refused import refused

import swsfmt
from swsfmt import PayloadError, SwsError, UnknownCodingError

pytestmark = pytest.mark.usefixtures("each_kernel")

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
        "part": PART_ROWS,
        "scaled": SCALED_ROWS,
        "escape": ESCAPE_ROWS,
        "classes": CLASSES_ROWS,
    }.items()
    for row in rows
]


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
