"""The public interface as mypy sees it: what is documented type-checks, what is wrong does not."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is not installed")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def check(path: Path) -> tuple[list[str], int]:
    """Lines of output and exit status of mypy --strict, with a cache that the tests share."""
    os.environ["MYPYPATH"] = str(ROOT)
    arguments = [
        "--strict",
        "--python-executable",
        sys.executable,
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
        "--config-file",
    ]
    output, errors, status = api.run([*arguments, str(ROOT / "pyproject.toml"), str(path)])
    assert not errors
    return output.splitlines(), status


def test_every_documented_argument() -> None:
    lines, status = check(HERE / "program.py")
    assert status == 0, "\n".join(lines)


WRONG = [
    ('swsfmt.save({}, profile="tiny")', "arg-type"),
    ("swsfmt.save({}, pbit=5)", "call-arg"),
    ('swsfmt.save({}, scan="diagonal")', "arg-type"),
    ('swsfmt.load("file")', "arg-type"),
    ('swsfmt.safe_open("file", "np", "cuda")', "arg-type|call-overload"),
    ('x: str = swsfmt.safe_open("file").get_tensor("a")', "assignment"),
    ('swsfmt.checkpoints.convert("a", "b", profile=3)', "arg-type"),
]


def test_what_is_wrong(tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text("import swsfmt\nimport swsfmt.checkpoints\n" + "".join(f"{line}\n" for line, _ in WRONG))
    lines, status = check(program)
    assert status == 1
    for number, (line, code) in enumerate(WRONG, 3):
        complaints = [text for text in lines if f"wrong.py:{number}: error" in text]
        assert complaints, f"{line} is accepted"
        assert any(re.search(rf"\[({code})\]", text) for text in complaints), complaints


@pytest.mark.parametrize("package", ["swsfmt", "sws"])
def test_packages_say_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
