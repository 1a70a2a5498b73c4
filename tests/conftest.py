"""Puts this folder on the import path (for `craft`) and finds the shared checkpoints."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swsfmt.entropy import backend

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def data_folder() -> Path | None:
    """`$SWS_DATA`, else the folder `shared/data` beside the repository; None if it is not there."""
    folder = Path(os.environ.get("SWS_DATA") or HERE.parent.parent / "shared" / "data")
    return folder if (folder / "checkpoints").is_dir() else None


@pytest.fixture(scope="module", params=sorted({backend.BITARRAY, backend.active()}))
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
