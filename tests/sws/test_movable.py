"""Neurons of networks of many kinds: sorted and removed with equal outputs, or refused before the first epoch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset

from sws.chain import Chain, layer_chain
from sws.neurons import order_neurons, permute, remove_dead_neurons
from sws.shrink import Pruning, Quantization, Settings, compress_network
from sws.shrink.progress import Progress
from sws.shrink.rate import file_size
from sws.warnings import SkippedWarning
from swsfmt import InputError

FLAT = (6,)
IMAGE = (2, 6, 6)


class Net(nn.Module):
    """Layers and any forward pass over them."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def functional_forward(net: Any, x: Tensor) -> Tensor:
    x = functional.max_pool2d(functional.relu(net.norm(net.a(x))), 2)
    x = functional.dropout(x.view(x.size(0), -1), 0.5, net.training)
    return net.c(functional.relu(net.b(x)))


def linear(*between: nn.Module, bias: bool = True) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12, bias=bias), *between, nn.Linear(12, 3, bias=bias))


def image(*between: nn.Module, padding: int = 0) -> nn.Module:
    side = 6 - 2 + 2 * padding - 2
    last = nn.Linear(8 * side * side, 3)
    return nn.Sequential(
        nn.Conv2d(2, 12, 3, padding=padding), *between, nn.Conv2d(12, 8, 3), nn.ReLU(), nn.Flatten(), last
    )


LAST = nn.Linear(16, 3)

# Network, shape of an example.
MOVABLE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "plain": (lambda: linear(nn.ReLU()), FLAT),
    "batch norm": (lambda: linear(nn.BatchNorm1d(12), nn.ReLU()), FLAT),
    "batch norm, no biases": (lambda: linear(nn.BatchNorm1d(12), nn.ReLU(), bias=False), FLAT),
    "batch norm, no entries": (lambda: linear(nn.BatchNorm1d(12, affine=False), nn.ReLU()), FLAT),
    "batch norm of each batch": (lambda: linear(nn.BatchNorm1d(12, track_running_stats=False), nn.ReLU()), FLAT),
    "two batch norms": (lambda: linear(nn.BatchNorm1d(12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2)), FLAT),
    "batch norm after": (lambda: linear(nn.ReLU(), nn.BatchNorm1d(12)), FLAT),
    "batch norm around": (lambda: linear(nn.BatchNorm1d(12), nn.ReLU(), nn.BatchNorm1d(12)), FLAT),
    "batch norm after tanh": (lambda: linear(nn.Tanh(), nn.BatchNorm1d(12), nn.ReLU()), FLAT),
    "prelu and relu": (lambda: linear(nn.PReLU(12), nn.ReLU()), FLAT),
    "relu and prelu": (lambda: linear(nn.ReLU(), nn.PReLU(12)), FLAT),
    "images": (lambda: image(nn.BatchNorm2d(12), nn.ReLU()), IMAGE),
    "images, padded": (lambda: image(nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout2d(0.1), padding=1), IMAGE),
    "pooled first": (lambda: image(nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(12), nn.ReLU()), IMAGE),
    "instance norm": (lambda: image(nn.InstanceNorm2d(12, affine=True), nn.ReLU()), IMAGE),
    "instance norm, running": (lambda: image(nn.InstanceNorm2d(12, track_running_stats=True), nn.ReLU()), IMAGE),
    "batch norm of the flattened": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 5, 3), nn.Flatten(), nn.BatchNorm1d(80), nn.ReLU(), nn.Linear(80, 3)
        ),
        IMAGE,
    ),
    "nested": (
        lambda: nn.Sequential(
            nn.Sequential(nn.Linear(6, 9), nn.Sequential(nn.BatchNorm1d(9), nn.ReLU())),
            nn.Sequential(nn.Sequential(nn.Linear(9, 7)), nn.ReLU()),
            nn.Linear(7, 3),
        ),
        FLAT,
    ),
    "functional": (
        lambda: Net(
            functional_forward, a=nn.Conv2d(2, 7, 3), norm=nn.BatchNorm2d(7), b=nn.Linear(28, 9), c=nn.Linear(9, 3)
        ),
        IMAGE,
    ),
    "channels last": (
        lambda: image(nn.BatchNorm2d(12), nn.ReLU()).to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        IMAGE,
    ),
    "float64": (lambda: linear(nn.BatchNorm1d(12), nn.ReLU()).double(), FLAT),
}  # fmt: skip


def twice(net: Any, x: Tensor) -> Tensor:
    return net.c(torch.relu(net.b(torch.relu(net.b(torch.relu(net.a(x)))))))


def one_activation(net: Any, x: Tensor) -> Tensor:
    return net.c(torch.relu(net.act(net.b(torch.relu(net.act(net.a(x)))))))


def in_rows(net: Any, x: Tensor) -> Tensor:
    """The neurons are not the dimension that is flattened last."""
    return net.b(torch.relu(net.a(x.reshape(-1, 2, 3))).flatten(1))


