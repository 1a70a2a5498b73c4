"""The house: no module imports one above it, none imports itself by way of others, and a load loads no planner."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import swsfmt

ROOT = Path(swsfmt.__file__).resolve().parent.parent

# From the top to the bottom; a module imports from its own layer and from those below.
LAYERS = [
    ("cli",),
    ("sws",),
    ("swsfmt",),
    ("swsfmt.hf",),
    ("swsfmt.nn",),
    ("swsfmt.checkpoints",),
    (
        "swsfmt.torch",
        "swsfmt.torch_tensors",
        "swsfmt.state_dict",
        "swsfmt.devices",
        "swsfmt.numpy",
        "swsfmt.safe_open",
        "swsfmt.scaled",
        "swsfmt.inspection",
        "swsfmt.options",
    ),
    ("swsfmt.read", "swsfmt.write"),
    ("swsfmt.codings",),
    ("swsfmt.format",),
    ("swsfmt.entropy", "swsfmt.tensor"),
    (
        "swsfmt.arguments",
        "swsfmt.cached",
        "swsfmt.dtypes",
        "swsfmt.limits",
        "swsfmt.memory",
        "swsfmt.parallel",
        "swsfmt.processors",
        "swsfmt.errors",
        "swsfmt._version",
    ),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# The command is a part of `sws` where it is installed: `python -m sws` is all that knows it from above.
ABOVE = {"sws.__main__"}


def dotted(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    dotted(path): path for package in ("swsfmt", "sws", "cli") for path in sorted((ROOT / package).rglob("*.py"))
}
LIBRARY = [name for name in MODULES if name.split(".")[0] == "swsfmt"]


def imports(name: str) -> list[str]:
    """Full names of the modules and names that a module imports, wherever in it, for type checkers alone too."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found += [f"{base}.{alias.name}" for alias in node.names]
    return ["cli" + name[len("sws.cli") :] if name.startswith("sws.cli") else name for name in found]


def module_of(name: str) -> str | None:
    """The module of ours that an import of `name` names: itself, or the one that it is a name in."""
    while name not in MODULES:
        if "." not in name:
            return None
        name = name.rpartition(".")[0]
    return name


def layer(name: str) -> str:
    """`swsfmt.codings` for `swsfmt.codings.sparse.plan`."""
    parts = name.split(".")
    return next((found for n in (2, 1) if (found := ".".join(parts[:n])) in RANK), parts[0])


def test_every_module_has_a_layer() -> None:
    """By its own name: `layer` would take what nobody has thought of for a part of `swsfmt` itself."""
    top = {".".join(name.split(".")[:2]) for name in LIBRARY} | {name.split(".")[0] for name in MODULES}
    assert top == RANK.keys()
    assert len(RANK) == sum(map(len, LAYERS))


@pytest.mark.parametrize("name", MODULES)
def test_no_module_imports_upwards(name: str) -> None:
    if name in ABOVE:
        return
    for other in filter(None, map(module_of, imports(name))):
        assert RANK[layer(other)] >= RANK[layer(name)], f"{name} imports {other}"


@pytest.mark.parametrize("name", [name for name in LIBRARY if name.startswith("swsfmt.read")])
def test_reading_never_imports_writing(name: str) -> None:
    assert not [other for other in imports(name) if other.startswith("swsfmt.write")]


def test_no_cycles() -> None:
    graph = {name: {module_of(other) for other in imports(name)} - {None, name} for name in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_does_not_know_the_programs(name: str) -> None:
    roots = {other.split(".")[0] for other in imports(name)}
    assert not roots & {"sws", "cli", "click", "rich"}
    assert "safetensors" not in roots or layer(name) in ("swsfmt.checkpoints", "swsfmt.hf")


@pytest.mark.parametrize("name", [name for name in MODULES if layer(name) == "cli"])
def test_the_command_asks_checkpoints_at_their_door(name: str) -> None:
    inside = [other for other in LIBRARY if other.startswith("swsfmt.checkpoints.")]
    assert not [other for other in imports(name) if module_of(other) in inside]


@pytest.mark.parametrize("name", LIBRARY)
def test_only_the_modules_for_torch_import_torch(name: str) -> None:
    """`swsfmt.hf` and `swsfmt.nn` hold modules of torch: nobody else imports them, and not all of theirs need torch."""
    roots = {other.split(".")[0] for other in imports(name)}
    if layer(name) in ("swsfmt.hf", "swsfmt.nn"):
        return
    assert ("torch" in roots) == (
        name
        in ("swsfmt.torch", "swsfmt.torch_tensors", "swsfmt.state_dict", "swsfmt.devices", "swsfmt.checkpoints.pytorch")
    )
    assert not [other for other in imports(name) if other.startswith(("swsfmt.hf", "swsfmt.nn"))]


@pytest.mark.parametrize("name", [name for name in MODULES if layer(name) != "sws"])
def test_nothing_runs_what_a_file_holds(name: str) -> None:
    """Neither the library nor the command; the trainer reads its own files and data sets from elsewhere."""
    roots = {other.split(".")[0] for other in imports(name)}
    assert not roots & {"pickle", "marshal", "shelve", "subprocess", "socket", "urllib"}
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}


LOAD = """
import sys
import swsfmt
for name in sys.argv[1:]:
    swsfmt.load_file(name)
    with swsfmt.safe_open(name) as file:
        file.get_slice(file.keys()[0])[0]
print(*sys.modules)
"""


def test_a_load_loads_no_planner_and_no_executor() -> None:
    vectors = ROOT / "spec" / "vectors" / "valid"
    files = [str(vectors / f"{name}.sws") for name in ("adaptive-forms", "dense-chunks", "sparse-chunks", "bitmaps")]
    done = subprocess.run([sys.executable, "-c", LOAD, *files], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    planners = (
        "swsfmt.write",
        *(f"swsfmt.codings.{name}" for name in ("sparse.plan", "sparse.analysis", "adaptive.plan")),
    )
    assert [name for name in modules if name.startswith((*planners, "concurrent.futures", "swsfmt.checkpoints"))] == []
    assert not {"torch", "click", "rich", "safetensors"} & {name.split(".")[0] for name in modules}


def test_other_peoples_files_are_imported_when_asked_for() -> None:
    code = "import sys, swsfmt; print('swsfmt.checkpoints' in sys.modules); import swsfmt.checkpoints"
    code += "; print([name for name in ('torch', 'safetensors', 'swsfmt.torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n[]\n"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_read_in_one_sitting(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 400


def test_public_names_exist() -> None:
    assert all(hasattr(swsfmt, name) for name in swsfmt.__all__)
    assert len(set(swsfmt.__all__)) == len(swsfmt.__all__)
