"""The customary estimate, which the reports set beside the size of the file."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from data import data_folder

from sws.estimate import customary_estimate


def test_by_hand_with_fixed_widths() -> None:
    ids = np.zeros((3, 40), int)
    ids[0, [0, 9]] = 1, 2
    ids[2, 35] = 3
    found = customary_estimate(ids, components=5, pbits=4, huffman=False)
    # Distances 0, 9 and 35; the last is 15 + 15 + 5.
    assert found.column_indices == 4 * 5
    assert found.values == 3 * 3
    assert found.row_pointers == 4 * 2
    assert found.means == 4 * 32
    assert found.bits == 20 + 9 + 8 + 128


def test_by_hand_with_entropies() -> None:
    ids = np.array([[1, 1, 0, 2], [0, 0, 0, 1]])
    found = customary_estimate(ids, components=3, pbits=5)
    # Distances 0, 1, 2, 3: four symbols of two bits each. Values 1, 1, 2, 1.
    assert found.column_indices == 8
    assert found.values == round(3 * math.log2(4 / 3) + math.log2(4))


def test_a_distance_that_just_fits_has_no_filler() -> None:
    ids = np.zeros((1, 40), int)
    ids[0, 15] = 1
    assert customary_estimate(ids, 2, pbits=4, huffman=False).column_indices == 4
    ids[0] = np.roll(ids[0], 1)
    assert customary_estimate(ids, 2, pbits=4, huffman=False).column_indices == 8


def test_nothing_but_zeros() -> None:
    found = customary_estimate(np.zeros((6, 7), int), components=4, pbits=5)
    assert (found.row_pointers, found.column_indices, found.values, found.means) == (7, 0, 0, 96)


@pytest.mark.skipif(data_folder() is None, reason="no checkpoints: set SWS_DATA")
@pytest.mark.parametrize("name", ["lenet5", "lenet_300_100"])
def test_it_is_what_published_reports_say(name: str) -> None:
    """Row pointers and column indices to the bit; ids differ where two components came to have the same mean."""
    folder = data_folder()
    assert folder is not None
    folder /= "checkpoints"
    published = json.loads((folder / f"{name}_report.json").read_text())
    mixture = json.loads((folder / f"{name}_mixture.json").read_text())
    means = torch.tensor(mixture["mu"])
    state = torch.load(folder / f"{name}_quantized.pt", map_location="cpu", weights_only=True)
    matrices = [tensor for tensor in state.values() if tensor.dim() > 1]
    total = 0
    for tensor, layer in zip(matrices, published["layers"], strict=True):
        ids = (tensor.unsqueeze(-1) - means).abs().argmin(-1).flatten(1).numpy()
        found = customary_estimate(ids, mixture["J"], pbits=8 if tensor.dim() > 2 else 5)
        assert found.row_pointers == layer["bits_IR"]
        assert found.column_indices == layer["bits_IC"]
        assert found.means == layer["bits_codebook"]
        assert found.values == pytest.approx(layer["bits_A"], rel=0.06)
        total += found.bits
    assert total == pytest.approx(published["compressed_bits"], rel=0.005)
