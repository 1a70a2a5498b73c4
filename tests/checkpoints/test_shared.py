"""The shared checkpoints: exact, and as small as promised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import swsfmt
from swsfmt.torch import load, save

MAX_BYTES = {
    "lenet_300_100_quantized": 16_050,
    "lenet5_quantized": 21_400,
    "tutorialnet_quantized": 69_400,
    "lenet_300_100_sparse": 3_420,
    "lenet5_sparse": 2_290,
    "tutorialnet_sparse": 5_860,
}
MAX_HEADER_AND_INDEX = {"lenet5_quantized": 160, "lenet5_sparse": 160}


@pytest.fixture(scope="module")
def state(checkpoint_path: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(checkpoint_path, weights_only=True, map_location="cpu")
    return loaded


@pytest.fixture(scope="module")
def data(state: dict[str, torch.Tensor]) -> bytes:
    return save(state)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_bit_exact(state: dict[str, torch.Tensor], data: bytes) -> None:
    loaded = load(data)
    assert list(loaded) == list(state)
    for name, tensor in state.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        assert bits(loaded[name]) == bits(tensor)


def test_size(checkpoint_path: Path, state: dict[str, torch.Tensor], data: bytes) -> None:
    name = checkpoint_path.stem
    report = swsfmt.verify(data)
    assert report.file_bytes == len(data)
    assert report.dense_bytes == sum(t.numel() * t.element_size() for t in state.values())
    if name in MAX_BYTES:
        assert len(data) <= MAX_BYTES[name]
    else:
        assert len(data) <= report.dense_bytes + report.sections["header_and_index"]
    if name in MAX_HEADER_AND_INDEX:
        assert report.sections["header_and_index"] <= MAX_HEADER_AND_INDEX[name]


def test_sections_sum(data: bytes) -> None:
    report = swsfmt.verify(data)
    assert sum(report.sections.values()) == len(data)
    for tensor in report.tensors:
        assert sum(tensor.sections.values()) == tensor.file_bytes


def test_fixed_width_is_exact_too(state: dict[str, torch.Tensor]) -> None:
    data = save(state, pbits=5, huffman=False)
    swsfmt.verify(data)
    for name, tensor in load(data).items():
        assert bits(tensor) == bits(state[name])
