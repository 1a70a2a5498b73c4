"""Which parameters are weights, in layers of every kind."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sws.layers import collect_weight_params, layer_parameters, weight_layers
from swsfmt import InputError


def names(model: nn.Module) -> list[str]:
    return [name for name, _ in weight_layers(model)]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(4, 3),
        nn.Bilinear(4, 3, 2),
        nn.Conv1d(4, 3, 2),
        nn.Conv2d(4, 3, 2),
        nn.Conv3d(4, 3, 2),
        nn.ConvTranspose1d(4, 3, 2),
        nn.ConvTranspose2d(4, 3, 2),
        nn.ConvTranspose3d(4, 3, 2),
        nn.Embedding(4, 3),
        nn.EmbeddingBag(4, 3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_with_one_weight(layer: nn.Module) -> None:
    assert names(layer) == ["weight"]
    assert names(nn.Sequential(nn.ReLU(), layer)) == ["1.weight"]
    # The bias is a parameter of the layer, where it has one.
    assert [name for name, _ in layer_parameters(layer)] == [name for name, _ in layer.named_parameters()]


def test_attention() -> None:
    assert names(nn.MultiheadAttention(4, 2)) == ["in_proj_weight", "out_proj.weight"]
    other = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)
    assert names(other) == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]
    assert {name for name, _ in layer_parameters(other)} == {name for name, _ in other.named_parameters()}


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrence(kind: type[nn.RNNBase]) -> None:
    model = kind(4, 3, num_layers=2, bidirectional=True)
    matrices = [f"weight_{part}_l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse") for part in ("ih", "hh")]
    assert names(model) == matrices
    assert {name for name, _ in layer_parameters(model)} == {name for name, _ in model.named_parameters()}


def test_recurrence_with_projection_and_cells() -> None:
    assert names(nn.LSTM(4, 3, proj_size=2)) == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]
    for kind in (nn.RNNCell, nn.GRUCell, nn.LSTMCell):
        assert names(kind(4, 3)) == ["weight_ih", "weight_hh"]


def test_norm_layers_and_loose_parameters_have_no_weights() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.PReLU())
    model.weight = nn.Parameter(torch.zeros(2, 2))
    assert layer_parameters(model) == []


def test_a_transformer() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16)
    assert names(model) == ["self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight"]


def test_what_two_layers_share_counts_once() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False))
    model[1].weight = model[0].weight
    assert names(model) == ["0.weight"]
    shared = nn.Linear(3, 3)
    assert names(nn.Sequential(shared, nn.ReLU(), shared)) == ["0.weight"]


def test_the_weights_share_memory_and_have_no_gradients() -> None:
    model = nn.Linear(2, 2)
    (weight,) = collect_weight_params(model)
    weight.fill_(3)
    assert not weight.requires_grad
    assert model.weight.eq(3).all()


def test_computed_weights_are_refused() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2)))
    with pytest.raises(InputError, match="'0' computes its weights from other tensors"):
        weight_layers(model)
