"""Quantisation-aware training of levels and scales: what the network computes with is what the file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from two_classes import Batches, trained

import swsfmt.torch
from sws.quantize import quantize_model
from sws.shrink import Distillation, Quantization, Settings, compress_network
from sws.shrink.grid import Grids
from swsfmt import InputError
from swsfmt.torch import Scaled


def loss(model: nn.Module) -> float:
    data = Batches()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(data.inputs), data.targets))


SETTINGS = Settings(quantization=Quantization(epochs=16, learning_rate=5e-3, codebook_learning_rate=5e-3))


def test_training_repairs_what_quantising_cost(tmp_path: Path) -> None:
    model = trained()
    quantized = quantize_model(model, target=0.06)
    coarse, before = trained(), loss(model)
    quantized.apply_to(coarse)
    cost = loss(coarse) - before
    assert cost > 0.01
    given = dict(quantized.tensors)
    sizes: list[int] = []
    compress_network(
        model, Batches(), SETTINGS, scaled=given, report=lambda progress: sizes.append(progress.bytes or 0)
    )
    assert loss(model) - before < cost / 2
    # What is saved is what the network computes with, at about the same size.
    swsfmt.torch.save_file(given, tmp_path / "a.sws")
    found = swsfmt.torch.load_file(tmp_path / "a.sws")
    assert all(torch.equal(found[name], tensor) for name, tensor in model.state_dict().items())
    assert isinstance(given["0.weight"], Scaled)
    first = quantized.tensors["0.weight"]
    assert isinstance(first, Scaled)
    assert not torch.equal(given["0.weight"].levels, first.levels)
    assert len(sizes) == 16
    # Each scale is a number of its own now, of two bytes.
    assert (tmp_path / "a.sws").stat().st_size < 1.2 * quantized.size() + 2 * (20 + 32 + 32 + 2)


def test_resumed_to_the_same_levels(tmp_path: Path) -> None:
    results = []
    for stop in (False, True):
        model = trained()
        given: dict[str, Any] = dict(quantize_model(model, target=0.03).tensors)
        folder = tmp_path / str(stop)
        folder.mkdir()
        if stop:

            def interrupt(progress: Any) -> None:
                if progress.epoch == 4:
                    raise KeyboardInterrupt

            other = dict(given)
            with pytest.raises(KeyboardInterrupt):
                compress_network(trained(), Batches(), SETTINGS, scaled=other, run_dir=folder, report=interrupt)
        compress_network(model, Batches(), SETTINGS, scaled=given, run_dir=folder, resume=stop)
        results.append(swsfmt.torch.save(given))
    assert results[0] == results[1]


def test_distillation_and_tied_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(20, 20), nn.Linear(20, 20)
            self.second.weight = self.first.weight
            self.out = nn.Linear(20, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.out(torch.relu(self.second(torch.relu(self.first(x)))))
            return result

    model = Tied()
    given = dict(quantize_model(model, target=0.01).tensors)
    settings = Settings(quantization=Quantization(epochs=1), distillation=Distillation(weight=0.5))
    compress_network(model, Batches(), settings, scaled=given)
    assert given["first.weight"] is given["second.weight"]
    assert torch.equal(model.first.weight, given["first.weight"].dequantize())  # type: ignore[operator, union-attr]


@pytest.mark.parametrize("rounding", ["once", "each"])
def test_every_form(rounding: Any) -> None:
    """Blocks, a zero point, an offset, half precision: before any training nothing changes."""
    random = torch.Generator().manual_seed(0)
    levels = torch.randint(-7, 8, (6, 10), generator=random).to(torch.int8)
    scale = torch.rand(6, 3, generator=random).half() + 0.5
    forms = {
        "a": Scaled(levels, scale, dtype=torch.float16, rounding=rounding, blocks=(1, 4)),
        "b": Scaled(levels, scale, zero=torch.full((6, 3), 2, dtype=torch.int8), blocks=(1, 4)),
        "c": Scaled(levels, [scale[:, :1], torch.rand(1, 10, generator=random) + 0.5], offset=0.25),
        "d": Scaled(levels.int(), 0.125),
    }
    parameters = {name: own.dequantize() for name, own in forms.items()}
    grids = Grids(parameters, forms)
    for (name, own), new in zip(forms.items(), grids.scaled().items(), strict=True):
        assert torch.equal(new[1].levels, own.levels), name
        assert torch.equal(new[1].dequantize(), own.dequantize())
    for value, expected in zip(grids.quantized(), parameters.values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=2e-3, atol=2e-3)
    grids.set_gradients([torch.ones(6, 10, dtype=p.dtype) for p in parameters.values()])
    assert all(log.grad is not None and bool(log.grad.any()) for logs in grids.logs for log in logs)


def test_refused() -> None:
    model = trained()
    with pytest.raises(InputError, match="none of the parameters"):
        compress_network(model, Batches(), SETTINGS, scaled={"0.weight": model[0].weight})  # type: ignore[dict-item]
    wrong: dict[str, Any] = {"0.weight": Scaled(torch.ones(3, 4, dtype=torch.int8), 0.5)}
    with pytest.raises(InputError, match="have shape"):
        compress_network(model, Batches(), SETTINGS, scaled=wrong)
    floats: dict[str, Any] = {"0.weight": Scaled(torch.ones(32, 20), 0.5)}
    with pytest.raises(InputError, match="only integers"):
        compress_network(model, Batches(), SETTINGS, scaled=floats)
