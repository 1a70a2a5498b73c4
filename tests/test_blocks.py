"""Large tensors are worked on block by block: where the blocks end makes no difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.codings import dense, sparse, sparse_entries
from swsfmt.reader import Reader

pytestmark = pytest.mark.usefixtures("each_kernel")

ROWS, COLUMNS = 600, 500


def matrix(dtype: str, density: float) -> np.ndarray[Any, Any]:
    """More than 32768 entries, so that there are chunks; of few values, so that a codebook pays."""
    random = np.random.default_rng(5)
    found = random.integers(1, 9, (ROWS, COLUMNS)) * (random.random((ROWS, COLUMNS)) < density)
    return found.astype(dtype)


MATRICES = {
    f"{dtype} {density:.0%} {scan}": (matrix(dtype, density), scan)
    for dtype in ("u1", "f4", "f8")
    for density, scan in ((1, "auto"), (0.2, "rows"), (0.2, "columns"))
}


@pytest.fixture(params=MATRICES)
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray[Any, Any], str]:
    return MATRICES[request.param]


def small_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (dense, sparse, sparse_entries):
        monkeypatch.setattr(module, "_BLOCK", size)
    monkeypatch.setattr(sparse_entries, "_STRIP", 7)


@pytest.mark.parametrize("size", [1000, 1 << 14])
def test_blocks(case: tuple[np.ndarray[Any, Any], str], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    array, scan = case
    data = swsfmt.save({"a": array}, scan=scan, threads=1)
    assert swsfmt.verify(data).tensors[0].coding == ("dense" if array.all() else "sparse")
    small_blocks(monkeypatch, size)
    assert swsfmt.save({"a": array}, scan=scan, threads=1) == data
    found = swsfmt.load(data)["a"]
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("line_ends", [False, True])
def test_a_tensor_without_chunks(line_ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    if line_ends:
        # A few at the start of each line: their gaps are all zero where every line starts anew.
        array = 2.0 * (np.arange(70) < random.integers(0, 8, (300, 1)))
    else:
        array = 2.0 * (random.random((300, 70)) < 0.05)
    data = swsfmt.save({"a": array}, scan="rows", compact="off")
    with Reader.open(data) as reader:
        coded = reader.records[0].params.coded
    assert (coded.line_ends, coded.chunks.code) == (line_ends, 0)
    small_blocks(monkeypatch, 11)
    assert swsfmt.save({"a": array}, scan="rows", compact="off") == data
    assert np.array_equal(swsfmt.load(data)["a"], array)
