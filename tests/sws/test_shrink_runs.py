"""`compress_network` on any network, batch and loss; its logs, and that it goes on after a kill and in processes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import launch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sws.data import make_loaders
from sws.evaluation import evaluate
from sws.layers import layer_parameters
from sws.models import make_model
from sws.run import run_recipe
from sws.shrink import Distillation, Pruning, Quantization, Settings, compress_network
from sws.shrink.progress import Progress
from sws.train import train_standard
from sws.utils import set_seed
from swsfmt import InputError

X = torch.randn(160, 6, generator=torch.Generator().manual_seed(0))
Y = X @ torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
CLASSES = (Y[:, 0] > Y[:, 1]).long()

# Every ingredient: masks that come back and then freeze, both penalties, a teacher, the rate.
SETTINGS = Settings(
    pruning=Pruning(sparsity=0.7, epochs=4, learning_rate=1e-2, column_penalty=1e-4, row_penalty=1e-4),
    quantization=Quantization(values=4, epochs=3, learning_rate=1e-2, codebook_learning_rate=1e-2, rate=1e-5),
    distillation=Distillation(0.5),
)
PLAIN = Settings(pruning=Pruning(sparsity=0.5, epochs=2), quantization=Quantization(values=4, epochs=2))
FREE = Settings(
    pruning=Pruning(sparsity=0.5, epochs=2),
    quantization=Quantization(values=6, epochs=2),
    remove_dead=False,
    order=False,
)


def loader(*tensors: Tensor) -> Any:
    return DataLoader(TensorDataset(*tensors), 16, shuffle=True)


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 2))


def values(model: nn.Module) -> int:
    return len(torch.cat([p.detach().flatten() for _, p in layer_parameters(model)]).unique())


class KillError(Exception):
    """A kill."""


def kill_in(phase: str, epoch: int) -> Any:
    def report(progress: Progress) -> None:
        if (progress.phase, progress.epoch) == (phase, epoch):
            raise KillError

    return report


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*_log.csv")}


@pytest.mark.parametrize(
    ("phase", "epoch"), [*(("prune", e) for e in (1, 2, 3, 4)), *(("quantize", e) for e in (1, 2, 3))]
)
@pytest.mark.parametrize("regrow", [True, False])
def test_going_on_after_a_kill(tmp_path: Path, phase: str, epoch: int, regrow: bool) -> None:
    pruning = Pruning(**{**vars(SETTINGS.pruning), "regrow": regrow})
    settings = Settings(pruning, SETTINGS.quantization, SETTINGS.distillation, remove_dead=False, order=False)

    def run(folder: Path, **options: Any) -> list[Tensor]:
        model = network()
        compress_network(model, loader(X, CLASSES), settings, run_dir=folder, **options)
        return list(model.state_dict().values())

    whole = run(tmp_path / "whole")
    with pytest.raises(KillError):
        run(tmp_path / "killed", report=kill_in(phase, epoch))
    # Other numbers in between must not matter.
    torch.rand(100)
    told: list[Progress] = []
    resumed = run(tmp_path / "killed", report=told.append, resume=True)
    assert (told[0].phase, told[0].epoch) == (phase, epoch), "it did not begin anew"
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
    assert files(tmp_path / "whole") == files(tmp_path / "killed")


def test_a_finished_run_comes_to_the_same_again(tmp_path: Path) -> None:
    def run(**options: Any) -> tuple[list[Tensor], list[Progress]]:
        told: list[Progress] = []
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
        compress_network(model, loader(X, CLASSES), PLAIN, run_dir=tmp_path, report=told.append, **options)
        return list(model.state_dict().values()), told

    first, told = run()
    second, nothing = run(resume=True)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert (len(told), len(nothing)) == (4, 0)


def test_the_checkpoint_of_other_settings(tmp_path: Path) -> None:
    model = network()
    compress_network(model, loader(X, CLASSES), FREE, run_dir=tmp_path)
    other = Settings(FREE.pruning, Quantization(values=3, epochs=3), remove_dead=False, order=False)
    with pytest.raises(InputError, match="of another run"):
        compress_network(network(), loader(X, CLASSES), other, run_dir=tmp_path, resume=True)


def test_the_logs(tmp_path: Path) -> None:
    told: list[Progress] = []
    compress_network(network(), loader(X, CLASSES), FREE, run_dir=tmp_path, report=told.append)
    for phase, columns in (("prune", ["nonzero"]), ("quantize", ["nonzero", "bytes"])):
        rows = list(csv.DictReader((tmp_path / f"{phase}_log.csv").open()))
        assert list(rows[0]) == ["epoch", "loss", *columns]
        of_phase = [p for p in told if p.phase == phase]
        wanted = [[str(p.epoch), str(p.loss), *(str(getattr(p, name)) for name in columns)] for p in of_phase]
        assert [list(row.values()) for row in rows] == wanted
        assert (tmp_path / f"{phase}_checkpoint.pt").stat().st_size > 0


def test_no_folder_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compress_network(network(), loader(X, CLASSES), FREE)
    assert not list(tmp_path.iterdir())


# ---- any batch, any loss, any network --------------------------------------------------------------------------------


def test_regression() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
    train_standard(model, loader(X, Y), None, epochs=30, lr=1e-2, loss=mse_loss)
    settings = Settings(Pruning(sparsity=0.3, epochs=10, learning_rate=1e-2), Quantization(values=16, epochs=10))
    compress_network(model, loader(X, Y), settings, loss=mse_loss)
    assert evaluate(model, loader(X, Y), metric=mse_loss) < 0.3 * mse_loss(torch.zeros_like(Y), Y).item()
    assert values(model) <= 17


class Dicts(Dataset[Any]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {"x": X[i], "labels": CLASSES[i]}


def test_batches_that_are_dicts() -> None:
    def forward(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        return model(batch["x"])

    data: Any = DataLoader(Dicts(), 16)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
    train_standard(model, data, None, epochs=20, lr=1e-2, forward=forward)
    settings = Settings(SETTINGS.pruning, SETTINGS.quantization, SETTINGS.distillation)
    compress_network(model, data, settings, forward=forward)
    assert values(model) <= 5
    assert evaluate(model, data, forward=forward) > 0.8


class Tagger(nn.Module):
    """Embedding, recurrence, attention and a transposed convolution, its output tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.recurrence = nn.LSTM(6, 6, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)
        self.wide = nn.ConvTranspose1d(6, 6, 3, padding=1)
        self.out = nn.Linear(6, 7)
        self.out.weight = self.embedding.weight

    def forward(self, words: Tensor) -> Tensor:
        x, _ = self.recurrence(self.embedding(words))
        x, _ = self.attention(x, x, x, need_weights=False)
        x = self.wide(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return self.out(x).transpose(1, 2)


@pytest.mark.parametrize("regrow", [True, False])
def test_layers_of_other_kinds(regrow: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Tagger()
    words = torch.randint(0, 7, (32, 5))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    settings = Settings(
        Pruning(sparsity=0.5, epochs=3, regrow=regrow),
        Quantization(values=6, epochs=2, rate=1e-6),
        remove_dead=False,
        order=False,
    )
    compress_network(model, loader(words, words), settings, run_dir=tmp_path)
    compressed = [p for name, p in model.named_parameters() if not name.startswith("norm")]
    assert len(torch.cat([p.detach().flatten() for p in compressed]).unique()) <= 7
    assert len(model.norm.weight.unique()) == 6
    assert model.out.weight is model.embedding.weight
    zeros = sum(int((p == 0).sum()) for p in compressed)
    assert zeros >= sum(p.numel() for p in compressed) // 2
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters() if p.dim() > 1)


# ---- neurons ---------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(x)) + torch.relu(self.second(x)))


def test_what_is_no_chain_is_refused_before_the_first_epoch() -> None:
    """By its shapes alone it is one."""
    model = Residual()
    before = [t.clone() for t in model.state_dict().values()]
    told: list[Progress] = []
    with pytest.raises(InputError, match=r"not a plain chain.*set remove_dead and order to False"):
        compress_network(model, loader(X, CLASSES), PLAIN, report=told.append)
    assert not told
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    compress_network(model, loader(X, CLASSES), FREE)


def test_dead_neurons_need_a_relu() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 2))
    with pytest.raises(InputError, match="only where a ReLU follows every layer"):
        compress_network(model, loader(X, CLASSES), PLAIN)
    compress_network(model, loader(X, CLASSES), Settings(PLAIN.pruning, PLAIN.quantization, remove_dead=False))


