"""The reader in JavaScript (`readers/js`): every vector, and files of the writer, whole and as a stream."""

from __future__ import annotations

import re
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


def test_types_are_those_of_the_module() -> None:
    """Each export is declared, and each kind of error and coding; `npm run types` compiles a use of them."""
    module, types = ((JS / name).read_text(encoding="utf-8") for name in ("sws.js", "sws.d.ts"))
    exported = set(re.findall(r"^export (?:const|class|async function\*|function) (\w+)", module, re.M))
    assert exported == set(re.findall(r"^export declare (?:class|function) (\w+)", types, re.M))
    (codings,) = re.findall(r"^const CODINGS = \[(.*)\];", module, re.M)
    (declared,) = re.findall(r"^  coding: (.*) \| number;", types, re.M)
    assert set(re.findall(r'"(\w+)"', declared)) == set(re.findall(r'"(\w+)"', codings)) - {"alias"}
    (kinds,) = re.findall(r"^export type Kind =\n(.*);", types, re.M)
    assert all(f'"{kind}"' in module for kind in re.findall(r'"([\w-]+)"', kinds))
