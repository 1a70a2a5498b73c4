"""The layers of the package: no module imports one above it, and torch stays out of all but its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import swsfmt

ROOT = Path(swsfmt.__file__).resolve().parent

# From the top to the bottom; a module imports from its own layer and from those below.
LAYERS = [
    ("swsfmt",),
    ("checkpoints",),
    ("torch", "numpy", "safe_open"),
    ("read", "write"),
    ("codings", "format"),
    ("entropy", "tensor"),
    ("dtypes", "limits", "parallel", "errors", "_version"),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))


def dotted(path: Path) -> list[str]:
    parts = list(path.relative_to(ROOT.parent).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(path: Path) -> list[str]:
    """Full names of the modules and names that a module imports, wherever in it."""
    own = dotted(path)
    package = own if path.name == "__init__.py" else own[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = [*start, *(node.module or "").split(".")] if node.module else start
            found += [".".join([*base, alias.name]) for alias in node.names]
    return found


def layer(name: str) -> str:
    """`codings` for `swsfmt.codings.sparse`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK else "swsfmt"


ids = [".".join(dotted(path)) for path in MODULES]


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_no_module_imports_upwards(path: Path) -> None:
    own = layer(".".join(dotted(path)))
    for name in imports(path):
        if name.split(".")[0] == "swsfmt":
            assert RANK[layer(name)] >= RANK[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_the_library_does_not_know_the_programs(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"sws", "cli", "click", "rich"}
    assert "safetensors" not in roots or path.parent == ROOT / "checkpoints"


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_only_the_modules_for_torch_import_torch(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert ("torch" in roots) == (path in (ROOT / "torch.py", ROOT / "checkpoints" / "pytorch.py"))


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_nothing_runs_what_a_file_holds(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"pickle", "marshal", "shelve", "subprocess", "socket", "urllib"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}


def test_other_peoples_files_are_imported_when_asked_for() -> None:
    code = "import sys, swsfmt; print('swsfmt.checkpoints' in sys.modules); import swsfmt.checkpoints"
    code += "; print([name for name in ('torch', 'safetensors', 'swsfmt.torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n[]\n"


def test_every_module_has_a_layer() -> None:
    tops = {dotted(path)[1] if len(dotted(path)) > 1 else "swsfmt" for path in MODULES}
    assert tops == set(RANK)


def test_public_names_exist() -> None:
    assert all(hasattr(swsfmt, name) for name in swsfmt.__all__)
    assert len(set(swsfmt.__all__)) == len(swsfmt.__all__)
