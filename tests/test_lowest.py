"""Every dependency has a lowest version, the same wherever it is named; `make test-lowest` runs the tests with it."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import lowest  # noqa: E402


def version(text: str) -> list[int]:
    return [int(part) for part in text.split("+")[0].split(".")[:2]]


def test_installed_versions_are_allowed() -> None:
    constraints = lowest.constraints()
    assert {"numpy", "bitarray", "torch", "click"} <= set(constraints)
    for name, least in constraints.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        assert version(installed) >= version(least), name


def test_torch_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"LOWEST_TORCH ?= torch=={lowest.constraints()['torch']}.0\n" in makefile


@pytest.mark.parametrize(
    ("dependencies", "message"),
    [('["numpy"]', "'numpy' has no lowest version"), ('["a>=1", "a>=2"]', "a has two lowest versions, 1 and 2")],
)
def test_refusals(dependencies: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(f"[project]\ndependencies = {dependencies}\n[project.optional-dependencies]\nx = []\n")
    with pytest.raises(ValueError, match=message):
        lowest.constraints(path)
