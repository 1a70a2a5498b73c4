"""`sws decode --max-shard-size`: several safetensors files and an index, which encode to the same file again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from command import fails, run
from sws.cli.options import Size

import swsfmt
from swsfmt import checkpoints

METADATA = {"format": "np", "note": "é"}


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    """Of 400, 100, 240, 1200, 0 and 80 bytes, in this order."""
    return {
        "a": np.arange(100, dtype=np.float32),
        "b": np.arange(100, dtype=np.uint8),
        "c": np.arange(30.0).reshape(5, 6),
        "large": np.arange(300, dtype=np.float32).reshape(3, 100),
        "empty": np.zeros((0, 2), np.float16),
        "z": np.arange(10),
    }


@pytest.fixture
def sws(tmp_path: Path) -> Path:
    swsfmt.save_file(arrays(), tmp_path / "net.sws", METADATA)
    return tmp_path / "net.sws"


def weight_map(index: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(index.read_text())["weight_map"]
    return found


def test_shards_in_a_folder(sws: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    result = run("decode", sws, "-o", folder, "--max-shard-size", "500")
    assert result.exit_code == 0, result.output
    assert "4 shards" in result.stdout
    index = folder / "model.safetensors.index.json"
    files = [f"model-0000{i}-of-00004.safetensors" for i in (1, 2, 3, 4)]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*files, index.name])
    # In order, full as far as whole tensors go; one that is larger than a shard is alone with what has no bytes.
    assert list(weight_map(index).items()) == [
        ("a", files[0]),
        ("b", files[0]),
        ("c", files[1]),
        ("large", files[2]),
        ("empty", files[3]),
        ("z", files[3]),
    ]
    assert json.loads(index.read_text())["metadata"] == {"total_size": 2020}
    for name, array in arrays().items():
        shard = folder / weight_map(index)[name]
        found = safetensors.numpy.load_file(shard)[name]
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)
        with safetensors.safe_open(shard, "np") as opened:
            assert opened.metadata() == METADATA


def test_they_encode_to_the_same_file(sws: Path, tmp_path: Path) -> None:
    assert run("decode", sws, "--max-shard-size", "500B").exit_code == 0
    index = tmp_path / "net.safetensors.index.json"
    assert set(weight_map(index).values()) == {f"net-0000{i}-of-00004.safetensors" for i in (1, 2, 3, 4)}
    assert run("encode", index, "-o", tmp_path / "again.sws").exit_code == 0
    assert (tmp_path / "again.sws").read_bytes() == sws.read_bytes()
    assert run("verify", sws, "--against", index).exit_code == 0


def test_one_shard_is_a_plain_file(sws: Path, tmp_path: Path) -> None:
    assert run("decode", sws, "--max-shard-size", "1KiB", "-o", tmp_path / "one.safetensors").exit_code == 0
    assert len(weight_map(tmp_path / "one.safetensors.index.json")) == 6
    assert run("decode", sws, "--max-shard-size", "2020", "-o", tmp_path / "all.safetensors").exit_code == 0
    assert not (tmp_path / "all.safetensors.index.json").exists()
    assert safetensors.numpy.load_file(tmp_path / "all.safetensors").keys() == arrays().keys()


def test_tied_tensors_are_in_each_shard_that_names_them(tmp_path: Path) -> None:
    array = np.arange(10)
    swsfmt.save_file({"a": array, "b": np.ones(3), "c": array}, tmp_path / "tied.sws")
    assert run("decode", tmp_path / "tied.sws", "--max-shard-size", "80").exit_code == 0
    files = weight_map(tmp_path / "tied.safetensors.index.json")
    assert len(set(files.values())) == 3
    assert np.array_equal(safetensors.numpy.load_file(tmp_path / files["c"])["c"], array)


def test_json(sws: Path, tmp_path: Path) -> None:
    result = run("decode", sws, "--max-shard-size", "500", "--json")
    told = json.loads(result.stdout)
    index = tmp_path / "net.safetensors.index.json"
    assert told["output"] == str(index)
    assert told["shards"] == [str(tmp_path / f"net-0000{i}-of-00004.safetensors") for i in (1, 2, 3, 4)]
    assert told["output_bytes"] == sum(Path(path).stat().st_size for path in [*told["shards"], index])
    assert told["dense_bytes"] == 2020


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("12B", 12),
        ("3K", 3000),
        ("3kB", 3000),
        ("3KiB", 3072),
        ("2 ", 2),
        ("5GB", 5 * 10**9),
        ("1TiB", 2**40),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert Size().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["many", "", "0", "-1", "3 MB", "1.5GB", "1e9", "5PB", "9" * 19])
def test_what_is_no_size(text: str, sws: Path) -> None:
    result = run("decode", sws, "--max-shard-size", text)
    assert result.exit_code == 2
    assert "is not a size such as 5GB" in result.stderr


@pytest.mark.parametrize("output", ["-", "model.pt", "model.PTH"])
def test_shards_are_safetensors(output: str, sws: Path) -> None:
    result = run("decode", sws, "-o", output, "--max-shard-size", "1GB")
    assert result.exit_code == 2
    assert "--max-shard-size is for safetensors" in result.stderr


def test_what_is_there_is_kept(sws: Path, tmp_path: Path) -> None:
    there = tmp_path / "net-00002-of-00004.safetensors"
    there.write_bytes(b"mine")
    assert "exists already" in fails("decode", sws, "--max-shard-size", "500")
    assert sorted(path.name for path in tmp_path.iterdir()) == [there.name, sws.name]
    assert there.read_bytes() == b"mine"
    assert run("decode", sws, "--max-shard-size", "500", "--force").exit_code == 0
    assert np.array_equal(safetensors.numpy.load_file(there)["c"], arrays()["c"])


def test_folder_that_is_not_there(sws: Path, tmp_path: Path) -> None:
    assert "does not exist" in fails("decode", sws, "-o", tmp_path / "out", "--max-shard-size", "500")


def test_nothing_is_left_of_a_failure(sws: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the first shards, which were fine."""
    assert run("decode", sws, "--max-shard-size", "500").exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    make = checkpoints.safetensors.pieces

    def broken(reader: Any, names: list[str], threads: int) -> Any:
        yield from make(reader, names, threads)
        if "large" in names:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.safetensors, "pieces", broken)
    assert "No space left" in fails("decode", sws, "--max-shard-size", "500", "--force")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
