"""Training in several processes: like one, going on together, and the first one alone writes."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import launch
from torch import Tensor

from sws.data import make_loaders
from sws.models import make_model
from sws.prior import MixturePrior, init_mixture
from sws.train import retrain_soft_weight_sharing, train_standard


def loaders() -> tuple[Any, Any]:
    train, test, _ = make_loaders("digits", 128)
    return train, test


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


_LAUNCHED = """
import json, sys, torch
from accelerate import Accelerator
from sws.data import make_loaders
from sws.models import make_model
from sws.prior import init_mixture
from sws.train import retrain_soft_weight_sharing
from sws.utils import set_seed
torch.set_num_threads(1)
accelerator = Accelerator(cpu=True)
set_seed(0)
batch = 128 // accelerator.num_processes
train, test, _ = make_loaders("digits", batch)
model = make_model("digits_300_100")
prior = init_mixture(model, J=4)
folder = sys.argv[1] if accelerator.is_main_process else None
retrain_soft_weight_sharing(model, prior, train, None, epochs=3, run_dir=folder, accelerator=accelerator)
retrain_soft_weight_sharing(model, prior, train, None, epochs=1, quantize_from=0.5, accelerator=accelerator)
torch.save({**model.state_dict(), **prior.state_dict()}, f"{sys.argv[1]}/{accelerator.process_index}.pt")
"""

_RESUMED = """
import sys, torch
from accelerate import Accelerator
from sws.data import make_loaders
from sws.log import RunLog
from sws.models import make_model
from sws.train import train_standard
from sws.utils import set_seed

def write(*args):
    raise AssertionError("another process than the first one writes")

torch.set_num_threads(1)
accelerator = Accelerator(cpu=True)
folder = sys.argv[1]
if not accelerator.is_main_process:
    RunLog.start = RunLog.row = write
for epochs in (2, 3):
    set_seed(0)
    train, _, _ = make_loaders("digits", 256)
    model = make_model("digits_300_100")
    train_standard(
        model, train, None, epochs=epochs, run_dir=folder, resume=epochs == 3, accelerator=accelerator, desc="train"
    )
torch.save(model.state_dict(), f"{folder}/{accelerator.process_index}.pt")
"""


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    """Under `accelerate`, each with half of every batch: the same loss curve within noise."""
    pytest.importorskip("accelerate")
    script = tmp_path / "run.py"
    script.write_text(_LAUNCHED)
    curves = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        launch(script, str(folder), processes=processes)
        curves.append([float(row["loss"]) for row in rows(folder / "retrain_log.csv")])
    states = [torch.load(tmp_path / "2" / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0]), "both have the same network"
    one, two = curves
    assert len(one) == len(two) == 3
    assert all(math.isclose(a, b, rel_tol=0.15) for a, b in zip(one, two, strict=True)), curves
    assert two[-1] < two[0]


def test_two_processes_go_on_together(tmp_path: Path) -> None:
    """Both read the checkpoint, the first one alone writes."""
    pytest.importorskip("accelerate")
    script = tmp_path / "run.py"
    script.write_text(_RESUMED)
    launch(script, str(tmp_path), processes=2)
    assert [row["epoch"] for row in rows(tmp_path / "train_log.csv")] == ["1", "2", "3"]
    states = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert torch.load(tmp_path / "train_checkpoint.pt", weights_only=True)["epoch"] == 3


class SecondProcess:
    """An `Accelerator` as another process than the first one has it, without the first one."""

    device = torch.device("cpu")
    is_main_process = False

    def prepare(self, *parts: Any) -> tuple[Any, ...]:
        return parts

    def backward(self, loss: Tensor) -> None:
        loss.backward()


@pytest.mark.parametrize("resume", [False, True])
def test_other_processes_leave_the_files_alone(tmp_path: Path, resume: bool) -> None:
    def run(**options: Any) -> None:
        train_standard(make_model("digits_300_100"), *loaders(), run_dir=tmp_path, **options)

    run(epochs=1)
    log = tmp_path / "train_log.csv"
    log.write_text(log.read_text() + "2,0.1,0.9\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run(epochs=2, resume=resume, accelerator=SecondProcess())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_other_processes_make_no_pictures() -> None:
    class Fails:
        def begin(self, weights: list[Tensor]) -> None:
            pytest.fail("begin")

        def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None:
            pytest.fail("record")

        def finish(self) -> Path:
            pytest.fail("finish")

    model = make_model("digits_300_100")
    prior = init_mixture(model, J=3)
    retrain_soft_weight_sharing(model, prior, *loaders(), epochs=1, viz=Fails(), accelerator=SecondProcess())
