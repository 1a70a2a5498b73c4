"""`sws quantize`: what is asked for comes out, and what cannot be done is one line, before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import fails, run
from safetensors.torch import save_file
from small_models import network, program

import swsfmt
import swsfmt.torch
from sws.quantize import calibrated
from sws.quantize.tuning import Tuned

WEIGHTS = sum(tensor.numel() for tensor in network().state_dict().values())
NOISE = ("--calibrate", "noise:32", "--device", "cpu")


@pytest.fixture
def net(tmp_path: Path) -> str:
    return f"{program(tmp_path)}:make_model"


@pytest.fixture
def pt(tmp_path: Path) -> Path:
    torch.save(network().state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def quantized(*args: Any) -> dict[str, Any]:
    result = run("quantize", *args, "--json")
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["file_bytes"] == Path(report["file"]).stat().st_size
    assert not Path(report["file"] + ".unfinished").exists()
    return report


def folder(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir() if entry.name != "__pycache__"}


# ---- asked and got ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["feedback", "grid", "prune"])
def test_target_size(method: str, net: str, tmp_path: Path) -> None:
    report = quantized(net, "-o", tmp_path / "a.sws", "--target-size", "3.1kB", "--method", method, *NOISE)
    assert 0.99 * 3100 <= report["file_bytes"] <= 3100
    assert 0 < report["error"] < 1
    assert report["error_kind"] == "relative error"
    assert report["attempts"][-1]["bytes"] == report["file_bytes"] or len(report["attempts"]) == 1


def test_target_bits_of_a_checkpoint_alone(pt: Path) -> None:
    report = quantized(pt, "--target-bits", "4.5")
    assert report["file"] == str(pt.with_suffix(".sws"))
    assert 0.99 * 4.5 <= report["bits"] <= 4.5
    assert report["bits"] == pytest.approx(8 * report["file_bytes"] / WEIGHTS)
    assert report["error"] is None
    assert "no data" in report["calibration"]
    # It fits the model that it was made of.
    model = network()
    swsfmt.torch.load_model(model, report["file"])
    assert report["weight_error"] > 0


def test_target_error(net: str, tmp_path: Path) -> None:
    report = quantized(net, "-o", tmp_path / "a.sws", "--target-error", "0.1", *NOISE, "--samples", 640)
    assert 0.095 <= report["error"] <= 0.1
    # Measured again, on the file and on other inputs.
    model, original, x = network(), network(), torch.randn(500, 32, generator=torch.Generator().manual_seed(7))
    swsfmt.torch.load_model(model, report["file"])
    with torch.no_grad():
        before, after = original(x), model(x)
    error = ((after - before).square().sum(1) / before.square().sum(1)).mean().sqrt()
    assert float(error) == pytest.approx(0.1, rel=0.3)


def test_tuning(net: str, tmp_path: Path) -> None:
    step = ("--step", "0.02", *NOISE)
    before = quantized(net, "-o", tmp_path / "a.sws", *step)
    after = quantized(net, "-o", tmp_path / "b.sws", *step, "--tune", 200)
    assert before["untuned_error"] is None
    assert after["untuned_error"] == before["error"]
    assert after["error"] < before["error"]
    first, second = (swsfmt.torch.load_file(tmp_path / name) for name in ("a.sws", "b.sws"))
    assert not all(torch.equal(first[name], second[name]) for name in first)
    assert "--tune 200" in run("inspect", tmp_path / "b.sws").stdout


def test_a_tuned_file_keeps_to_its_size(net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sized = (net, "--target-size", "3.1kB", *NOISE, "--tune", 20)
    report = quantized(*sized, "-o", tmp_path / "a.sws")
    assert 0.99 * 3100 <= report["file_bytes"] <= 3100

    def larger(model: Any, tensors: Any, *args: Any, **given: Any) -> Tuned:
        return Tuned(model.state_dict(), before=0.5, after=0.0, steps=1)

    monkeypatch.setattr(calibrated, "tune", larger)
    report = quantized(*sized, "-o", tmp_path / "b.sws")
    assert 0.99 * 3100 <= report["file_bytes"] <= 3100
    assert report["error"] > 0
    assert report["untuned_error"] is None


def test_a_step_gives_the_same_bytes_every_time(net: str, tmp_path: Path) -> None:
    files = []
    for name in ("a.sws", "b.sws"):
        quantized(net, "-o", tmp_path / name, "--step", "0.001", *NOISE)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_attempts_are_told(net: str, tmp_path: Path) -> None:
    result = run("quantize", net, "-o", tmp_path / "a.sws", "--target-size", "3kB", *NOISE)
    *tried, last = result.stdout.splitlines()
    assert all(line.startswith("step ") and " bytes, error " in line for line in tried)
    size = (tmp_path / "a.sws").stat().st_size
    assert f"{size:,} bytes" in tried[-1]
    assert last.startswith(f"{tmp_path / 'a.sws'}: {size:,} bytes, ")
    assert "relative error 0." in last


def test_the_file_says_how_it_was_made(net: str, tmp_path: Path) -> None:
    quantized(net, "-o", tmp_path / "a.sws", "--target-bits", "5", *NOISE, "--rule", "4.*:raw")
    shown = run("inspect", tmp_path / "a.sws").stdout
    assert "made by: sws quantize net.py:make_model --target-bits 5 --calibrate noise:32 --rule '4.*:raw'" in shown
    assert "calibration: noise:32" in shown
    assert "target: 5 bits a weight" in shown
    assert str(tmp_path) not in shown.replace(str(tmp_path / "a.sws"), "")


def test_rules(net: str, tmp_path: Path) -> None:
    quantized(net, "-o", tmp_path / "a.sws", "--step", "0.003", *NOISE, "--rule", "*:fp16", "--rule", "0.*:raw")
    found, state = swsfmt.torch.load_file(tmp_path / "a.sws"), network().state_dict()
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor if name.startswith("0.") else tensor.half().float())


def test_a_forward_of_ones_own(net: str, tmp_path: Path) -> None:
    program(tmp_path)
    save_file({"x": torch.randn(40, 32), "y": torch.zeros(40, 1)}, tmp_path / "x.safetensors")
    forward = f"{tmp_path}/net.py:keywords"
    calibrate = ("--calibrate", tmp_path / "x.safetensors", "--device", "cpu")
    report = quantized(net, "-o", tmp_path / "a.sws", "--step", "0.001", *calibrate, "--forward", forward)
    assert report["error"] < 0.5
    assert "named x, y" in fails("quantize", net, "-o", tmp_path / "b.sws", "--step", "0.001", *calibrate).replace(
        "cannot be run on what it is to be calibrated with (x ", "named x, y "
    )


def test_statistics_are_kept_and_used(net: str, tmp_path: Path) -> None:
    program(tmp_path)
    statistics = ("--statistics", tmp_path / "s.safetensors", "--device", "cpu")
    quantized(net, "-o", tmp_path / "a.sws", "--step", "0.001", *NOISE, *statistics)
    report = quantized(net, "-o", tmp_path / "b.sws", "--step", "0.001", *statistics)
    assert report["calibration"] == "statistics of s.safetensors"
    first, second = (swsfmt.torch.load_file(tmp_path / name) for name in ("a.sws", "b.sws"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_network_from_its_weights_alone(net: str, pt: Path, tmp_path: Path) -> None:
    one = quantized(net, "-o", tmp_path / "a.sws", "--step", "0.001", "--calibrate", "none")
    quantized(pt, "-o", tmp_path / "b.sws", "--step", "0.001")
    first, second = (swsfmt.torch.load_file(tmp_path / name) for name in ("a.sws", "b.sws"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert one["error"] is None
    said = run("quantize", pt, "-o", tmp_path / "c.sws", "--step", "0.001").stdout
    assert "from the weights alone, without data" in said


def test_dry_run(pt: Path, net: str, tmp_path: Path) -> None:
    before = folder(tmp_path)
    for args in ((pt,), (pt, "--target-size", "3kB"), (net, "-o", tmp_path / "a.sws", *NOISE)):
        result = run("quantize", *args, "--dry-run")
        assert result.exit_code == 0, result.output
        assert "about" in result.stdout
    foretold = json.loads(run("quantize", pt, "--dry-run", "--json", "--target-size", "3kB").stdout)["foretold"]
    assert folder(tmp_path) == before
    assert foretold[0]["bytes"] == pytest.approx(3000, rel=0.01)
    report = quantized(pt, "--step", foretold[0]["step"])
    assert report["file_bytes"] == pytest.approx(3000, rel=0.3)


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_report(name: str, net: str, tmp_path: Path) -> None:
    if name.endswith("html"):
        pytest.importorskip("matplotlib")
    quantized(net, "-o", tmp_path / "a.sws", "--target-size", "3.1kB", *NOISE, "--report", tmp_path / name)
    written = (tmp_path / name).read_text()
    if name.endswith("json"):
        report = json.loads(written)
        layers = {layer["name"]: layer for layer in report["layers"]}
        assert layers.keys() == network().state_dict().keys()
        assert layers["0.weight"]["bits"] == pytest.approx(8 * layers["0.weight"]["bytes"] / 2048)
        assert 0 < layers["0.weight"]["error"] < 1
        assert sum(layer["bytes"] for layer in layers.values()) <= report["file_bytes"]
    else:
        assert written.count("data:image/svg+xml") == 3
        for text in ("Bits of each layer", "Error of each layer", "Rate and distortion", "0.weight"):
            assert text in written


# ---- stopped, and gone on with ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_alone", [False, True])
def test_resume(is_alone: bool, net: str, pt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sws.quantize import run as whole
    from sws.quantize.targets import search

    source = (pt,) if is_alone else (net, *NOISE)
    target = ("--target-size", "3.1kB")
    quantized(*source, "-o", tmp_path / "a.sws", *target)

    def stopped(target: Any, attempt: Any, **more: Any) -> Any:
        more["tried"].append(attempt(more["start"] * 1.3))
        raise KeyboardInterrupt

    monkeypatch.setattr(whole, "search", stopped)
    result = run("quantize", *source, "-o", tmp_path / "b.sws", *target)
    assert result.exit_code == 130
    assert "--resume" in result.stderr
    assert not (tmp_path / "b.sws").exists()
    assert (tmp_path / "b.sws.unfinished").is_dir()
    monkeypatch.setattr(whole, "search", search)
    assert "--resume" in fails("quantize", *source, "-o", tmp_path / "b.sws", *target)
    assert "another method" in fails(
        "quantize", *source, "-o", tmp_path / "b.sws", *target, "--resume", "--method", "grid"
    )
    report = quantized(*source, "-o", tmp_path / "b.sws", *target, "--resume")
    assert len(report["attempts"]) > 1
    assert 0.99 * 3100 <= report["file_bytes"] <= 3100
    step = report["step"]
    quantized(*source, "-o", tmp_path / "c.sws", "--step", repr(step))
    first, second = (swsfmt.torch.load_file(tmp_path / name) for name in ("b.sws", "c.sws"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_statistics_of_a_stopped_run_are_not_collected_again(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sws.quantize import calibrated
    from sws.quantize.collect import collect

    given = (net, *NOISE, "--step", "0.001", "--samples", "256")
    quantized(*given, "-o", tmp_path / "a.sws")
    counts: list[int] = []

    def counted(model: Any, batches: Any, *args: Any, **more: Any) -> Any:
        if len(counts) == 2:
            counts.append(0)
            raise KeyboardInterrupt
        counts.append(len(batches))
        return collect(model, batches, *args, **more)

    monkeypatch.setattr(calibrated, "_SAVE_EVERY", -1.0)
    monkeypatch.setattr(calibrated, "collect", counted)
    assert run("quantize", *given, "-o", tmp_path / "b.sws").exit_code == 130
    quantized(*given, "-o", tmp_path / "b.sws", "--resume")
    # 32 batches, of which 26 are calibrated with.
    assert sum(counts) == 26
    assert (tmp_path / "a.sws").read_bytes() == (tmp_path / "b.sws").read_bytes()


# ---- one clear error -------------------------------------------------------------------------------------------------


def test_a_target_that_cannot_be_reached(pt: Path, tmp_path: Path) -> None:
    message = fails_after_lines("quantize", pt, "--target-size", "100B", "--rule", "0.*:raw")
    assert "the target of 100 bytes cannot be reached, the least that comes out is" in message
    assert not pt.with_suffix(".sws").exists()


def fails_after_lines(*args: Any) -> str:
    """The error of a run that has told of attempts."""
    result = run(*args)
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("sws: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_an_error_above_the_limit(net: str, tmp_path: Path) -> None:
    message = fails_after_lines(
        "quantize", net, "-o", tmp_path / "a.sws", "--target-bits", "3", "--max-error", "0.01", *NOISE
    )
    assert "more than the 0.01 that was allowed" in message
    assert not (tmp_path / "a.sws").exists()
    # What was measured is kept, for another target.
    quantized(net, "-o", tmp_path / "a.sws", "--target-bits", "3", *NOISE, "--resume")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--rule", "0.wieght:raw"], "did you mean '0.weight'"),
        (["--rule", "0.weight:rwa"], "an action that does not exist"),
        (["--calibrate", "noise:31"], "cannot be run on what it is to be calibrated with"),
        (["--calibrate", "nothing.txt"], "no file of this name"),
        (["--forward", "nothing.py:f"], "no such file"),
        (["--statistics", "net.py"], "no statistics of calibration"),
        (["--device", "nothing"], "device 'nothing' cannot be used"),
        (["--report", "a.txt"], "a report is NAME.json or NAME.html"),
    ],
)
def test_refused_before_anything_takes_long(
    args: list[str], says: str, net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sws.quantize import calibrated

    def never(*args: Any, **more: Any) -> None:
        raise AssertionError("it was calibrated")

    monkeypatch.setattr(calibrated, "collect", never)
    monkeypatch.chdir(tmp_path)
    before = folder(tmp_path)
    assert says in fails("quantize", net, "-o", "a.sws", "--target-bits", "3", *NOISE, *args)
    assert folder(tmp_path) == before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value: float, pt: Path, tmp_path: Path) -> None:
    state = network().state_dict()
    state["2.weight"][3, 4] = value
    torch.save(state, pt)
    before = folder(tmp_path)
    message = json_error(pt)
    assert message["tensor"] == "2.weight"
    assert "infinite or NaN" in message["message"]
    assert folder(tmp_path) == before


def json_error(model: Path) -> dict[str, Any]:
    result = run("quantize", model, "--target-bits", "3", "--json")
    assert result.exit_code == 1
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    return error


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--target-error", "0.1"], "a target error needs a network that runs"),
        (["--target-bits", "3", "--max-error", "1"], "max_error needs a network"),
        (["--target-bits", "3", "--calibrate", "noise:3"], "calibration needs a network"),
        (["--target-bits", "3", "--forward", "a.py:f"], "forward needs a network"),
        (["--target-bits", "3", "--statistics", "a"], "statistics needs a network"),
        (["--target-bits", "3", "--tune", "9"], "tuning needs a network"),
    ],
)
def test_what_a_checkpoint_alone_cannot_do(args: list[str], says: str, pt: Path) -> None:
    message = fails("quantize", pt, *args)
    assert says in message
    assert "MODULE.py:FUNCTION" in message


@pytest.mark.parametrize(
    "args", [[], ["--target-bits", "3", "--step", "1"], ["--target-bits", "3", "-o", "-"], ["--target-bits", "x"]]
)
def test_wrong_usage(args: list[str], pt: Path) -> None:
    assert run("quantize", pt, *args).exit_code == 2


def test_the_output_is_not_the_input_and_is_not_replaced(pt: Path, net: str) -> None:
    assert "would be written over" in fails("quantize", pt, "-o", pt, "--step", "1")
    pt.with_suffix(".sws").write_bytes(b"mine")
    assert "--force" in fails("quantize", pt, "--step", "0.01")
    assert pt.with_suffix(".sws").read_bytes() == b"mine"
    quantized(pt, "--step", "0.01", "--force")
    assert run("quantize", net, "--step", "1").exit_code == 2
