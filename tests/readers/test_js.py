"""The reader in JavaScript (`readers/js`): every vector, and files of the writer, whole and as a stream."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from second_readers import ROOT, check_all

JS = ROOT / "readers" / "js"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed: it runs the reader in JavaScript")


def test_vectors_and_files_of_the_writer(tmp_path: Path) -> None:
    check_all([str(NODE), str(JS / "tool.js")], tmp_path)


@pytest.mark.parametrize("name", sorted(path.stem for path in JS.glob("tests/*.mjs")))
def test_behaviour(name: str) -> None:
    result = subprocess.run([str(NODE), str(JS / "tests" / f"{name}.mjs")], capture_output=True, check=False, text=True)
    assert result.returncode == 0, result.stderr
