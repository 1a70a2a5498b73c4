"""The extension builds without a warning, and the package works where it does not build."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "swsfmt" / "entropy" / "native"
COMPILER = shutil.which(os.environ.get("CC", "cc"))


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
@pytest.mark.parametrize("source", sorted(NATIVE.glob("*.c")), ids=lambda path: path.stem)
@pytest.mark.parametrize("level", ["-O0", "-O3", "-O3 -DNDEBUG"])
def test_no_warnings(source: Path, level: str, tmp_path: Path) -> None:
    """C99 and the stable ABI, whatever the optimiser sees."""
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fPIC", *level.split(), "-DPy_LIMITED_API=0x030b0000"]
    command = [
        str(COMPILER),
        *flags,
        f"-I{sysconfig.get_path('include')}",
        "-c",
        str(source),
        "-o",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
@pytest.mark.parametrize("source", sorted(NATIVE.glob("*.c")), ids=lambda path: path.stem)
def test_big_endian_machines_are_refused(source: Path) -> None:
    """Where memory has the bytes of a number the other way round, the kernels do not build: the twin is used."""
    big = ["-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__"]
    include = f"-I{sysconfig.get_path('include')}"
    command = [str(COMPILER), "-w", *big, include, "-fsyntax-only", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the kernels of swsfmt are for little-endian machines" in done.stderr


@pytest.mark.parametrize("compiler", [True, False])
def test_build(compiler: bool, tmp_path: Path) -> None:
    """Without a compiler the build goes on without the extension, and files decode to the same elements."""
    if compiler and COMPILER is None:
        pytest.skip("there is no C compiler")
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    for folder in ("swsfmt", "sws", "cli", "recipes"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    none = {} if compiler else {"CC": "/nonexistent/cc", "CXX": "/nonexistent/c++"}
    command = [sys.executable, "setup.py", "-q", "build", "--build-lib", "../built"]
    subprocess.run(command, cwd=source, env=os.environ | none, capture_output=True, check=True)
    built = tmp_path / "built"
    assert len(list((built / "swsfmt" / "entropy").glob("*.so"))) == (1 if compiler else 0)

    vectors = ROOT / "spec" / "vectors" / "valid"
    program = """
import hashlib, json, sys
from swsfmt.entropy import backend
from swsfmt.read.reader import Reader
out = {}
for path in sys.argv[1:]:
    with Reader.open(path) as reader:
        for r in reader.records:
            out[r.name] = hashlib.sha256(reader.decode(r).bits.tobytes()).hexdigest()
print(json.dumps([sys.modules["swsfmt"].__file__, backend.active(), out]))
"""
    files = [str(vectors / f"{name}.sws") for name in ("dense-chunks", "sparse-chunks", "adaptive-forms")]
    environment = {k: v for k, v in os.environ.items() if k != "SWS_KERNELS"} | {"PYTHONPATH": str(built)}
    command = [sys.executable, "-c", program, *files]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    where, active, found = json.loads(done.stdout)
    assert Path(where).is_relative_to(built)
    assert active == ("native" if compiler else "bitarray")
    manifest = json.loads((vectors / "manifest.json").read_text(encoding="utf-8"))
    told = {entry["name"]: entry for path in files for entry in manifest[Path(path).name]["tensors"]}
    assert set(found) == set(told)
    assert all(digest == told[name]["sha256"] for name, digest in found.items() if "sha256" in told[name])
