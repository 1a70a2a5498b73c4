"""Statistics by hooks are those of an explicit computation, for each kind of layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import swsfmt
from sws.quantize import Statistics, collect
from sws.quantize.layers import matrices
from sws.quantize.statistics import Moments


def exact(model: nn.Module, batch: Any, name: str) -> list[Tensor]:
    """The gradients of a weight for the directions that `collect` draws, one for each output."""
    parameter = dict(model.named_parameters())[name]
    generator = torch.Generator().manual_seed(0)
    model.eval()
    output = model(*batch) if isinstance(batch, tuple) else model(batch)
    output = output[0] if isinstance(output, tuple) else output
    flat = output.flatten(1)
    noise = torch.randn(flat.shape, generator=generator) / flat.detach().norm(dim=1, keepdim=True)
    return [torch.autograd.grad(own, parameter, retain_graph=True)[0] for own in (noise * flat).sum(1)]


class Attention(nn.Module):
    def __init__(self, separate: bool) -> None:
        super().__init__()
        sizes = {"kdim": 6, "vdim": 5} if separate else {}
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **sizes)
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        key, value = x[..., : self.sizes.get("kdim", 8)], x[..., : self.sizes.get("vdim", 8)]
        if not self.sizes:
            return self.attention(x, x, x)[0]
        return self.attention(x, key, value)[0]


class Conv1D(nn.Module):
    """That of transformers: a linear layer with the inputs first."""

    def __init__(self) -> None:
        super().__init__()
        self.nf = 4
        self.weight, self.bias = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Keyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(input=x)


class Recurrent(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Steps(nn.Module):
    """A cell that is called for each step of (batch, steps, size), or of (steps, size)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        state = None
        outputs = []
        for step in x.unbind(-2):
            state = self.layer(step) if state is None else self.layer(step, hx=state)
            outputs.append(state[0] if isinstance(self.layer, nn.LSTMCell) else state)
        return torch.stack(outputs, -2)


LAYERS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "linear": (lambda: nn.Linear(6, 4), (3, 2, 6)),
    "inputs first": (Conv1D, (3, 2, 6)),
    "keyword": (Keyword, (3, 2, 6)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, groups=2, stride=2), (2, 4, 9)),
    "conv2d": (lambda: nn.Conv2d(3, 5, (3, 2), dilation=2, padding="same"), (1, 3, 5, 4)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=1, padding_mode="circular"), (1, 2, 3, 3, 3)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), (1, 4, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2, padding=1, stride=2, output_padding=1), (2, 4, 3, 4)),
    "lstm": (lambda: Recurrent(nn.LSTM(5, 4, bidirectional=True, batch_first=True)), (2, 4, 5)),
    "gru": (lambda: Recurrent(nn.GRU(5, 4)), (3, 2, 5)),
    "cell": (lambda: Steps(nn.LSTMCell(5, 4)), (2, 4, 5)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_moments_are_those_of_the_gradients_of_the_weight(kind: str) -> None:
    """Of each output its own, the last of them."""
    make, shape = LAYERS[kind]
    torch.manual_seed(1)
    model, batch = make(), torch.randn(shape)
    is_batched = not isinstance(model, Recurrent) or model.layer.batch_first
    statistics = collect(model, [batch])
    for matrix in matrices(model):
        gradient = torch.stack([matrix.layout.matrix(own).double() for own in exact(model, batch, matrix.name)])
        gradient = gradient if is_batched else gradient.sum(0, keepdim=True)
        (own,) = statistics.moments[matrix.name]
        close = partial(torch.testing.assert_close, rtol=1e-3, atol=1e-6)
        close(own.columns[0].double(), (gradient.mT @ gradient).sum(0))
        assert isinstance(own.rows, list)
        close(own.rows[0].double(), (gradient @ gradient.mT).sum(0))
        close(own.total, gradient.square().sum((0, 2, 3)))
        close(own.spread[0], (gradient.mT @ gradient).square().sum((0, 2, 3)))
        close(own.spread[1], (gradient @ gradient.mT).square().sum((0, 2, 3)))
        assert own.count == len(gradient)


@pytest.mark.parametrize("separate", [False, True])
def test_attention_gives_the_same_output_and_has_statistics(separate: bool) -> None:
    torch.manual_seed(1)
    model = Attention(separate)
    batch = torch.randn(3, 5, 8)
    expected = model(batch)
    seen = []

    def forward(model: nn.Module, batch: Tensor) -> Tensor:
        seen.append(model(batch))
        return seen[-1]

    statistics = collect(model, [batch], forward)
    torch.testing.assert_close(seen[0], expected)
    names = ["q_proj_weight", "k_proj_weight", "v_proj_weight"] if separate else ["in_proj_weight"]
    for name in names:
        (own,) = statistics.moments[f"attention.{name}"]
        torch.testing.assert_close(own.columns[0][0].trace().double(), own.total[0], rtol=1e-3, atol=1e-6)
        assert float(own.total) > 0


class Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 4)
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def forward(self, x: Tensor) -> SimpleNamespace:
        hidden = self.first(x)
        hidden.retain_grad()
        self.inputs.append(x)
        self.outputs.append(hidden)
        return SimpleNamespace(logits=self.second(hidden.tanh()))


