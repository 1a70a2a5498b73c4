"""Whole runs, and the commands that train."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from sws.cli import main

import swsfmt
import swsfmt.torch
from sws.models import make_model
from sws.provenance import Provenance
from sws.recipe import Mixture, Recipe, Retrain, load_recipe, parse_recipe
from sws.run import decoded_model, run_recipe
from swsfmt import InputError

SHORT = """
model = "digits_300_100"
dataset = "digits"
validation = 200
[pretrain]
epochs = 3
[mixture]
J = 5
init_sigma = 0.05
[retrain]
epochs = 3
quantize_from = 0.3
[shrink.pruning]
epochs = 0
sparsity = 0.0
[shrink.quantization]
values = 4
epochs = 1
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return str(path)


def sws(*args: str) -> Any:
    return CliRunner().invoke(main, args)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_whole_run(recipe: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told: list[str] = []
    report = run_recipe(load_recipe(recipe), out, tell=told.append)
    file = out / "model.sws"
    assert report["file_bytes"] == file.stat().st_size
    assert report["ratio"] == report["dense_bytes"] / file.stat().st_size
    assert report["dense_bytes"] == 4 * 50_610
    assert sum(report["sections"].values()) == report["file_bytes"]
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report))
    assert set(report["validation_error"]) == {"pretrained", "retrained", "quantized", "shrunk"}
    assert report["estimate_ratio"] > 1
    assert [line.split(":")[0] for line in told] == ["pretrained", "retrained", "quantized", "quantize", "shrunk"]
    for name in ("recipe.json", "environment.json", "pretrain_log.csv", "retrain_log.csv", "retrain_mixture.jsonl"):
        assert (out / name).stat().st_size > 0, name
    for name in ("weights.png", "histogram.png", "bytes.png", "mixture.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG"), name
    quantised, decoded = load_file(out / "quantized.safetensors"), swsfmt.torch.load_file(file)
    assert all(torch.equal(quantised[name], decoded[name]) for name in quantised)
    assert len(torch.cat([t.flatten() for t in decoded.values()]).unique()) <= 5
    assert report["warnings"] == [line.partition(": ")[2] for line in lines_of(out / "warnings.log")]
    assert json.loads((out / "environment.json").read_text())["torch"] == torch.__version__


