"""The committed networks are what zoo/README.md says: bytes here, errors where MNIST is at hand."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from data import data_folder
from modules import load
from sws.cli import main

import sws.data
import swsfmt

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / "zoo"
RUNS: list[dict[str, Any]] = json.loads((ZOO / "runs.json").read_text(encoding="utf-8"))
FILES = [run for run in RUNS if run["seed"] == 1]


def test_every_file_has_its_run() -> None:
    assert {path.stem for path in ZOO.glob("*.sws")} == {run["recipe"] for run in FILES}
    assert {path.stem for path in (ROOT / "recipes" / "records").glob("*.toml")} >= {run["recipe"] for run in RUNS}


def test_page_is_made_from_the_runs() -> None:
    module = load(ROOT / "scripts" / "make_zoo.py")
    assert (ZOO / "README.md").read_text(encoding="utf-8") == module.page(RUNS)


@pytest.mark.parametrize("run", FILES, ids=lambda run: run["recipe"])
def test_bytes(run: dict[str, Any]) -> None:
    path = ZOO / f"{run['recipe']}.sws"
    report = swsfmt.verify(path)
    assert report.file_bytes == path.stat().st_size == run["file_bytes"]
    assert report.dense_bytes == run["dense_bytes"]


# Reading MNIST takes as long as what is done with it.
make_loaders_once = functools.cache(sws.data.make_loaders)


@pytest.mark.slow
@pytest.mark.parametrize("run", FILES, ids=lambda run: run["recipe"])
def test_error(run: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_folder()
    if folder is None or not (folder / run["dataset"]).is_dir():
        pytest.skip(f"no {run['dataset']}: set SWS_DATA to a folder that has it")
    monkeypatch.setenv("SWS_DATA", str(folder))
    monkeypatch.setattr(sws.data, "make_loaders", make_loaders_once)
    arguments = ["eval", str(ZOO / f"{run['recipe']}.sws"), "--dataset", run["dataset"], "--json"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    # One image in 10,000: another machine adds in another order.
    assert json.loads(done.stdout)["test_error"] == pytest.approx(run["test_error"], abs=1.5e-4)