def test_where_each_token_has_an_output_their_sums_are_weighted_by_each_other() -> None:
    torch.manual_seed(1)
    model = Logits()
    statistics = collect(model, [torch.randn(2, 3, 6)])
    assert statistics.kind == "divergence"
    assert statistics.samples == 6
    (own,), x, gradient = statistics.moments["first.weight"], model.inputs[0], model.outputs[0].grad
    assert gradient is not None
    x, g = x.flatten(0, 1), gradient.flatten(0, 1)
    torch.testing.assert_close(own.columns[0][0], (x * g.square().sum(1, keepdim=True)).T @ x)
    assert isinstance(own.rows, list)
    torch.testing.assert_close(own.rows[0][0], (g * x.square().sum(1, keepdim=True)).T @ g)


def test_directions_of_a_divergence_have_the_covariance_of_fisher() -> None:
    torch.manual_seed(1)
    logits = torch.randn(4)
    p, total = logits.softmax(0), torch.zeros(4, 4)
    model = nn.Linear(1, 4)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(logits)
    count = 20000
    own = collect(model, [torch.ones(count, 1)], lambda model, batch: SimpleNamespace(logits=model(batch)))
    (moments,) = own.moments["weight"]
    assert isinstance(moments.rows, list)
    total = moments.rows[0][0] / count
    torch.testing.assert_close(total, p.diag() - p[:, None] * p, rtol=0.1, atol=0.01)


def test_attention_counts_every_row() -> None:
    torch.manual_seed(1)
    model, batch = Attention(False), torch.randn(3, 4, 8)
    statistics = collect(model, [batch])
    gradient = torch.stack(exact(model, batch, "attention.in_proj_weight")).double()
    (own,) = statistics.moments["attention.in_proj_weight"]
    torch.testing.assert_close(own.columns[0][0].double(), (gradient.mT @ gradient).sum(0), rtol=1e-3, atol=1e-6)


def check_run_as_ever(model: nn.Module, batch: Tensor) -> set[str]:
    """That collecting changes no output; the names that have moments."""
    expected, seen = model(batch), []

    def forward(model: nn.Module, batch: Tensor) -> Tensor:
        seen.append(model(batch))
        return seen[-1]

    statistics = collect(model, [batch], forward)
    torch.testing.assert_close(seen[0], expected)
    assert all(float(own.total) > 0 for roles in statistics.moments.values() for own in roles)
    return set(statistics.moments)


@pytest.mark.parametrize("layer", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False}])
def test_recurrent_layers_run_as_ever(layer: type[nn.Module], options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    model = Recurrent(layer(5, 4, **options))
    names = {f"layer.{name}" for name, _ in model.layer.named_parameters() if name.startswith("weight")}
    assert check_run_as_ever(model, torch.randn(3, 6, 5)) == names


@pytest.mark.parametrize("layer", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("shape", [(3, 6, 5), (6, 5)])
def test_cells_run_as_ever(layer: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    names = {"layer.weight_ih", "layer.weight_hh"}
    assert check_run_as_ever(Steps(layer(5, 4)), torch.randn(shape)) == names


def test_cells_and_layers_of_ones_own_stay_what_they_are() -> None:
    """What they compute is theirs: their weights have no moments."""

    class Cell(nn.GRUCell):
        def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
            return 2 * super().forward(input, hx)

    class Layer(nn.LSTM):
        def forward(self, input: Tensor, hx: Any = None) -> Any:
            output, state = super().forward(input, hx)
            return 2 * output, state

    torch.manual_seed(1)
    assert check_run_as_ever(nn.Sequential(nn.Linear(4, 5), Steps(Cell(5, 4))), torch.randn(3, 6, 4)) == {"0.weight"}
    assert check_run_as_ever(nn.Sequential(nn.Linear(4, 5), Recurrent(Layer(5, 4))), torch.randn(3, 6, 4)) == {
        "0.weight"
    }


def test_lstm_with_projection_and_state() -> None:
    torch.manual_seed(1)
    layer = nn.LSTM(5, 4, proj_size=3)
    batch, state = torch.randn(6, 2, 5), (torch.randn(1, 2, 3), torch.randn(1, 2, 4))
    expected, seen = layer(batch, state), []

    def forward(model: nn.Module, batch: Tensor) -> Tensor:
        seen.append(model(batch, hx=state))
        return seen[-1][0]

    collect(layer, [batch], forward)
    for one, other in zip((seen[0][0], *seen[0][1]), (expected[0], *expected[1]), strict=True):
        torch.testing.assert_close(one, other)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids).tanh())


def test_a_tied_embedding_has_both_roles() -> None:
    model = Tied()
    statistics = collect(model, [torch.tensor([[1, 2, 2]])])
    lookup, head = statistics.moments["embedding.weight"]
    assert lookup.is_lookup
    assert not head.is_lookup
    assert lookup.counts is not None
    assert lookup.counts.tolist() == [0, 1, 2, 0, 0, 0, 0]
    assert isinstance(lookup.rows, Tensor)
    assert (lookup.rows[0] > 0).tolist() == [False, True, True, False, False, False, False]


def test_vectors_have_squared_gradients() -> None:
    torch.manual_seed(1)
    model, batch = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4)), torch.randn(3, 6)
    statistics = collect(model, [batch])
    assert list(statistics.vectors) == ["0.bias", "1.weight", "1.bias"]
    torch.testing.assert_close(statistics.vectors["1.weight"], sum(exact(model, batch, "1.weight")).square())


