"""What a model has to be after a file was loaded into it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import swsfmt.torch


def check(model: nn.Module, path: Path) -> None:
    expected = swsfmt.torch.load_file(path)
    assert list(expected) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
