"""The command works in a checkout that is not installed: `python -m sws`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import swsfmt

ROOT = Path(__file__).resolve().parents[2]

# What an editable installation adds to find the packages is taken away; all others are there.
PROGRAM = """
import runpy, sys
sys.meta_path = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]
sys.path.insert(0, "")
{}
"""


def in_checkout(program: str, folder: Path = ROOT) -> str:
    command = [sys.executable, "-c", PROGRAM.format(program)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command() -> None:
    out = in_checkout("sys.argv[1:] = ['--version']; runpy.run_module('sws', run_name='__main__')")
    assert out.startswith(f"sws {swsfmt.__version__}")


def test_the_recipes() -> None:
    names = in_checkout("import sws.recipe; print(*sws.recipe.names())").split()
    assert {"digits", "records/lenet5"} <= set(names)


def test_the_command_comes_from_the_checkout() -> None:
    file = in_checkout("import sws.cli; print(sws.cli.__file__)").strip()
    assert Path(file) == ROOT / "cli" / "__init__.py"


def test_nothing_else_of_the_checkout_is_a_part_of_the_package() -> None:
    others = sorted({path.stem for path in ROOT.iterdir() if path.stem.isidentifier()} - {"cli", "recipes"})
    assert {"tests", "setup", "swsfmt"} <= set(others)
    program = f"import sws, importlib.util as u; print([n for n in {others} if u.find_spec('sws.' + n)])"
    assert in_checkout(program).strip() == "[]"