def test_layers_without_biases() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12, bias=False), nn.ReLU(), nn.Linear(12, 8, bias=False), nn.ReLU())
    model.append(nn.Linear(8, 2))
    compress_network(model, loader(X, CLASSES), PLAIN)
    assert values(model) <= 5


def test_a_forward_pass_that_reads_hidden_neurons() -> None:
    """The network is a chain, what is done with it is not: that is tried before the first epoch."""

    def forward(model: nn.Module, batch: Any) -> Tensor:
        assert isinstance(model, nn.Sequential)
        return model(batch[0]) + model[0](batch[0])[:, :2]

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    before = [t.clone() for t in model.state_dict().values()]
    told: list[Progress] = []
    settings = Settings(PLAIN.pruning, PLAIN.quantization, remove_dead=False)
    with pytest.raises(InputError, match=r"an output changes by .*set remove_dead and order to False"):
        compress_network(model, loader(X, CLASSES), settings, forward=forward, report=told.append)
    assert not told
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
    compress_network(model, loader(X, CLASSES), FREE, forward=forward)
    assert values(model) <= 7


# ---- whole runs, processes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["prune", "quantize"])
def test_a_recipe_goes_on_within_shrinking(tmp_path: Path, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sws.recipe import parse_recipe

    table: dict[str, Any] = {"model": "digits_300_100", "dataset": "digits", "pretrain": {"epochs": 1}}
    table["shrink"] = {"pruning": {"epochs": 3, "sparsity": 0.9}, "quantization": {"epochs": 2}}
    recipe = parse_recipe(table)
    run_recipe(recipe, tmp_path / "whole", pictures=False)
    with monkeypatch.context() as patch:
        kill = kill_in(phase, 2)
        patch.setattr("sws.run._tell_progress", lambda tell, progress: kill(progress))
        with pytest.raises(KillError):
            run_recipe(recipe, tmp_path / "killed", pictures=False)
    told: list[str] = []
    run_recipe(recipe, tmp_path / "killed", pictures=False, resume=True, tell=told.append)
    assert files(tmp_path / "whole") == files(tmp_path / "killed")
    assert (tmp_path / "whole" / "model.sws").read_bytes() == (tmp_path / "killed" / "model.sws").read_bytes()
    assert [line.split(":")[0] for line in told] == ["pretrained", *(["prune"] if phase == "prune" else []),
                                                     "quantize", "shrunk"]  # fmt: skip


_LAUNCHED = """
import sys, torch
from accelerate import Accelerator
from sws.data import make_loaders
from sws.models import make_model
from sws.shrink import Pruning, Quantization, Settings, compress_network
from sws.train import train_standard
from sws.utils import set_seed
torch.set_num_threads(1)
accelerator = Accelerator(cpu=True)
set_seed(0)
train, test, _ = make_loaders("digits", 64 // accelerator.num_processes)
model = make_model("digits_300_100")
train_standard(model, train, None, epochs=2, accelerator=accelerator)
settings = Settings(Pruning(sparsity=0.8, epochs=3), Quantization(values=4, epochs=2, learning_rate=1e-3, rate=1e-6))
compress_network(model, train, settings, run_dir=sys.argv[1], accelerator=accelerator)
torch.save(model.state_dict(), f"{sys.argv[1]}/{accelerator.process_index}.pt")
"""


def test_two_processes_shrink_like_one(tmp_path: Path) -> None:
    """Under `accelerate`, each with half of every batch: all have the same network in the end."""
    pytest.importorskip("accelerate")
    script = tmp_path / "run.py"
    script.write_text(_LAUNCHED)
    curves: dict[int, list[float]] = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        launch(script, str(folder), processes=processes)
        logs = [list(csv.DictReader((folder / f"{phase}_log.csv").open())) for phase in ("prune", "quantize")]
        assert [len(log) for log in logs] == [3, 2]
        curves[processes] = [float(row["loss"]) for log in logs for row in log]
    states = [torch.load(tmp_path / "2" / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert len(torch.cat([t.flatten() for t in states[0].values()]).unique()) <= 5
    assert curves[2] == pytest.approx(curves[1], rel=0.35, abs=0.05), curves


def test_under_an_accelerator_of_one_process(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    train, _, _ = make_loaders("digits", 128)
    states = []
    for options in ({}, {"accelerator": accelerate.Accelerator(cpu=True), "run_dir": tmp_path}):
        set_seed(0)
        model = make_model("digits_300_100")
        compress_network(model, train, PLAIN, **options)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert (tmp_path / "quantize_log.csv").exists()
