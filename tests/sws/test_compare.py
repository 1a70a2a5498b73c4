"""`sws.compare`: errors of tensors and of outputs, as formulas say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

import swsfmt.torch
from sws.compare import OutputMeter, compare_outputs, compare_tensors
from sws.compare import tensors as module
from sws.compare.tensors import BINS
from swsfmt import FormatError, InputError, MismatchError


def pair() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    original = {"fc.weight": torch.randn(40, 30), "fc.bias": torch.randn(40), "steps": torch.tensor(7)}
    small = {**original, "fc.weight": (original["fc.weight"] * 4).round() / 4}
    return original, small


def test_errors_are_those_of_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 100)
    original, small = pair()
    result = compare_tensors(original, small)
    weight, bias, steps = result.tensors
    a, b = (state["fc.weight"].double().numpy().ravel() for state in (original, small))
    assert weight.name == "fc.weight"
    assert weight.shape == (40, 30)
    assert weight.relative_error == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a))
    assert weight.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert weight.max_error == np.abs(b - a).max()
    assert weight.rms == pytest.approx(math.sqrt((a * a).mean()))
    assert weight.differing == (a != b).sum()
    bins = np.histogram((b - a) / weight.rms, BINS, (-1, 1))[0]
    assert weight.histogram == tuple(bins)
    assert (bias.relative_error, bias.cosine, bias.differing) == (0, 1, 0)
    assert steps.elements == 1
    everything = [np.concatenate([state[name].double().numpy().ravel() for name in original])
                  for state in (original, small)]  # fmt: skip
    error = np.linalg.norm(everything[1] - everything[0]) / np.linalg.norm(everything[0])
    assert result.total.relative_error == pytest.approx(error)
    assert result.total.elements == 1241


def test_what_lies_far_out_is_in_the_outer_bins() -> None:
    (error,) = compare_tensors({"w": torch.ones(4)}, {"w": torch.tensor([1.0, 9.0, -9.0, 1.0])}).tensors
    assert (error.histogram[0], error.histogram[-1], error.histogram[BINS // 2]) == (1, 1, 2)


def test_zeros_and_what_is_not_finite() -> None:
    nan, inf = math.nan, math.inf
    original = {"zero": torch.zeros(3), "odd": torch.tensor([nan, inf, 1.0]), "none": torch.zeros(0, 2)}
    small = {"zero": torch.tensor([0.0, -0.0, 1.0]), "odd": torch.tensor([nan, 2.0, 1.0]), "none": torch.zeros(0, 2)}
    zero, odd, none = compare_tensors(original, small).tensors
    assert (zero.relative_error, zero.differing) == (math.inf, 1)
    assert math.isnan(zero.cosine)
    assert (odd.not_finite, odd.differing, odd.relative_error) == (1, 1, 0)
    assert (none.elements, none.relative_error, none.cosine) == (0, 0, 1)
    assert zero.to_json()["relative_error"] is None


def test_dtypes_may_differ() -> None:
    values = torch.randn(100)
    states = [{"w": values.to(dtype)} for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn)]
    for state, least in zip(states, (1e-3, 1e-4, 1e-2), strict=True):
        assert least / 10 < compare_tensors({"w": values}, state).total.relative_error < least * 10
    numbers = torch.randn(5, dtype=torch.complex64)
    assert compare_tensors({"w": numbers}, {"w": numbers + 1j}).tensors[0].max_error == pytest.approx(1)
    assert compare_tensors({"w": torch.tensor([True, False])}, {"w": torch.tensor([1, 2])}).total.differing == 1


def test_files_of_any_kind(tmp_path: Path) -> None:
    original, small = pair()
    safetensors.torch.save_file(original, tmp_path / "model.safetensors")
    torch.save({"state": {f"module.{name}": tensor for name, tensor in original.items()}}, tmp_path / "model.pt")
    swsfmt.torch.save_file({**small, "tied": small["fc.bias"]}, tmp_path / "small.sws")
    swsfmt.torch.save_file({f"module.{name}": tensor for name, tensor in small.items()}, tmp_path / "wrapped.sws")
    expected = compare_tensors(original, small).total
    done: list[tuple[int, int]] = []
    assert compare_tensors(tmp_path / "model.safetensors", small, step=lambda *n: done.append(n)).total == expected
    assert done == [(1, 3), (2, 3), (3, 3)]
    options = {"key": "state", "strip_prefix": ["module."]}
    assert compare_tensors(tmp_path / "model.pt", tmp_path / "wrapped.sws", **options).total == expected  # type: ignore[arg-type]
    assert compare_tensors((tmp_path / "small.sws").read_bytes(), tmp_path / "small.sws").total.relative_error == 0
    with pytest.raises(MismatchError, match="the original has not tied"):
        compare_tensors(tmp_path, tmp_path / "small.sws")
    with pytest.raises(InputError, match="no entries"):
        compare_tensors(tmp_path / "small.sws", small, key="state")
    (tmp_path / "cut.sws").write_bytes((tmp_path / "small.sws").read_bytes()[:-9])
    with pytest.raises(FormatError, match=r"cut\.sws"):
        compare_tensors(original, tmp_path / "cut.sws")


def test_names_and_shapes_that_differ_are_listed() -> None:
    original = {**{f"layer{i}": torch.zeros(1) for i in range(12)}, "same": torch.ones(2), "wide": torch.ones(2, 3)}
    small = {"same": torch.ones(2), "wide": torch.ones(3, 2), "more": torch.ones(1)}
    with pytest.raises(MismatchError) as error:
        compare_tensors(original, small)
    for part in ("layer0, layer1", "layer9 and 2 more", "the original has not more", "wide [2, 3] and [3, 2]"):
        assert part in str(error.value)
    result = compare_tensors(original, small, strict=False)
    assert [tensor.name for tensor in result.tensors] == ["same"]
    assert (len(result.missing), result.unexpected, result.reshaped) == (12, ["more"], [("wide", (2, 3), (3, 2))])
    with pytest.raises(MismatchError, match="no tensor is in both"):
        compare_tensors(original, {"other": torch.ones(1)}, strict=False)
    with pytest.raises(InputError, match="no tensor of torch"):
        compare_tensors({"w": 3}, original)  # type: ignore[dict-item]


# ---- outputs ---------------------------------------------------------------------------------------------------------


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(1)
    original = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 5))
    small = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 5))
    small.load_state_dict({name: tensor + 0.05 for name, tensor in original.state_dict().items()})
    return original, small


def test_outputs_as_torch_computes_them() -> None:
    original, small = networks()
    original[0].eval()
    classes = torch.randint(5, (7,))
    classes[0] = -100
    batch = torch.randn(7, 6), classes
    result = compare_outputs(original, small, [batch], logits=True, targets=lambda batch: batch[1])
    assert [original[0].training, original[1].training, small.training] == [False, True, True]
    first, second = (model.eval()(batch[0]).detach().double() for model in (original, small))
    cosines = torch.cosine_similarity(first, second)
    assert result.vectors == 7
    assert result.relative_error == pytest.approx(float((second - first).norm() / first.norm()))
    assert (result.cosine, result.least_cosine) == pytest.approx((float(cosines.mean()), float(cosines.min())))
    kl = kl_div(second.log_softmax(1), first.log_softmax(1), log_target=True, reduction="batchmean")
    assert result.kl == pytest.approx(float(kl))
    assert result.top1 == float((first.argmax(1) == second.argmax(1)).double().mean())
    assert result.perplexity == pytest.approx(float(cross_entropy(first, classes).exp()))
    assert result.small_perplexity == pytest.approx(float(cross_entropy(second, classes).exp()))


def test_batches_add_up() -> None:
    original, small = networks()
    inputs = torch.randn(10, 6)
    whole = compare_outputs(original, small, [inputs])
    done: list[int] = []
    parts = compare_outputs(original, small, [inputs[:3], inputs[3:]], step=done.append)
    assert done == [1, 2]
    assert whole.kl is whole.top1 is whole.perplexity is None
    assert parts.to_json() == pytest.approx(whole.to_json(), nan_ok=True)


def test_outputs_of_other_forms() -> None:
    original, small = networks()
    inputs = torch.randn(4, 6)
    outputs = {"counts": torch.tensor(3), "states": torch.randn(4, 9)}

    def forward(model: nn.Module, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {**outputs, "logits": model(batch)}

    assert compare_outputs(original, small, [inputs], forward).vectors == 8
    assert compare_outputs(original, small, [inputs], forward, logits=True).vectors == 4
    with pytest.raises(InputError, match="no tensor of floats"):
        compare_outputs(original, small, [inputs], lambda model, batch: "text")
    with pytest.raises(InputError, match="no batch"):
        compare_outputs(original, small, [])
    with pytest.raises(InputError, match="logits=True"):
        compare_outputs(original, small, [inputs], targets=lambda batch: batch)


def test_a_meter_refuses_what_cannot_be_compared() -> None:
    meter = OutputMeter(logits=True)
    ones = torch.ones(2, 3)
    with pytest.raises(MismatchError, match=r"\[2, 3\] and \[2, 4\]"):
        meter.add(ones, torch.ones(2, 4))
    with pytest.raises(InputError, match="one for each vector"):
        meter.add(ones, ones, torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="there are 3"):
        meter.add(ones, ones, torch.tensor([0, 3]))
    with pytest.raises(InputError, match="not finite"):
        meter.add(ones * math.inf, ones)
    with pytest.raises(InputError, match="without numbers"):
        meter.add(torch.ones(2, 0), torch.ones(2, 0))


def test_a_network_that_broke_is_not_called_equal() -> None:
    meter = OutputMeter()
    meter.add(torch.ones(2, 3), torch.tensor([[1.0, 1, 1], [math.nan, 1, 1]]))
    result = meter.result
    meter.add(torch.ones(1, 3), torch.ones(1, 3))
    for value in (result.cosine, result.least_cosine, result.relative_error, meter.result.max_error):
        assert math.isnan(value)
    assert result.to_json()["cosine"] is None