def test_equal_recipes_give_equal_files(recipe: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run_recipe(load_recipe(recipe), tmp_path / name, pictures=False)
    run_recipe(load_recipe(recipe).with_changes(seed=1), tmp_path / "c", pictures=False)
    a, b, c = [(tmp_path / name / "model.sws").read_bytes() for name in ("a", "b", "c")]
    assert a == b != c


def test_a_run_goes_on_where_it_was_stopped(recipe: str, tmp_path: Path) -> None:
    """Killed in retraining: with one epoch less, then resumed with all."""
    chosen = load_recipe(recipe)
    run_recipe(chosen, tmp_path / "whole", pictures=False)

    class StopError(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("retrained"):
            raise StopError

    with pytest.raises(StopError):
        run_recipe(chosen, tmp_path / "killed", pictures=False, tell=stop)
    assert not (tmp_path / "killed" / "model.sws").exists()
    run_recipe(chosen, tmp_path / "killed", pictures=False, resume=True)
    whole, killed = [(tmp_path / name / "model.sws").read_bytes() for name in ("whole", "killed")]
    assert whole == killed
    with pytest.raises(InputError, match="another recipe"):
        run_recipe(chosen.with_changes(seed=3), tmp_path / "killed", resume=True)
    with pytest.raises(InputError, match="a finished run"):
        run_recipe(chosen, tmp_path / "killed")


def test_a_recipe_without_a_mixture(tmp_path: Path) -> None:
    table = {"model": "digits_300_100", "dataset": "digits", "pretrain": {"epochs": 2}}
    table["shrink"] = {"pruning": {"epochs": 2, "sparsity": 0.8}, "quantization": {"epochs": 1}}
    report = run_recipe(parse_recipe(table), tmp_path, pictures=False)
    assert "mixture" not in report
    assert report["ratio"] > 10
    assert report["validation_error"] == {"pretrained": None, "shrunk": None}


def test_the_model_of_a_file(tmp_path: Path) -> None:
    model = make_model("lenet5")
    swsfmt.torch.save_model(model, tmp_path / "m.sws")
    found = decoded_model(tmp_path / "m.sws")
    assert type(found).__name__ == "LeNet5Caffe"
    assert not found.training
    swsfmt.torch.save_model(make_model("lenet_300_100", 7), tmp_path / "seven.sws")
    assert decoded_model(tmp_path / "seven.sws").fc3.out_features == 7
    with pytest.raises(InputError, match="not those of the model 'tutorialnet'"):
        decoded_model(tmp_path / "m.sws", "tutorialnet")
    swsfmt.torch.save_file({"w": torch.zeros(3)}, tmp_path / "w.sws")
    with pytest.raises(InputError, match="not those of a known model"):
        decoded_model(tmp_path / "w.sws")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("resnet18", "the file names its network 'resnet18', and there is tutorialnet, "),
        ("tutorialnet", "the tensors are not those of the model 'tutorialnet'"),
    ],
)
def test_a_file_that_names_a_model_that_it_has_not(model: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    swsfmt.torch.save_model(make_model("digits_300_100"), path, {"model": model, "data": "digits"})
    found = sws("eval", str(path))
    assert (found.exit_code, found.output.count("\n")) == (1, 1)
    assert f"{path}: {message}" in found.output
    assert sws("eval", str(path), "--model", "digits_300_100").exit_code == 0


def test_train_and_eval(recipe: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    found = sws("train", recipe, "-o", out, "--seed", "5")
    assert found.exit_code == 0, found.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["seed"] == 5
    assert f"{report['file_bytes']:,} bytes" in found.output.splitlines()[-1]
    assert f"test error {report['test_error']:.2%}" in found.output
    told = sws("eval", f"{out}/model.sws", "--dataset", "digits", "--json")
    assert told.exit_code == 0, told.output
    facts = json.loads(told.output)
    assert facts["test_error"] == report["test_error"]
    assert facts["file_bytes"] == report["file_bytes"]
    assert facts["images"] == 360
    plain = sws("eval", f"{out}/model.sws", "--dataset", "digits")
    assert f"({facts['errors']} of 360 images of digits)" in plain.output
    again = sws("train", recipe, "-o", out)
    assert (again.exit_code, again.output.count("\n")) == (1, 1)
    assert "a finished run" in again.output


def test_a_file_says_how_it_is_used(recipe: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sws("train", recipe, "-o", str(out), "--seed", "5").exit_code == 0
    with swsfmt.safe_open(out / "model.sws") as handle:
        metadata = handle.metadata()
    assert list(metadata) == ["data", "input", "made by", "model"]
    assert (metadata["data"], metadata["model"]) == ("digits", "digits_300_100")
    assert metadata["made by"] == f"sws train {recipe} --seed 5"
    divisor = Provenance.of(metadata).divisor
    assert divisor == pytest.approx(16 * 0.3761, rel=1e-2)
    assert "sws train" in sws("inspect", str(out / "model.sws")).output
    report = json.loads((out / "report.json").read_text())
    told = sws("eval", str(out / "model.sws"), "--json")
    assert json.loads(told.output)["test_error"] == report["test_error"]
    # By the file's own words alone, without this package's data.
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    outputs = decoded_model(out / "model.sws")(torch.tensor(images[-360:] / divisor).float().reshape(-1, 1, 8, 8))
    assert (outputs.argmax(1).numpy() != labels[-360:]).mean() == pytest.approx(report["test_error"], abs=1e-6)


def test_what_is_not_understood_of_the_metadata() -> None:
    assert Provenance.of({}) == Provenance()
    for text in ("x", "pixels/", "pixels/x", "pixels/0", "pixels/-1", "pixels/nan", "pixels/inf"):
        assert Provenance.of({"input": text}).divisor is None
    full = Provenance("lenet5", "mnist", 78.5675, "sws train lenet5")
    assert Provenance.of(full.to_metadata()) == full


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "digits"], "does not take images of shape (1, 8, 8), as in digits"),
        (["--dataset", "svhn"], "no dataset 'svhn'"),
        ([], "does not say on what its network was trained; give --dataset"),
    ],
)
def test_evaluating_on_the_wrong_data_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    for model in ("lenet_300_100", "lenet5"):
        swsfmt.torch.save_model(make_model(model), tmp_path / "m.sws")
        found = sws("eval", str(tmp_path / "m.sws"), *arguments)
        assert (found.exit_code, found.output.count("\n")) == (1, 1)
        assert message in found.output


