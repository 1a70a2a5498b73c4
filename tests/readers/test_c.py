"""The reader in C: every vector, files of the writer, whole and row by row, with sanitizers; LeNet-5 in 40 kB."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from second_readers import ROOT, VECTORS, check_all, lines, manifest

C = ROOT / "readers" / "c"
CC = shutil.which("cc")
pytestmark = pytest.mark.skipif(CC is None, reason="there is no C compiler: it compiles the reader in C")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def compiled(folder: Path, *flags: str) -> str:
    target = folder / "tool"
    subprocess.run([str(CC), *WARNINGS, *flags, str(C / "tool.c"), "-o", str(target)], check=True)
    return str(target)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("c")
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    try:
        tool = compiled(folder, *flags)
        subprocess.run([tool, str(VECTORS / "valid" / "empty.sws")], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        return compiled(folder, "-O1")  # a compiler without sanitizers
    return tool


def test_vectors_and_files_of_the_writer(sanitized: str, tmp_path: Path) -> None:
    check_all([sanitized], tmp_path)


def test_without_the_table_for_large_machines(tmp_path: Path) -> None:
    tool = compiled(tmp_path, "-O2", "-DSWS_SMALL")
    names = [name for name in manifest("valid") if name.startswith("adaptive")]
    usual = compiled(tmp_path, "-O2")
    paths = [VECTORS / "valid" / name for name in names]
    for small, other in zip(lines([tool], paths), lines([usual], paths), strict=True):
        assert [t["hex"] for t in small["tensors"]] == [t["hex"] for t in other["tensors"]]


def test_lenet5_within_40_kb(sanitized: str) -> None:
    """Memory of the caller for index and decoder, and a row of the largest layer."""
    (said,) = lines([sanitized], [ROOT / "zoo" / "lenet5.sws"])
    for tensor in said["tensors"]:
        row = 4
        for dimension in tensor["shape"][1:]:
            row *= dimension
        assert said["memory"] + tensor["memory"] + row <= 40_000, tensor["name"]
