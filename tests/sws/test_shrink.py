"""Pruning, the shared codebook, the rate term, and all of it on a small problem."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from torch import nn
from two_classes import Batches, network, trained

import sws.shrink
import swsfmt.torch
from sws.shrink import Distillation, Pruning, Quantization, Settings, compress_network
from sws.shrink.codebook import SharedCodebook, k_means
from sws.shrink.procedure import Progress
from sws.shrink.pruning import GlobalPruner, cubic_sparsity, group_norms
from sws.shrink.rate import file_size, symbol_bits, without
from swsfmt import InputError


def error(model: nn.Module) -> float:
    data = Batches()
    with torch.no_grad():
        return 1 - (model(data.inputs).argmax(1) == data.targets).float().mean().item()


QUICK = Settings(
    pruning=Pruning(sparsity=0.9, epochs=12, learning_rate=1e-2),
    quantization=Quantization(values=4, epochs=4, learning_rate=1e-3, codebook_learning_rate=1e-2),
)


def test_cubic_sparsity() -> None:
    assert cubic_sparsity(0.9, 0.0, 0.6) == 0
    assert cubic_sparsity(0.9, 0.3, 0.6) == pytest.approx(0.9 * (1 - 0.5**3))
    assert cubic_sparsity(0.9, 0.6, 0.6) == cubic_sparsity(0.9, 1.0, 0.6) == 0.9


def test_one_threshold_for_all() -> None:
    tensors = [torch.tensor([1.0, -5.0, 3.0]), torch.tensor([[0.5, -0.1], [4.0, 2.0]])]
    pruner = GlobalPruner(tensors)
    pruner.prune(4 / 7)
    assert [mask.tolist() for mask in pruner.masks] == [[False, True, True], [[False, False], [True, False]]]
    pruner.apply()
    assert tensors[0].tolist() == [0, -5, 3]
    pruner.prune(0.0)
    assert pruner.masks[0].all()


def test_group_norms() -> None:
    weights = [torch.tensor([[3.0, 0.0, 0.0], [4.0, 0.0, 0.0]])]
    assert group_norms(weights, 0).item() == pytest.approx(5 * math.sqrt(2), rel=1e-4)
    assert group_norms(weights, 1).item() == pytest.approx(7 * math.sqrt(3), rel=1e-4)


@pytest.mark.parametrize("values", [1, 2, 5])
def test_k_means_finds_clusters(values: int) -> None:
    centres = torch.arange(values) * 2.0 - 3
    weights = (centres[:, None] + torch.linspace(-0.1, 0.1, 11)).flatten()
    torch.testing.assert_close(k_means(weights, values), centres)


def test_k_means_of_few_values() -> None:
    assert k_means(torch.tensor([1.0, 1.0, 2.0]), 8).tolist() == [1, 2]


def test_codebook_passes_gradients_straight_through() -> None:
    weight = torch.tensor([[0.0, 1.1, -2.0], [0.9, 0.0, -2.2]])
    codebook = SharedCodebook([weight], 2)
    torch.testing.assert_close(codebook.values.detach(), torch.tensor([0.0, -2.1, 1.0]))
    assert codebook.ids[0].tolist() == [[0, 2, 1], [2, 0, 1]]
    assert codebook.counts().tolist() == [2, 2, 2]
    gradient = torch.tensor([[7.0, 1.0, 2.0], [3.0, 7.0, 4.0]])
    codebook.set_gradients([gradient])
    assert codebook.values.grad is not None
    assert codebook.values.grad.tolist() == [0, 6, 4]
    assert codebook.latent[0].grad is not None
    assert codebook.latent[0].grad.tolist() == [[0, 1, 2], [3, 0, 4]]


@pytest.mark.parametrize(("to_zero", "lives"), [(False, True), (True, False)])
def test_zero_can_be_a_value(to_zero: bool, lives: bool) -> None:
    codebook = SharedCodebook([torch.tensor([0.1, 1.0, 1.1, 0.0])], 1, to_zero=to_zero)
    assert codebook.ids[0].ne(0).tolist() == [lives, True, True, False]


def test_the_rate_is_the_bits_of_the_symbols_and_between_them_linear() -> None:
    codebook = SharedCodebook([torch.tensor([-1.0, -1.0, 3.0, 0.0])], 2)
    assert codebook.values.tolist() == [0, -1, 3]
    codebook.bits = torch.tensor([0.0, 2.0, 9.0])
    assert codebook.rate().item() == 2 + 2 + 9
    with torch.no_grad():
        codebook.latent[0].copy_(torch.tensor([-0.5, -7.0, 1.0, 1.0]))
    rate = codebook.rate()
    rate.backward()
    # A pruned weight takes no bits; one beyond the values has those of the last one.
    assert rate.item() == 1 + 2 + 3
    assert codebook.latent[0].grad is not None
    assert codebook.latent[0].grad.tolist() == [-2, 0, 3, 0]


def test_the_rate_makes_the_file_smaller() -> None:
    def size(rate: float) -> int:
        quantization = Quantization(values=4, epochs=4, learning_rate=1e-2, rate=rate)
        settings = Settings(pruning=Pruning(sparsity=0.5, epochs=2), quantization=quantization)
        return file_size(compress_network(trained(), Batches(), settings).state_dict())

    assert size(1e-3) < size(0.0)


def test_symbol_bits_come_to_those_of_the_file() -> None:
    """A symbol takes its codeword more than the entry does, and all of them what the file takes."""
    torch.manual_seed(0)
    ids = torch.multinomial(torch.tensor([0.9, 0.05, 0.03, 0.015, 0.005]), 20000, replacement=True)
    state = {"w": torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0])[ids].reshape(100, 200)}
    counts = torch.bincount(ids)
    file_bits = 8 * (file_size(state) - file_size(without(state, ["w"])))
    bits = symbol_bits(counts, file_bits)
    assert bits[0] == 0
    assert (bits[1:] - bits[1]).tolist() == [0, 1, 2, 2]
    assert float((bits * counts).sum()) == pytest.approx(file_bits, rel=1e-5)


def test_without() -> None:
    state = {"a": torch.ones(2), "b": torch.ones(2)}
    assert {name: tensor.tolist() for name, tensor in without(state, ["a"]).items()} == {"a": [0, 0], "b": [1, 1]}
    assert state["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("counts", "file_bits", "wanted"),
    [([7, 0, 0], 40, [0, 41, 41]), ([7, 4, 0], 40, [0, 10, 12]), ([7, 4, 4], 0, [0, 1, 1]), ([7], 0, [0])],
    ids=["none", "one", "no bits", "no codebook"],
)
def test_symbol_bits_of_few_symbols(counts: list[int], file_bits: int, wanted: list[float]) -> None:
    assert symbol_bits(torch.tensor(counts), file_bits).tolist() == wanted


def test_the_whole_procedure() -> None:
    model = trained()
    before, dense = error(model), file_size(model.state_dict())
    told: list[Progress] = []
    assert compress_network(model, Batches(), QUICK, report=told.append) is model
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert (weights == 0).float().mean() >= 0.9
    assert len(weights.unique()) <= 5
    assert torch.equal(weights, weights.half().float())
    assert error(model) <= before + 0.1 < 0.5
    size = file_size(model.state_dict())
    assert size * 8 < dense
    assert [(p.phase, p.epoch) for p in told] == [("prune", i + 1) for i in range(12)] + [
        ("quantize", i + 1) for i in range(4)
    ]
    assert told[-1].bytes is not None
    assert size <= told[-1].bytes, "the last steps may only make the file smaller"


def test_equal_seeds_give_equal_files() -> None:
    files = [swsfmt.torch.save(compress_network(trained(), Batches(), QUICK).state_dict()) for _ in range(2)]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    "settings",
    [
        Settings(pruning=Pruning(epochs=0), quantization=Quantization(epochs=0), order=False),
        Settings(pruning=Pruning(epochs=1, sparsity=0.0), quantization=Quantization(epochs=1)),
        Settings(pruning=Pruning(epochs=2, regrow=False), quantization=Quantization(epochs=0)),
        Settings(
            pruning=Pruning(epochs=2, column_penalty=1e-4, row_penalty=1e-4),
            quantization=Quantization(epochs=1, rate=1e-3),
        ),
        Settings(pruning=Pruning(epochs=2), distillation=Distillation(0.5), remove_dead=False),
    ],
    ids=["nothing", "no pruning", "no regrowth", "group penalty, rate", "distillation"],
)
def test_every_ingredient_can_be_switched(settings: Settings) -> None:
    model = compress_network(trained(), Batches(), settings)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert len(torch.cat([p.detach().flatten() for p in model.parameters()]).unique()) <= 9


@pytest.mark.parametrize(("name", "axis"), [("column_penalty", 0), ("row_penalty", 1)])
def test_group_penalties_empty_groups(name: str, axis: int) -> None:
    def groups(penalty: float) -> int:
        settings = {"sparsity": 0.5, "epochs": 10, "learning_rate": 1e-2, "weight_decay": 0.0, name: penalty}
        pruning = Pruning(**settings)  # type: ignore[arg-type]
        model = compress_network(trained(), Batches(), Settings(pruning=pruning, quantization=Quantization(epochs=0)))
        return int(model[0].weight.ne(0).any(axis).sum())

    assert groups(3e-3) < groups(0.0)


def test_norm_layers_keep_their_floats() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(20, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    settings = Settings(pruning=Pruning(epochs=2), quantization=Quantization(epochs=1), remove_dead=False, order=False)
    compress_network(model, Batches(), settings)
    assert len(model[1].weight.unique()) > 9


def test_errors() -> None:
    with pytest.raises(InputError, match="no layer with weights"):
        compress_network(nn.ReLU(), Batches())
    with pytest.raises(InputError, match="all of them are frozen"):
        compress_network(network().requires_grad_(False), Batches())
    with pytest.raises(InputError, match="sparsity"):
        Settings(pruning=Pruning(sparsity=1.0))
    with pytest.raises(InputError, match=r"quantization.valeus: Unexpected"):
        Settings.from_dict({"quantization": {"valeus": 3}})
    with pytest.raises(InputError, match=r"speed: Unexpected"):
        Settings.from_dict({"speed": 3})
    model = network()
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        compress_network(model, Batches(), QUICK)


def test_settings_from_a_recipe() -> None:
    found = Settings.from_dict({"pruning": {"sparsity": 0.99}, "quantization": {"values": 16}, "order": False})
    assert (found.pruning.sparsity, found.quantization.values, found.order) == (0.99, 16, False)
    assert found.distillation == Distillation()


def test_former_names() -> None:
    for module in ("sws.shrink", "sws.shrink.settings"):
        with pytest.warns(DeprecationWarning, match="Quantisation is called Quantization now"):
            assert importlib.import_module(module).Quantisation is Quantization
    with pytest.warns(DeprecationWarning, match="quantise_network is called quantize_network now"):
        assert sws.shrink.quantise_network is sws.shrink.quantize_network
    with pytest.raises(AttributeError, match="has no attribute 'Quantisierung'"):
        sws.shrink.Quantisierung  # noqa: B018
