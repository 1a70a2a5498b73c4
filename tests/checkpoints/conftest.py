"""A few tensors, and files of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from formats import METADATA, Tensors, written

import swsfmt.torch


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """Nothing is tied, so that all formats hold the same."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-3, 4, (40, 60), generator=generator) * 0.125
    weight[torch.rand(40, 60, generator=generator) < 0.8] = 0
    return {
        "weight": weight,
        "bias": torch.randn(300, generator=generator),
        "half": torch.randn(5, 3, generator=generator).bfloat16(),
        "empty": torch.zeros(0, 5),
        "steps": torch.tensor(7),
    }


@pytest.fixture(params=["pytorch", "safetensors", "index"])
def checkpoint(request: pytest.FixtureRequest, tensors: Tensors, tmp_path: Path) -> tuple[Path, str | None]:
    """A file, and the key of its tensors."""
    return written(request.param, tensors, tmp_path), "model" if request.param == "pytorch" else None


@pytest.fixture
def sws(tensors: Tensors, tmp_path: Path) -> Path:
    swsfmt.torch.save_file(tensors, tmp_path / "net.sws", METADATA)
    return tmp_path / "net.sws"