def test_evaluating_another_number_of_classes(tmp_path: Path) -> None:
    swsfmt.torch.save_model(make_model("digits_300_100", 7), tmp_path / "m.sws")
    found = sws("eval", str(tmp_path / "m.sws"), "--dataset", "digits")
    assert found.output == "sws: error: this network tells 7 classes apart, and digits has 10\n"


@pytest.fixture
def stopped(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A recipe, and the folder of a run of it that was stopped by Ctrl-C."""
    out = str(tmp_path / "out")

    def stop(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sws.run.retrain_soft_weight_sharing", stop)
        found = sws("train", recipe, "-o", out, "--seed", "5")
    assert found.exit_code == 130
    assert f"go on with: sws train {recipe} --seed 5 -o {out} --resume\n" in found.output
    return recipe, out


def test_an_unfinished_run_is_not_begun_anew(stopped: tuple[str, str]) -> None:
    recipe, out = stopped
    before = {path.name: path.read_bytes() for path in Path(out).iterdir()}
    for more in ([], ["--json"]):
        found = sws("train", recipe, "-o", out, "--seed", "5", *more)
        assert found.exit_code == 1
        assert "there is an unfinished run in this folder; resume it (--resume)" in found.output
    assert {path.name: path.read_bytes() for path in Path(out).iterdir()} == before
    assert sws("train", recipe, "-o", out, "--seed", "5", "--resume").exit_code == 0


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 0), ("n\n", 1)])
def test_at_a_terminal_it_asks(
    stopped: tuple[str, str], answer: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = stopped
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True, raising=False)
    found = CliRunner().invoke(main, ["train", recipe, "-o", out, "--seed", "5"], input=answer)
    assert "There is an unfinished run in" in found.output
    assert found.exit_code == status, found.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("train", "nothing", "-o", "x"), "no recipe 'nothing'"),
        (("train", "digits", "-o", "x", "--dataset", "svhn"), "no dataset 'svhn'"),
        (("train", "digits", "-o", "x", "--model", "vgg"), "no model 'vgg'"),
        (("eval", "none.sws", "--dataset", "digits"), "none.sws"),
    ],
)
def test_one_line_for_bad_input(
    args: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = sws(*args)
    assert found.exit_code == 1
    assert found.output.startswith("sws: error: ")
    assert found.output.count("\n") == 1
    assert message in found.output


def test_no_data_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def retrieve(*_args: object, **_more: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("SWS_DATA", str(tmp_path))
    found = sws("train", "lenet5", "-o", str(tmp_path / "out"))
    assert found.exit_code == 1
    assert "not in $SWS_DATA/mnist and cannot be fetched" in found.output
    assert found.output.count("\n") == 1


def test_help_does_not_import_torch() -> None:
    code = "import sys, sws.cli; assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


def test_options_for_single_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the network does not have is told before the training, not after it."""
    path = tmp_path / "named.toml"
    path.write_text(f'{SHORT}[file.profile]\n"fc1.weight" = "small"\n')
    run_recipe(load_recipe(str(path)), tmp_path / "out", pictures=False)
    assert "fc1.weight" in swsfmt.load_file(tmp_path / "out" / "model.sws")
    path.write_text(f'{SHORT}[file.profile]\n"fc1.wieght" = "small"\n')
    monkeypatch.setattr("sws.run.train_standard", pytest.fail)
    with pytest.raises(InputError, match=r"no tensor 'fc1.wieght', did you mean 'fc1.weight'"):
        run_recipe(load_recipe(str(path)), tmp_path / "other", pictures=False)


def test_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Recipe("digits_300_100", "digits", mixture=Mixture(J=4), retrain=Retrain(epochs=1))
    quick = dataclasses.replace(quick, pretrain=dataclasses.replace(quick.pretrain, epochs=1))
    monkeypatch.setattr("sws.recipe.load_recipe", lambda name: quick)
    for _ in range(2):
        found = sws("demo", "-o", str(tmp_path / "demo"))
        assert found.exit_code == 0, found.output
        assert "where the bytes went" in found.output
        assert "bit-identical to" in found.output.splitlines()[-1]


def test_verify_accepts_what_a_run_wrote(recipe: str, tmp_path: Path) -> None:
    run_recipe(load_recipe(recipe), tmp_path / "out", pictures=False)
    file = tmp_path / "out" / "model.sws"
    assert swsfmt.verify(file).ratio > 1
    found = sws("verify", str(file), "--against", str(tmp_path / "out" / "quantized.safetensors"))
    assert found.exit_code == 0, found.output
