"""Large tensors are worked on block by block: where the blocks end makes no difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.codings import dense
from swsfmt.codings.base import Freedom
from swsfmt.codings.sparse import analysis as sparse_analysis
from swsfmt.codings.sparse import compact_matrix, decode, positions
from swsfmt.codings.sparse import entries as sparse_entries
from swsfmt.codings.sparse.analysis import analyse
from swsfmt.codings.sparse.entries import read_entries
from swsfmt.entropy import kernels
from swsfmt.read.reader import Reader

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
    for module in (dense, decode, positions, sparse_analysis, sparse_entries):
        monkeypatch.setattr(module, "_BLOCK", size)
    monkeypatch.setattr(sparse_entries, "_STRIP", 7)
    monkeypatch.setattr(sparse_entries, "_FEW", 3)
    monkeypatch.setattr(sparse_entries, "_ENTRIES", size)
    monkeypatch.setattr(sparse_analysis, "_COLUMNS", 9)


@pytest.mark.parametrize("size", [1000, 1 << 14])
def test_blocks(case: tuple[np.ndarray[Any, Any], str], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    array, scan = case
    data = swsfmt.save({"a": array}, scan=scan, threads=1, profile="fast")
    assert swsfmt.verify(data).tensors[0].coding == ("dense" if array.all() else "sparse")
    small_blocks(monkeypatch, size)
    for threads in (1, 3):
        assert swsfmt.save({"a": array}, scan=scan, threads=threads, profile="fast") == data
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


@pytest.mark.parametrize("entries", [4000, 40_000])
@pytest.mark.parametrize("dead", [(), (0,), (1,), (0, 1)], ids=str)
def test_gaps_of_every_geometry(dead: tuple[int, ...], entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted without the entries being put in order; here they are. Above 32768 there are no line ends."""
    random = np.random.default_rng(entries)
    symbols = np.zeros((300, 200), np.uint16)
    symbols.flat[random.permutation(symbols.size)[:entries]] = 3
    for axis in dead:
        np.moveaxis(symbols, axis, 0)[[0, 7, 50, 51, -1]] = 0
    counts = np.bincount(symbols.ravel(), minlength=5)
    small_blocks(monkeypatch, 700)
    # Longer gaps are listed, not counted.
    monkeypatch.setattr(kernels, "COUNTABLE", 5)
    geometries = analyse(symbols, counts, Freedom(), threads=2).geometries
    forms = [(g.matrix.live_rows is None, g.matrix.live_columns is None, g.scan, g.line_width > 0) for g in geometries]
    assert len(set(forms)) == len(forms) == 2 ** len(dead) * 2 * (2 if entries == 4000 else 1)
    for g in geometries:
        blocks = read_entries(symbols, g.matrix, g.scan, g.line_width > 0)
        gaps, times = np.unique(np.concatenate([block.gaps for block in blocks]), return_counts=True)
        assert g.gaps.lengths.tolist() == gaps.tolist()
        assert g.gaps.counts.tolist() == times.tolist()


@pytest.mark.parametrize("entries", [1, 400, 40_000, 60_000])
@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
def test_gaps_of_every_geometry_of_a_vector(
    shape: tuple[int, int], entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is looked through once: along it, across it with line ends, and without its dead places."""
    random = np.random.default_rng(entries)
    symbols = np.zeros(60_000, np.uint16)
    symbols[random.permutation(symbols.size)[:entries]] = 3
    symbols = symbols.reshape(shape)
    small_blocks(monkeypatch, 700)
    monkeypatch.setattr(kernels, "COUNTABLE", 5)
    geometries = analyse(symbols, np.bincount(symbols.ravel(), minlength=5), Freedom(), threads=2).geometries
    assert len(geometries) == (1 if entries == 60_000 else 2) + (0 if entries > 32768 else 1)
    for g in geometries:
        blocks = list(read_entries(symbols, g.matrix, g.scan, g.line_width > 0))
        gaps, times = np.unique(np.concatenate([block.gaps for block in blocks]), return_counts=True)
        assert g.gaps.lengths.tolist() == gaps.tolist()
        assert g.gaps.counts.tolist() == times.tolist()
        if g.line_width:
            most = np.count_nonzero(symbols, axis=1 - g.scan).max()
            assert g.line_width == int(most).bit_length()


@pytest.mark.parametrize("scan", [0, 1])
def test_live_lines_are_found_in_parts_of_their_bitmaps(scan: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact_matrix, "_SELECT", 8)
    random = np.random.default_rng(scan)
    rows, columns = random.random(61) < 0.4, random.random(90) < 0.7
    matrix = compact_matrix.CompactMatrix(61, 90, rows, columns)
    elements = np.arange(61 * 90).reshape(61, 90)[rows][:, columns]
    wanted = (elements.T if scan else elements).ravel()
    for first, last in ((0, 0), (0, matrix.size), (70, 71), (500, 900), (matrix.size - 1, matrix.size)):
        assert np.array_equal(matrix.flat_indices(np.arange(first, last), scan), wanted[first:last])