def test_what_was_there_is_there_afterwards() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.MultiheadAttention(4, 2))
    model[0].eval()
    model[0].weight.requires_grad_(False)
    model[0].bias.grad = torch.ones(4)
    forward = model[2].forward

    def run(model: nn.Module, batch: Tensor) -> Tensor:
        x = model[1](model[0](batch))
        return model[2](x, x, x)[0]

    collect(model, [torch.randn(3, 2, 6)], run)
    assert [module.training for module in model.modules()][:3] == [True, False, True]
    assert not model[0].weight.requires_grad
    assert model[0].bias.requires_grad
    assert model[0].bias.grad.tolist() == [1] * 4
    assert not model[0]._forward_hooks
    assert model[2].forward == forward


def test_sums_go_on_where_they_stopped(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    batches = [torch.randn(5, 6) for _ in range(4)]
    whole = collect(model, batches)
    half = collect(model, batches[:2])
    half.save(tmp_path / "stats.safetensors")
    rest = collect(model, batches[2:], statistics=Statistics.load(tmp_path / "stats.safetensors"))
    assert rest.samples == whole.samples == 20
    for name, (own,) in whole.moments.items():
        for (_, one), (_, other) in zip(own.tensors(), rest.moments[name][0].tensors(), strict=True):
            assert torch.equal(one, other)
    assert torch.equal(whole.vectors["0.bias"], rest.vectors["0.bias"])


@pytest.mark.parametrize("counts", [[], ["many"], [0.5], 3])
def test_statistics_of_another_program(counts: Any, tmp_path: Path) -> None:
    path = tmp_path / "stats.safetensors"
    collect(nn.Linear(3, 2), [torch.randn(4, 3)]).save(path)
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["swsfmt-statistics"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    metadata["counts"]["weight"] = counts
    save_file(tensors, path, {"swsfmt-statistics": json.dumps(metadata)})
    with pytest.raises(swsfmt.InputError, match="no statistics"):
        Statistics.load(path)


def test_what_cannot_be() -> None:
    model = nn.Linear(6, 4)
    with pytest.raises(swsfmt.InputError, match="no batches"):
        collect(model, [])
    with pytest.raises(swsfmt.InputError, match="no gradients"):
        collect(model, [torch.randn(2, 6)], lambda model, batch: model(batch).detach())
    with pytest.raises(swsfmt.InputError, match="returned str"):
        collect(model, [torch.randn(2, 6)], lambda model, batch: "text")
    with pytest.raises(swsfmt.InputError, match="NaN"):
        collect(model, [torch.full((2, 6), torch.nan)])
    with pytest.raises(swsfmt.InputError, match="no statistics"):
        Statistics.load(__file__)


def test_blocks_of_wide_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sws.quantize.statistics.WHOLE", 4)
    monkeypatch.setattr("sws.quantize.statistics.BLOCK", 3)
    torch.manual_seed(1)
    model, batch = nn.Linear(8, 5), torch.randn(1, 8)
    (own,) = collect(model, [batch]).moments["weight"]
    (gradient,) = exact(model, batch, "weight")
    assert [block.shape[-1] for block in own.columns] == [3, 3, 2]
    torch.testing.assert_close(own.columns[1][0], (gradient.T @ gradient)[3:6, 3:6], rtol=1e-3, atol=1e-6)
    assert isinstance(own.rows, list)
    torch.testing.assert_close(own.rows[1][0], (gradient @ gradient.T)[3:, 3:], rtol=1e-3, atol=1e-6)
    assert isinstance(own, Moments)