def frozen(model: nn.Module) -> nn.Module:
    next(model.parameters()).requires_grad_(False)
    return model


def hooked() -> nn.Module:
    model = linear(nn.ReLU())
    assert isinstance(model, nn.Sequential)
    model[0].register_forward_hook(lambda module, inputs, output: output.cumsum(1))
    return model


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    model[2].bias = model[0].bias
    return model


def a_b_c(forward: Callable[[Any, Tensor], Tensor], **more: nn.Module) -> Callable[[], nn.Module]:
    return lambda: Net(forward, a=nn.Linear(6, 8), b=nn.Linear(8, 8), c=nn.Linear(8, 3), **more)


REFUSED: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
    "layer norm": (lambda: linear(nn.LayerNorm(12), nn.ReLU()), FLAT, "LayerNorm, is between"),
    "group norm": (lambda: image(nn.GroupNorm(3, 12), nn.ReLU()), IMAGE, "GroupNorm, is between"),
    "channels shuffled": (lambda: image(nn.ChannelShuffle(2), nn.ReLU()), IMAGE, "ChannelShuffle"),
    "depthwise": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), LAST),
        IMAGE,
        "in groups",
    ),
    "residual": (a_b_c(lambda net, x: net.c((h := torch.relu(net.a(x))) + torch.relu(net.b(h)))), FLAT, "plain chain"),
    "parallel": (
        lambda: Net(
            lambda net, x: net.c(torch.relu(net.a(x)) * torch.relu(net.b(x))),
            a=nn.Linear(6, 8),
            b=nn.Linear(6, 8),
            c=nn.Linear(8, 3),
        ),
        FLAT,
        "plain chain",
    ),
    "a layer twice": (a_b_c(twice), FLAT, "goes through the layers"),
    "an activation with entries twice": (a_b_c(one_activation, act=nn.PReLU(8)), FLAT, "used after two layers"),
    "tied biases": (tied, FLAT, "'0.bias' and '2.bias' are the same tensor"),
    "neurons in rows": (lambda: Net(in_rows, a=nn.Linear(3, 6), b=nn.Linear(12, 3)), FLAT, "an output changes"),
    "pooled over neurons": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.MaxPool1d(3, 1, 1), nn.Linear(6, 3)),
        FLAT,
        "an output changes",
    ),
    "hooked": (hooked, FLAT, "an output changes"),
    "prelu": (lambda: linear(nn.PReLU(12)), FLAT, "only where a ReLU follows"),
    "control flow": (a_b_c(lambda net, x: net.c(net.b(net.a(x))) if x.sum() > -1e9 else x), FLAT, "cannot be followed"),
    "frozen": (lambda: frozen(linear(nn.ReLU())), FLAT, "frozen layers"),
}  # fmt: skip


def examples(shape: tuple[int, ...], model: nn.Module) -> Tensor:
    x = torch.randn(64, *shape, generator=torch.Generator().manual_seed(5))
    return x.to(next(model.parameters()).dtype)


def thinned(make: Callable[[], nn.Module]) -> nn.Module:
    """Half of the weights gone, and all that some neurons read or by which some are read; norms that have seen data."""
    torch.manual_seed(0)
    model = make()
    chain = layer_chain(model)
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            if tensor.is_floating_point():
                tensor.add_(
                    0.3 * torch.rand(tensor.shape) if name.endswith("running_var") else 0.3 * torch.randn(tensor.shape)
                )
        for first, second in zip(chain.layers, chain.layers[1:], strict=False):
            weight = state[f"{first}.weight"]
            weight.mul_(torch.rand(weight.shape) < 0.5)
            weight[::2] = 0
            reading = state[f"{second}.weight"]
            reading.view(len(reading), len(weight), -1)[:, 1::4] = 0
    return model.eval()


def changed(model: nn.Module, change: Callable[[dict[str, Tensor], Chain], dict[str, Tensor]], x: Tensor) -> Tensor:
    state = change(model.state_dict(), layer_chain(model))
    model.load_state_dict(state)
    with torch.no_grad():
        return model(x)


@pytest.mark.parametrize("name", MOVABLE)
def test_the_outputs_stay(name: str) -> None:
    make, shape = MOVABLE[name]
    model = thinned(make)
    x = examples(shape, model)
    with torch.no_grad():
        wanted = model(x)
    zeros = sum(int((p == 0).sum()) for p in model.parameters())
    pruned = changed(model, lambda state, chain: remove_dead_neurons(state, chain.layers, chain.between), x)
    torch.testing.assert_close(pruned, wanted, rtol=1e-4, atol=1e-5)
    assert sum(int((p == 0).sum()) for p in model.parameters()) > zeros
    before = file_size(model.state_dict())

    def order(state: dict[str, Tensor], chain: Chain) -> dict[str, Tensor]:
        return order_neurons(state, chain.layers, file_size, between=chain.between)

    torch.testing.assert_close(changed(model, order, x), wanted, rtol=1e-4, atol=1e-5)
    assert file_size(model.state_dict()) <= before

    def turn(state: dict[str, Tensor], chain: Chain) -> dict[str, Tensor]:
        for first, second, between in zip(chain.layers, chain.layers[1:], chain.between, strict=False):
            state = permute(state, first, second, torch.arange(len(state[f"{first}.weight"])).flip(0), between)
        return state

    torch.testing.assert_close(changed(model, turn, x), wanted, rtol=1e-4, atol=1e-5)


