"""Puts `helpers/` on the import path, and runs tests once for each kernel and for each shared checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from swsfmt.entropy import backend

# Not this folder itself: the names of the ones in it are those of packages.
sys.path.insert(0, str(Path(__file__).resolve().parent / "helpers"))

from data import data_folder

HERE = Path(__file__).resolve().parent
hypothesis.settings.register_profile("quick", max_examples=10)

# Modules that train, draw, build, start many processes, or read thousands of files.
SLOW_MODULES = [
    "test_build",
    "docs/test_code_blocks",
    "docs/test_figures",
    "cli/test_progress",
    "spec/test_kaitai",
    "spec/test_mutation",
    "types/test_types",
    "write/test_dask",
    "write/test_memory",
    "sws/test_checkout",
    "sws/test_grids",
    "sws/test_movable",
    "sws/test_processes",
    "sws/test_quality",
    "sws/test_records",
    "sws/test_run",
    "sws/test_shrink",
    "sws/test_shrink_runs",
    "sws/test_train",
    "sws/test_tutorial",
    "sws/test_viz",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).with_suffix("").as_posix() in SLOW_MODULES:
            item.add_marker(pytest.mark.slow)


# Those in C come last: they stay for tests of the same module that do not ask for `each_kernel`.
KERNELS: list[Any] = [backend.active()]
if backend.active() != backend.BITARRAY:
    KERNELS.insert(0, pytest.param(backend.BITARRAY, marks=pytest.mark.slow))


@pytest.fixture(scope="module", params=KERNELS)
def each_kernel(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module's tests with the kernels in C, where they were built, and with those on top of bitarray."""
    with backend.use(request.param):
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `checkpoint_path` runs once for each checkpoint, or is skipped if there are none."""
    if "checkpoint_path" not in metafunc.fixturenames:
        return
    folder = data_folder()
    paths: list[Any] = sorted((folder / "checkpoints").glob("*.pt")) if folder else []
    if not paths:
        why = "no checkpoints: set SWS_DATA to a folder that has checkpoints/*.pt"
        paths = [pytest.param(None, marks=pytest.mark.skip(reason=why))]
    metafunc.parametrize("checkpoint_path", paths, ids=lambda path: path.stem if path else "none", scope="module")
