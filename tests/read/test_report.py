"""The report accounts for every byte, and says what the papers' formulas say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from craft import ALIAS, BOOK, dense, file_, floats, no_entries, record, sparse

import swsfmt
from swsfmt import UnknownCodingError
from swsfmt.format.sections import Section

VALUES = np.array([-1, -0.5, 0.25, 0.5, 2], np.float32)


def layers(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def thin(shape: tuple[int, ...], density: float) -> np.ndarray:
        array = VALUES[rng.integers(0, 5, shape)]
        array[rng.random(shape) >= density] = 0
        return array

    weight = thin((60, 90), 0.1)
    return {
        "conv": thin((6, 5, 3, 3), 0.2),
        "fc": weight,
        "large": thin((300, 400), 0.4),
        "dense": thin((50, 50), 1.0),
        "tied": weight,
        "half": rng.normal(size=100).astype(np.float16).astype(np.float32),
        "bias": rng.normal(size=60).astype(np.float32),
        "wide": rng.normal(size=9) + 1j,
        "zeros": np.zeros((8, 8), np.float32),
        "empty": np.zeros((0, 3)),
        "steps": np.array(7),
    }


def gap_symbols(array: np.ndarray, pbits: int, scan: str | None, live: bool) -> int:
    """Gaps and skips, counted one position after the other."""
    matrix = array.reshape(array.shape[0], -1)
    if live:
        matrix = matrix[matrix.any(axis=1)][:, matrix.any(axis=0)]
    flat = (matrix if scan == "rows" else matrix.T).reshape(-1)
    gaps = np.diff(np.flatnonzero(flat), prepend=-1) - 1
    return int((gaps // ((1 << pbits) - 1) + 1).sum())


@pytest.mark.parametrize("scan", ["rows", "columns"])
@pytest.mark.parametrize("pbits", [1, 2, 3, 5, 8, 12])
def test_fixed_width_indices_take_what_the_formula_says(pbits: int, scan: str) -> None:
    arrays = layers()
    report = swsfmt.inspect(swsfmt.save(arrays, pbits=pbits, huffman=False, scan=scan, compact="off"))
    seen = 0
    for tensor in report.tensors:
        if tensor.gaps is None:
            continue
        seen += 1
        assert tensor.section_bits["column_indices"] == pbits * tensor.gaps
        assert tensor.section_bits["code_tables"] == 0
        if not tensor.sections["row_ends"]:
            assert tensor.gaps == gap_symbols(arrays[tensor.name], pbits, scan, live=False)
        nonzero = np.count_nonzero(arrays[tensor.name])
        assert tensor.nonzero == nonzero
        # Five values, or fewer where the tensors share no more.
        assert tensor.section_bits["values"] // nonzero in (2, 3)
    assert seen


def test_five_bits_as_in_the_paper() -> None:
    report = swsfmt.inspect(swsfmt.save(layers(), pbits=5, huffman=False))
    gapped = [tensor for tensor in report.tensors if tensor.gaps]
    assert {"conv", "fc"} <= {tensor.name for tensor in gapped}
    for tensor in gapped:
        assert tensor.pbits == 5
        assert tensor.section_bits["column_indices"] == 5 * tensor.gaps


@pytest.mark.parametrize("options", [{}, {"huffman": False}, {"pbits": 4}, {"compact": "off"}], ids=str)
def test_sums(options: dict[str, Any]) -> None:
    arrays = layers()
    data = swsfmt.save(arrays, {"license": "CC0"}, **options)
    report = swsfmt.verify(data)
    assert report == swsfmt.inspect(data)
    assert report.file_bytes == len(data) == sum(report.sections.values())
    assert set(report.sections) == set(Section.all())
    assert report.dense_bytes == sum(a.nbytes for name, a in arrays.items() if name != "tied")
    assert report.ratio == report.dense_bytes / len(data)
    assert [tensor.name for tensor in report.tensors] == list(arrays)
    for tensor in report.tensors:
        array = arrays[tensor.name]
        assert sum(tensor.sections.values()) == tensor.file_bytes
        assert abs(sum(tensor.section_bits.values()) - 8 * tensor.file_bytes) < 16
        assert tensor.shape == list(array.shape)
        assert tensor.numel == array.size
        if tensor.alias_of is None:
            assert tensor.dense_bytes == array.nbytes
            assert tensor.nonzero == np.count_nonzero(array)
            assert tensor.ratio == tensor.dense_bytes / tensor.file_bytes
            assert tensor.sparsity == (1 - tensor.nonzero / array.size if array.size else None)
        else:
            assert (tensor.alias_of, tensor.dense_bytes, tensor.ratio) == ("fc", 0, None)
    whole = report.file_bytes - sum(tensor.file_bytes for tensor in report.tensors)
    assert whole >= report.sections["codebooks"] + 8 + 2 + 4


def test_negative_zero_is_not_zero() -> None:
    """`nonzero` counts elements that have a bit set."""
    tensor = swsfmt.inspect(swsfmt.save({"a": np.array([0.0, -0.0, 1.0])})).tensors[0]
    assert tensor.nonzero == 2


def test_sections_of_a_file_by_hand() -> None:
    data = file_(
        sparse(
            "s",
            ends=1,
            rows=1,
            gap=1,
            value=0,
            widths=b"\4",
            packed="111" + "0 0100 0000",
            stream="0100 0000 0100" + "10 01 00 01" + "00 00 01 00",
        ),
        dense("d"),
        no_entries("z"),
        record("r", shape=(3,), payload=floats(1, 2, 3)),
        record("t", ALIAS, params=b"\1"),
        codebooks=[BOOK],
    )
    report = swsfmt.verify(data)
    bits = {t.name: {k: v for k, v in t.section_bits.items() if v and k != "header_and_index"} for t in report.tensors}
    assert bits == {
        # 28 payload bits and four of padding, which count with the values; 8 bits of line width.
        "s": {"row_bitmaps": 3, "code_tables": 9, "row_ends": 8 + 12, "column_indices": 8, "values": 8 + 4},
        "d": {"values": 16},
        "z": {},
        "r": {"raw": 96},
        "t": {},
    }
    assert report.sections["codebooks"] == 3 + 6
    assert report.tensors[0].gaps == 4
    assert [t.coding for t in report.tensors] == ["sparse", "dense", "sparse", "raw", "alias"]


def test_empty_file() -> None:
    report = swsfmt.verify(swsfmt.save({}))
    assert (report.file_bytes, report.dense_bytes, report.ratio, report.tensors) == (18, 0, 0, [])
    assert report.sections["header_and_index"] == 18


def test_unknown_coding_is_listed_but_not_verified() -> None:
    data = file_(record("new", 13, (2, 3), params=b"abc", payload=b"d" * 300), record("a", payload=floats(1)))
    report = swsfmt.inspect(data)
    assert sum(report.sections.values()) == len(data)
    assert report.tensors[0].coding == "unknown (13)"
    assert report.tensors[0].nonzero is None
    assert report.tensors[0].sections["raw"] == 300
    with pytest.raises(UnknownCodingError):
        swsfmt.verify(data)


def test_json() -> None:
    report = swsfmt.verify(swsfmt.save(layers(), {"a": "b"}))
    out = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert out["file_bytes"] == report.file_bytes
    assert out["sections"] == report.sections
    assert out["metadata"] == {"a": "b"}
    for entry, tensor in zip(out["tensors"], report.tensors, strict=True):
        assert (entry["ratio"], entry["sparsity"]) == (tensor.ratio, tensor.sparsity)
