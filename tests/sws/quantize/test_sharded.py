"""A checkpoint alone, tensor by tensor: the same file whether it is stopped or not, wherever it is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import swsfmt
import swsfmt.torch
from sws.quantize import sharded
from sws.quantize.networks import NAMES, Plan
from sws.quantize.request import silent
from sws.quantize.sharded import ShardedAttempts, survey, whole_plan
from sws.quantize.sketch import Sketch
from sws.quantize.targets import Target
from sws.quantize.work import Work
from swsfmt import InputError, checkpoints
from swsfmt.tensor import Loadable, Tied

STEP = 0.002


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Two shards, with vectors, integers, a half-precision tensor, zeros and a scalar."""
    random = torch.Generator().manual_seed(0)
    folder, weight_map = tmp_path / "model", {}
    folder.mkdir()
    for shard in range(2):
        tensors = {
            f"layer{shard}.weight": torch.randn(40, 64, generator=random),
            f"layer{shard}.bias": torch.randn(40, generator=random),
            f"layer{shard}.half": torch.randn(24, 16, generator=random).bfloat16(),
            f"layer{shard}.ids": torch.arange(12),
            f"layer{shard}.conv": torch.randn(8, 4, 3, 3, generator=random),
            f"layer{shard}.scale": torch.tensor(0.3),
            f"layer{shard}.empty": torch.zeros(0, 3),
        }
        file = f"model-{shard + 1:05d}-of-00002.safetensors"
        save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(tensors, file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


def surveyed(tensors: Mapping[str, Loadable | Tied], method: str) -> Sketch:
    return survey(tensors, whole_plan(Plan.of(method, (), tensors), tensors), lambda done, total: None)


def attempts(
    index: Path, work: Path, method: str = "feedback", rules: tuple[str, ...] = (), **more: Any
) -> ShardedAttempts:
    opened = checkpoints.open(index)
    plan = whole_plan(Plan.of(method, rules, opened.tensors), opened.tensors)
    kept = Work(work, {}, resume=True)
    return ShardedAttempts(opened.tensors, plan, kept, lambda step: {"step": f"{step}"}, progress=silent, **more)


@pytest.mark.parametrize("method", NAMES)
def test_the_file_holds_what_the_network_of_each_tensor_gives(method: str, index: Path, tmp_path: Path) -> None:
    step = STEP if method == "feedback" else 0.1
    rules = ("layer0.half:raw", "*.bias:bf16", "layer1.weight:step=0.25")
    made = attempts(index, tmp_path / "a.sws", method, rules)
    attempt = made(step)
    size = made.write(step, str(tmp_path / "a.sws"))
    assert attempt.bytes == size == (tmp_path / "a.sws").stat().st_size
    assert attempt.weight_error is not None
    assert 0.001 < attempt.weight_error < 0.5
    found = swsfmt.torch.load_file(tmp_path / "a.sws")
    original = {name: swsfmt.torch.to_tensor(t) for name, t in all_elements(index).items()}
    assert list(found) == list(original)
    for name, tensor in found.items():
        assert (tensor.dtype, tensor.shape) == (original[name].dtype, original[name].shape)
    for name in ("layer0.half", "layer0.ids", "layer1.empty"):
        assert torch.equal(found[name], original[name])
    assert torch.equal(found["layer0.bias"], original["layer0.bias"].bfloat16().float())
    errors = [float((found[f"layer{i}.weight"] - original[f"layer{i}.weight"]).norm()) for i in range(2)]
    assert 0 < errors[1] < 0.8 * errors[0]
    details = made.details(step)
    assert details["layer0.weight"]["error"] == pytest.approx(errors[0] ** 2)


def all_elements(index: Path) -> dict[str, Any]:
    opened = checkpoints.open(index)
    return {name: opened.elements(name) for name in opened.tensors}


class StoppedError(Exception):
    pass


def test_stopped_and_gone_on_with_to_the_same_bytes(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts(index, tmp_path / "a.sws").write(STEP, str(tmp_path / "a.sws"))
    original, seen = sharded.quantize_part, []

    def counted(*args: Any, stop_after: int) -> bytes:
        if len(seen) == stop_after:
            raise StoppedError
        seen.append(args[1])
        return original(*args)

    monkeypatch.setattr(sharded, "quantize_part", lambda *args: counted(*args, stop_after=4))
    with pytest.raises(StoppedError):
        attempts(index, tmp_path / "b.sws").write(STEP, str(tmp_path / "b.sws"))
    assert not (tmp_path / "b.sws").exists()
    first, seen = seen, []
    monkeypatch.setattr(sharded, "quantize_part", lambda *args: counted(*args, stop_after=100))
    attempts(index, tmp_path / "b.sws").write(STEP, str(tmp_path / "b.sws"))
    assert len(first) == 4
    assert not set(first) & set(seen)
    assert (tmp_path / "b.sws").read_bytes() == (tmp_path / "a.sws").read_bytes()


def test_parts_of_another_step_go(index: Path, tmp_path: Path) -> None:
    made = attempts(index, tmp_path / "a.sws")
    sizes = [made(step).bytes for step in (STEP, 2 * STEP, STEP)]
    assert sizes[0] == sizes[2] > sizes[1]
    assert [path.name for path in (tmp_path / "a.sws.unfinished").glob("step-*")] == [f"step-{STEP.hex()}"]


@pytest.mark.parametrize("executor", [lambda: ThreadPoolExecutor(2), lambda: ProcessPoolExecutor(2)])
def test_an_executor_gives_the_same_bytes(executor: Callable[[], Any], index: Path, tmp_path: Path) -> None:
    attempts(index, tmp_path / "a.sws").write(STEP, str(tmp_path / "a.sws"))
    with executor() as workers:
        attempts(index, tmp_path / "b.sws", executor=workers).write(STEP, str(tmp_path / "b.sws"))
    assert (tmp_path / "a.sws").read_bytes() == (tmp_path / "b.sws").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["w", "v"])
def test_weights_that_are_not_finite(value: float, name: str, tmp_path: Path) -> None:
    tensors = {"w": torch.ones(3, 4), "v": torch.ones(5), "ids": torch.arange(3)}
    tensors[name].view(-1)[1] = value
    save_file(tensors, tmp_path / "a.safetensors")
    opened = checkpoints.open(tmp_path / "a.safetensors")
    if name == "v":
        # A vector is no matrix that is quantised: a mask may hold -inf.
        survey(
            opened.tensors, whole_plan(Plan.of("grid", (), opened.tensors), opened.tensors), lambda done, total: None
        )
        return
    with pytest.raises(InputError, match="infinite or NaN") as error:
        survey(
            opened.tensors, whole_plan(Plan.of("grid", (), opened.tensors), opened.tensors), lambda done, total: None
        )
    assert error.value.tensor == name


def test_a_size_is_foretold(index: Path, tmp_path: Path) -> None:
    opened = checkpoints.open(index)
    made = attempts(index, tmp_path / "a.sws")
    sketch = survey(
        opened.tensors, whole_plan(Plan.of("feedback", (), opened.tensors), opened.tensors), lambda done, total: None
    )
    assert sketch.elements == sum(t.info.numel for t in opened.tensors.values())  # type: ignore[union-attr]
    for bits in (3.0, 6.0):
        step = sketch.step(Target.bits(bits))
        assert 8 * sketch.bytes(step) / sketch.elements == pytest.approx(bits, rel=0.02)
        assert made(step).bytes == pytest.approx(sketch.bytes(step), rel=0.35)


def test_the_error_of_the_weights_is_that_of_matrices(tmp_path: Path) -> None:
    """Statistics of a batch norm, large numbers that float16 holds well, do not make it a small one."""
    tensors = {"layer.weight": torch.randn(40, 64), "norm.running_var": 1000 * torch.rand(40) + 0.1}
    save_file(tensors, tmp_path / "model.safetensors")
    attempt = attempts(tmp_path / "model.safetensors", tmp_path / "work")(0.01)
    own = attempts(tmp_path / "model.safetensors", tmp_path / "work").details(0.01)
    assert own["norm.running_var"]["weight"] == 0
    assert attempt.weight_error == pytest.approx((own["layer.weight"]["error"] / own["layer.weight"]["weight"]) ** 0.5)
