"""Products of levels and scales by the kernels of torch for integers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import swsfmt.nn
import swsfmt.torch
from swsfmt.nn import compress


def linear(weight: Any) -> torch.nn.Module:
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    model = torch.nn.Sequential(layer)
    return compress(
        model, swsfmt.torch.save({"0.weight": weight, "0.bias": torch.ones(weight.shape[0])}), mode="integer"
    )


@pytest.mark.skipif(not swsfmt.nn.products.HAS_INT4, reason="this torch has no kernel for them")
@pytest.mark.parametrize("group", [32, 64, 256])
@pytest.mark.parametrize("shift", ["none", "zero", "offset"])
def test_levels_of_four_bits(group: int, shift: str) -> None:
    torch.manual_seed(0)
    levels = torch.randint(0, 16, (48, 256), dtype=torch.uint8)
    scale = torch.rand(48, 256 // group) + 0.5
    more: Any = {}
    if shift != "none":
        more[shift] = torch.randint(0, 16, scale.shape).to(torch.uint8 if shift == "zero" else torch.float32)
    scaled = swsfmt.torch.Scaled(levels, scale, **more)
    model = linear(scaled)
    layer: Any = model[0]
    assert isinstance(layer.product, swsfmt.nn.products.Int4Product)
    assert layer.product.nbytes <= 48 * 256 / 2 + 8 * scale.numel()
    x = torch.randn(5, 256)
    torch.testing.assert_close(model(x), x @ scaled.dequantize().T + 1, rtol=1e-4, atol=1e-3)


def test_levels_of_eight_bits() -> None:
    torch.manual_seed(0)
    scaled = swsfmt.torch.Scaled(torch.randint(-127, 128, (40, 64), dtype=torch.int8), torch.rand(40, 1))
    model = linear(scaled)
    layer: Any = model[0]
    assert isinstance(layer.product, swsfmt.nn.products.Int8Product)
    x = torch.randn(2, 3, 64)
    torch.testing.assert_close(model(x), x @ scaled.dequantize().T + 1, rtol=1e-4, atol=1e-3)
