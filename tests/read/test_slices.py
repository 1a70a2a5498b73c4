"""`get_slice(name)[...]`: the same as indexing the whole tensor, from the chunks that are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.entropy import kernels
from swsfmt.errors import PayloadError, SwsError
from swsfmt.read.reader import Reader

pytestmark = pytest.mark.usefixtures("each_kernel")

SHAPE = (400, 250)
INDICES: list[Any] = [
    0,
    -1,
    399,
    slice(None),
    slice(10, 20),
    slice(-5, None),
    slice(100, 100),
    slice(350, 10, -7),
    slice(0, 400, 3),
    slice(5, 9000),
    (7, slice(3, 30)),
    (slice(20, 60), 5),
    (slice(20, 60), ..., slice(None, None, 2)),
    (slice(None), slice(10, 12)),
    ...,
    np.array([3, 7, 1]),
]


def tensors() -> dict[str, np.ndarray]:
    """One of each coding, with and without chunks and dead lines."""
    rng = np.random.default_rng(0)
    values = rng.integers(1, 9, SHAPE).astype(np.float32)
    sparse = values * (rng.random(SHAPE) < 0.4)
    holes = sparse.copy()
    holes[::3] = 0
    holes[:, 100:130] = 0
    holes[200:230] = 0
    return {
        "raw": rng.normal(size=SHAPE).astype(np.float32),
        "narrow": rng.normal(size=SHAPE).astype(np.float16).astype(np.float32),
        "dense": rng.integers(0, 9, SHAPE).astype(np.float32),
        "sparse": sparse.astype(np.float32),
        "holes": holes.astype(np.float32),
        "small": (values * (rng.random(SHAPE) < 0.01)).astype(np.float32),
        "integers": rng.integers(0, 5, SHAPE).astype(np.int64),
        "cube": rng.integers(0, 5, (400, 20, 15)).astype(np.int8),
        "zeros": np.zeros(SHAPE, np.float32),
    }


@pytest.fixture(scope="module", params=["auto", "rows", "columns"])
def file(request: pytest.FixtureRequest) -> bytes:
    return swsfmt.save(tensors(), scan=request.param)


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_slice_is_that_of_the_whole_tensor(file: bytes, index: Any) -> None:
    with swsfmt.safe_open(file) as f:
        for name, array in tensors().items():
            part = f.get_slice(name)[index]
            np.testing.assert_array_equal(part, array[index])
            assert part.dtype == array.dtype


def test_rows_of_every_length(file: bytes) -> None:
    with Reader.open(file) as reader:
        for name in ("dense", "holes"):
            whole = tensors()[name]
            for first in range(0, 400, 23):
                for last in range(first, 401, 41):
                    part = reader.read_rows(name, first, last)
                    assert part.info.shape == (last - first, 250)
                    np.testing.assert_array_equal(part.bits, whole[first:last].view("<u4").reshape(-1))


def test_number_out_of_range(file: bytes) -> None:
    with swsfmt.safe_open(file) as f, pytest.raises(IndexError):
        f.get_slice("dense")[400]


def test_only_the_chunks_needed_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows of 250 lie in at most two chunks of 8192 symbols."""
    decoded = []
    original = kernels.decode_symbols

    def spy(bits: Any, position: int, count: int, code: Any) -> Any:
        decoded.append(count)
        return original(bits, position, count, code)

    data = swsfmt.save(tensors(), scan="rows", profile="fast")
    monkeypatch.setattr(kernels, "decode_symbols", spy)
    with swsfmt.safe_open(data) as f:
        for name in ("dense", "sparse"):
            f.get_slice(name)[200:210]
    # Symbols of a fixed width need no chunk table.
    with swsfmt.safe_open(swsfmt.save({"dense": tensors()["dense"]}, huffman=False)) as f:
        f.get_slice("dense")[200:210]
    assert len(decoded) == 3
    assert max(decoded) <= 2 * 8192


def test_a_tensor_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first rows are given out; the decoders of whole tensors are not needed again."""
    decoded = []
    for kernel in ("decode_dense", "decode_sparse"):
        original = getattr(kernels, kernel)
        monkeypatch.setattr(kernels, kernel, lambda *a, original=original: decoded.append(1) or original(*a))
    with swsfmt.safe_open(swsfmt.save(tensors(), scan="rows", profile="fast")) as f:
        for name in ("dense", "sparse"):
            f.get_slice(name)[200:210]
        assert len(decoded) >= 2
        decoded.clear()
        for name in ("dense", "sparse"):
            f.get_slice(name)[10:20]
    assert not decoded


def row_ranges(rows: int) -> list[tuple[int, int]]:
    edges = sorted({0, 1, 2, rows // 2, max(0, rows - 1), rows} & set(range(rows + 1)))
    return [(first, last) for first in edges for last in edges if first <= last]


INVALID = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "invalid"


@pytest.mark.parametrize("path", sorted(INVALID.glob("*.sws")), ids=lambda path: path.stem)
def test_no_rows_of_what_is_no_tensor(path: Path) -> None:
    """Every tensor of an invalid vector that a whole read refuses, by any rows, in any order."""
    try:
        names = swsfmt.safe_open(path).keys()
    except SwsError:
        return
    refused = 0
    for name in names:
        with Reader.open(path) as reader:
            try:
                reader.read(name)
                continue
            except SwsError as error:
                kind = type(error)
            refused += 1
            info = reader.record(name).info
            for first, last in row_ranges(info.shape[0]) if info is not None and info.shape else []:
                with pytest.raises(kind):
                    reader.read_rows(name, first, last)
        for index in (0, slice(0, 1), slice(-1, None), ...):
            with swsfmt.safe_open(path) as f, pytest.raises(kind):
                f.get_slice(name)[index]
    assert refused


@pytest.mark.parametrize("name", ["dense", "sparse", "adaptive"])
def test_a_fault_elsewhere_is_found_before_the_first_rows(name: str) -> None:
    """The last byte of a payload, and any rows, with the checksum mended."""
    array = tensors()["dense" if name == "dense" else "holes"]
    if name == "adaptive":
        array = array[:70, :90]
    options: Any = {"profile": "small"} if name == "adaptive" else {"scan": "rows", "profile": "fast"}
    with Reader.open(swsfmt.save({name: array}, **options)) as reader:
        record = reader.record(name)
        assert record.coding.name == name
        payload = bytearray(reader.payload(record))
        # Padding bits; and a zero that no adaptive code ends with.
        payload[-1] = 0 if name == "adaptive" else payload[-1] ^ 255
        reader.payload = lambda _: bytes(payload)  # type: ignore[method-assign]
        for first, last in ((0, 1), (1, len(array)), (2, 2)):
            with pytest.raises(PayloadError):
                reader.read_rows(name, first, last)


@pytest.mark.parametrize("name", ["dense", "sparse"])
def test_damaged_chunk_is_refused(name: str) -> None:
    """Without the CRC: a part that is read is checked, as the whole would be."""
    with Reader.open(swsfmt.save({name: tensors()[name]}, scan="rows")) as reader:
        record = reader.record(name)
        payload = bytearray(reader.payload(record))
        payload[2] ^= 255
        reader.payload = lambda _: bytes(payload)  # type: ignore[method-assign]
        with pytest.raises(PayloadError):
            reader.read_rows(name, 0, 400)
