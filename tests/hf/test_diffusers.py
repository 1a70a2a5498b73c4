"""Models of diffusers, where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

import swsfmt

diffusers = pytest.importorskip("diffusers")
diffusion = pytest.importorskip("swsfmt.hf.diffusion")


def test_there_and_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        layers_per_block=1,
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 16).round() / 16 + 0.0)
    diffusion.save_pretrained(model, tmp_path / "a")
    (file,) = (tmp_path / "a").glob("*.safetensors")
    assert list(safetensors.torch.load_file(file)) == ["model.sws"]
    assert json.loads((tmp_path / "a" / "config.json").read_text())["quantization_config"] == {"quant_method": "sws"}
    loaded = diffusers.UNet2DModel.from_pretrained(tmp_path / "a")
    state = loaded.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    loaded.save_pretrained(tmp_path / "b")
    assert (tmp_path / "b" / file.name).stat().st_size == file.stat().st_size
    safetensors.torch.save_file({"weight": torch.zeros(3)}, file)
    with pytest.raises(swsfmt.InputError, match=r"as tensor 'model\.sws'"):
        diffusers.UNet2DModel.from_pretrained(tmp_path / "a")
