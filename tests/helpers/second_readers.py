"""What readers of `readers/` must say: a line of JSON for each file, checked against the manifests of vectors."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import swsfmt.numpy

ROOT = Path(__file__).resolve().parent.parent.parent
VECTORS = ROOT / "spec" / "vectors"
FILE_ERRORS = {
    "IndexRuleError": "index",
    "TruncatedError": "truncated",
    "NotSwsError": "not-sws",
    "VersionError": "version",
    "LimitError": "limit",
}
TENSOR_ERRORS = {"PayloadError": "payload", "UnknownCodingError": "unknown-coding"}
INDEX_CHECKSUMS = {"file-index-length-too-short", "file-index-crc", "file-index-crc-big-endian", "file-index-damaged"}


def manifest(kind: str) -> dict[str, Any]:
    return json.loads((VECTORS / kind / "manifest.json").read_text(encoding="utf-8"))


def lines(command: list[str], paths: list[Path]) -> Iterator[dict[str, Any]]:
    """The lines that a reader prints for files, one process for all of them."""
    result = subprocess.run([*command, *map(str, paths)], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    out = result.stdout.decode().splitlines()
    assert len(out) == len(paths)
    yield from map(json.loads, out)


def complaints(said: dict[str, Any]) -> set[str]:
    """What the two ways in which a reader reads a tensor differ in."""
    return {said.get(key) for key in ("rows", "stream")} - {None, said.get("error")}


def check_valid(said: dict[str, Any], expected: dict[str, Any]) -> None:
    assert "error" not in said, said["error"]
    assert said["metadata"] == expected["metadata"]
    assert [t["name"] for t in said["tensors"]] == [t["name"] for t in expected["tensors"]]
    assert not complaints(said)
    for got, tensor in zip(said["tensors"], expected["tensors"], strict=True):
        assert not complaints(got), tensor["name"]
        if "alias_of" in tensor:
            alias = got["alias"]
            assert (said["tensors"][alias]["name"] if isinstance(alias, int) else alias) == tensor["alias_of"]
        elif tensor.get("unknown"):
            assert got["error"] == "unknown-coding"
        else:
            assert "error" not in got, (tensor["name"], got["error"])
            assert (got["dtype"], got["shape"]) == (tensor["dtype"], tensor["shape"])
            if "hex" in tensor:
                assert got["hex"] == tensor["hex"], tensor["name"]
            else:
                assert hashlib.sha256(bytes.fromhex(got["hex"])).hexdigest() == tensor["sha256"], tensor["name"]


def check_invalid(file: str, said: dict[str, Any], error: str) -> None:
    """Whether the file is refused, or a tensor of it and not the file, and for the reason that the manifest gives."""
    assert not complaints(said), file
    if error in FILE_ERRORS or file.removesuffix(".sws") in INDEX_CHECKSUMS:
        assert said.get("error") == FILE_ERRORS.get(error, "checksum"), file
        return
    assert "error" not in said, (file, said.get("error"))
    errors = {t["error"] for t in said["tensors"] if "error" in t}
    assert errors == {TENSOR_ERRORS.get(error, "checksum")}, file
    assert not any(complaints(t) for t in said["tensors"]), file


def written(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Files of the writer, larger than vectors, one for each profile; and what is in them, as in a manifest."""
    random = np.random.default_rng(0)
    levels = np.rint(random.laplace(size=(150, 260)) * random.uniform(0.5, 4, size=(150, 1))).astype(np.float32)
    scales = random.uniform(0.01, 0.1, size=(150, 1)).astype(np.float32)
    floats = random.normal(size=(60, 90)).astype(np.float32)
    tensors = {
        "grid": levels / 8,
        "rows with a scale": np.clip(levels * 7, -127, 127) * scales,
        "rows with a scale, float64": (np.clip(levels * 7, -127, 127) * scales).astype(np.float64),
        "sparse": np.where(random.random(levels.shape) < 0.95, 0, np.clip(levels, -3, 3)).astype(np.float32),
        "columns": np.where(random.random((260, 150)) < 0.9, 0, np.clip(levels.T, -9, 9)).astype(np.float16),
        "floats": floats,
        "halves": floats.astype(np.float16),
        "pruned": np.where(np.abs(floats) < 1.5, 0, floats),
        "ids": np.arange(5000, dtype=np.int64) * 7,
        "random": random.integers(0, 2**63, size=500, dtype=np.uint64),
    }
    tensors = {name: np.ascontiguousarray(array + array.dtype.type(0)) for name, array in tensors.items()}
    expected = {
        "metadata": {},
        "tensors": [
            {"name": name, "dtype": dtype(array), "shape": list(array.shape), "hex": array.tobytes().hex()}
            for name, array in tensors.items()
        ],
    }
    files = []
    for profile in ("fast", "default", "small"):
        path = folder / f"{profile}.sws"
        swsfmt.numpy.save_file(tensors, path, profile=profile)
        files.append((path, expected))
    return files


def dtype(array: np.ndarray[Any, Any]) -> str:
    kind = {"f": "F", "i": "I", "u": "U"}[array.dtype.kind]
    return f"{kind}{8 * array.dtype.itemsize}"


def check_all(command: list[str], folder: Path) -> None:
    """Every vector, valid and invalid, and files of the writer."""
    valid, invalid = manifest("valid"), manifest("invalid")
    for (file, expected), said in zip(
        valid.items(), lines(command, [VECTORS / "valid" / f for f in valid]), strict=True
    ):
        try:
            check_valid(said, expected)
        except AssertionError as error:
            raise AssertionError(file) from error
    for (file, refusal), said in zip(
        invalid.items(), lines(command, [VECTORS / "invalid" / f for f in invalid]), strict=True
    ):
        check_invalid(file, said, refusal["error"])
    files = written(folder)
    for (_, expected), said in zip(files, lines(command, [path for path, _ in files]), strict=True):
        check_valid(said, expected)