SHORT = Settings(Pruning(sparsity=0.7, epochs=2), Quantization(values=6, epochs=1))
FREE = Settings(SHORT.pruning, SHORT.quantization, remove_dead=False, order=False)


def loader(model: nn.Module, shape: tuple[int, ...]) -> Any:
    x = examples(shape, model)
    return DataLoader(TensorDataset(x, (x.flatten(1).sum(1) > 0).long()), 16, shuffle=True)


@pytest.mark.parametrize("name", MOVABLE)
def test_the_whole_procedure(name: str) -> None:
    make, shape = MOVABLE[name]
    torch.manual_seed(0)
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SkippedWarning)
        compress_network(model, loader(model, shape), SHORT)
    weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.dim() > 1])
    assert len(weights.unique()) <= 7


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_the_first_epoch(name: str) -> None:
    make, shape, message = REFUSED[name]
    torch.manual_seed(0)
    model = make()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    told: list[Progress] = []
    with pytest.raises(InputError, match=rf"{message}[\s\S]*set remove_dead .*to False"):
        compress_network(model, loader(model, shape), SHORT, report=told.append)
    assert not told
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    if name != "frozen":
        compress_network(model, loader(model, shape), FREE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: linear(parametrizations.spectral_norm(nn.Linear(12, 12)), nn.ReLU()), "computes its weights"),
        (lambda: linear(parametrizations.weight_norm(nn.Linear(12, 12)), nn.ReLU()), "computes its weights"),
        (lambda: linear(nn.utils.weight_norm(nn.Linear(12, 12)), nn.ReLU()), "computes its weights"),
        (lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 3)), "is lazy and has no weights yet"),
        (lambda: linear(nn.ReLU()).to(torch.complex64), "real floating-point numbers"),
    ],
    ids=["spectral norm", "weight norm", "weight norm by hooks", "lazy", "complex"],
)
@pytest.mark.parametrize("settings", [SHORT, FREE], ids=["moved", "free"])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Lazy modules", "ignore:Complex modules")
def test_layers_that_cannot_be_compressed(make: Callable[[], nn.Module], message: str, settings: Settings) -> None:
    with pytest.raises(InputError, match=message):
        compress_network(make(), loader(nn.Linear(1, 1), FLAT), settings)


def test_frozen_layers_stay_and_are_named() -> None:
    torch.manual_seed(0)
    model = frozen(linear(nn.BatchNorm1d(12), nn.ReLU()))
    before = next(model.parameters()).clone()
    with pytest.warns(SkippedWarning, match=r"0\.weight will be left as they are: frozen"):
        compress_network(model, loader(model, FLAT), FREE)
    assert torch.equal(next(model.parameters()), before)


def test_a_difference_after_all_undoes_the_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained is not lost for what was found too late."""
    monkeypatch.setattr("sws.shrink.equality.Equality.check_movable", lambda *arguments, **options: None)
    make, shape = MOVABLE["batch norm"]
    torch.manual_seed(0)
    model = make()
    model.register_forward_hook(lambda module, inputs, output: output + module[0](inputs[0])[:, :3])
    with pytest.warns(SkippedWarning, match=r"an output would have changed by .*were not removed or sorted"):
        compress_network(model, loader(model, shape), SHORT)


@pytest.mark.parametrize("name", ["BatchNorm1d", "no biases"])
def test_accuracy_is_that_of_the_same_network_unsorted(name: str) -> None:
    """On digits: the fault was accuracy 0.92 before sorting and 0.59 after."""
    from sklearn.datasets import load_digits

    from sws.train import evaluate, train_standard

    x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
    data = TensorDataset(x.float() / 16, y)
    torch.manual_seed(0)
    bias = name != "no biases"
    dense = nn.Sequential(nn.Linear(64, 40, bias=bias), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 10))
    train_standard(dense, DataLoader(data, 64, shuffle=True), None, epochs=5)
    accuracies = []
    for moves in (False, True):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(64, 40, bias=bias), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 10))
        model.load_state_dict(dense.state_dict())
        settings = Settings(Pruning(sparsity=0.8, epochs=5), Quantization(epochs=2), order=moves, remove_dead=moves)
        compress_network(model, DataLoader(data, 64, shuffle=True), settings)
        accuracies.append(evaluate(model, DataLoader(data, 512)))
    assert accuracies[0] > 0.8
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.02)
