"""Layers whose weights stay compressed compute what dense ones compute."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import swsfmt
import swsfmt.nn
import swsfmt.torch
from swsfmt.nn import MODES, Cache, Mode, compress, decompress, sizes

EXACT: tuple[Mode, ...] = ("resident", "cached", "block")


class Net(torch.nn.Module):
    """A layer of each kind, two of them tied."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(300, 128)
        self.conv = torch.nn.Conv1d(128, 256, 3, padding=1, padding_mode="circular")
        self.groups = torch.nn.Conv1d(256, 128, 1, groups=2, bias=False)
        self.norm = torch.nn.BatchNorm1d(128)
        self.linear = torch.nn.Linear(128, 128)
        self.head = torch.nn.Linear(128, 300, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids).transpose(1, 2)
        x = self.norm(self.groups(torch.relu(self.conv(x)))).transpose(1, 2)
        out: torch.Tensor = self.head(torch.relu(self.linear(x)))
        return out


def net() -> Net:
    torch.manual_seed(0)
    model = Net().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            keep = torch.rand_like(parameter) < 0.4
            parameter.copy_((parameter * 20).round().clamp(-4, 4) / 16 * keep + 0.0)
    return model


IDS = torch.randint(300, (3, 7), generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def expected() -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = net()(IDS)
    return out


def run(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = model(IDS)
    return out


@pytest.mark.parametrize("mode", MODES)
def test_outputs(mode: Mode, expected: torch.Tensor) -> None:
    model = compress(net(), mode=mode, block_bytes=1 << 14)
    assert {type(module) for module in model.modules()} >= {swsfmt.nn.Linear, swsfmt.nn.Conv, swsfmt.nn.Embedding}
    torch.testing.assert_close(run(model), expected)
    if mode in ("resident", "cached"):
        assert torch.equal(run(model), expected)


@pytest.mark.parametrize("mode", MODES)
def test_the_state_dict_is_that_of_the_dense_model(mode: Mode) -> None:
    model, dense = compress(net(), mode=mode), net()
    state = model.state_dict()
    assert state.keys() == dense.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in dense.state_dict().items())
    assert state["head.weight"] is state["embedding.weight"]
    assert model.state_dict()["head.weight"] is not state["head.weight"]
    other = net()
    with torch.no_grad():
        other.linear.weight.mul_(2)
        other.head.weight.mul_(4)
    assert not torch.equal(run(model), run(other))
    assert model.load_state_dict(other.state_dict()) == ([], [])
    torch.testing.assert_close(run(model), run(other))
    with pytest.raises(RuntimeError, match=r"size mismatch for linear\.weight"):
        model.load_state_dict({**other.state_dict(), "linear.weight": torch.zeros(3, 3)})
    state = other.state_dict()
    del state["conv.weight"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "conv\.weight"'):
        model.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Unexpected"):
        model.load_state_dict({**other.state_dict(), "linear.scale": torch.zeros(3)})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies(mode: Mode, how: str) -> None:
    model = compress(net(), mode=mode, block_bytes=1 << 14)
    before = run(model)
    if how == "deepcopy":
        other = copy.deepcopy(model)
        assert other.linear.packed is model.linear.packed
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(model))
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert torch.equal(run(other), before)
    assert other.head.packed is other.embedding.packed
    assert other.linear is not model.linear


def test_a_pickle_is_compressed() -> None:
    dense, model = net(), compress(net(), mode="resident")
    run(model)
    assert len(pickle.dumps(model)) < len(pickle.dumps(dense)) / 2
    assert copy.deepcopy(model).linear.cache.nbytes == 0


@pytest.mark.parametrize("mode", MODES)
def test_compiled(mode: Mode, expected: torch.Tensor) -> None:
    """Without code being made: what stands in the way of a graph is found out before."""
    torch.compiler.reset()
    model = compress(net(), mode=mode, block_bytes=1 << 14)
    is_whole = mode not in ("resident", "cached")
    compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=is_whole)
    for _ in range(2):
        torch.testing.assert_close(run(compiled), expected)


@pytest.mark.parametrize("mode", EXACT)
def test_autocast(mode: Mode) -> None:
    dense, model = net(), compress(net(), mode=mode, block_bytes=1 << 14)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, wanted = run(model), run(dense)
    assert out.dtype == wanted.dtype == torch.bfloat16
    torch.testing.assert_close(out, wanted, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("mode", EXACT)
def test_other_dtypes(mode: Mode) -> None:
    model, dense = compress(net(), mode=mode).to(torch.float64), net().to(torch.float64)
    torch.testing.assert_close(run(model), run(dense))
    assert model.linear.weight.dtype == torch.float64


@pytest.mark.parametrize("mode", EXACT)
def test_gradients_go_through(mode: Mode) -> None:
    dense, model = net().linear, compress(torch.nn.Sequential(net().linear), mode=mode, block_bytes=1 << 14)
    inputs = [torch.ones(2, 128, requires_grad=True) for _ in range(2)]
    for layer, x in zip((dense, model), inputs, strict=True):
        layer(x).square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)


def test_from_a_file_to_a_model_without_memory(tmp_path: Path, expected: torch.Tensor) -> None:
    dense = net()
    swsfmt.torch.save_model(dense, tmp_path / "model.sws")
    with torch.device("meta"):
        model = Net().eval()
    compress(model, tmp_path / "model.sws", mode="block")
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    torch.testing.assert_close(run(model), expected)
    data = (tmp_path / "model.sws").read_bytes()
    for file in (data, io.BytesIO(data)):
        assert torch.equal(run(compress(net(), file, mode="cached")), expected)


def test_a_file_without_the_second_name_of_what_is_tied(tmp_path: Path, expected: torch.Tensor) -> None:
    state = net().state_dict()
    del state["head.weight"]
    model = compress(net(), swsfmt.torch.save(state), mode="cached")
    assert model.head.packed is model.embedding.packed
    assert torch.equal(run(model), expected)


def test_another_model_s_file() -> None:
    data = swsfmt.torch.save(net().state_dict())
    with pytest.raises(swsfmt.StateDictError, match="shape"):
        compress(torch.nn.Sequential(torch.nn.Linear(3, 4)), swsfmt.torch.save({"0.weight": torch.ones(4, 4)}))
    with pytest.raises(swsfmt.StateDictError, match="Unexpected"):
        compress(torch.nn.Sequential(torch.nn.Linear(3, 4)), data)
    with pytest.raises(swsfmt.StateDictError, match="Missing"):
        compress(net(), swsfmt.torch.save({"linear.weight": torch.ones(128, 128)}))


def test_damage_is_found() -> None:
    data = bytearray(swsfmt.torch.save(net().state_dict()))
    data[-9] ^= 4
    with pytest.raises(swsfmt.FormatError):
        run(compress(net(), bytes(data), mode="block"))


@pytest.mark.parametrize("mode", MODES)
def test_decompress(mode: Mode, expected: torch.Tensor) -> None:
    model = decompress(compress(net(), mode=mode))
    assert [type(module) for module in model.modules()] == [type(module) for module in net().modules()]
    assert model.head.weight is model.embedding.weight
    assert torch.equal(run(model), expected)


def test_the_cache_holds_no_more_than_it_may() -> None:
    model = compress(net(), mode="cached", cache_bytes=300_000)
    assert torch.equal(run(model), run(net()))
    cache = model.linear.cache
    assert 0 < cache.nbytes <= 300_000
    assert sizes(model).kept == cache.nbytes
    cache.clear()
    assert sizes(model).kept == 0


def test_what_was_used_last_is_kept() -> None:
    tensors = swsfmt.nn.packed.open_packed(swsfmt.torch.save({name: torch.arange(100.0) for name in "abc"}))
    cache = Cache(800)
    where = (torch.float32, torch.device("cpu"))
    # Equal tensors are tied in no way that would make them one.
    a, b, c = (tensors[name] for name in "abc")
    first = cache.get(a, *where)
    cache.get(b, *where)
    assert cache.get(a, *where) is first
    cache.get(c, *where)
    assert cache.get(a, *where) is first
    assert cache.nbytes == 800
    assert Cache(100).get(a, *where) is not Cache(100).get(a, *where)


def test_sizes() -> None:
    dense = net()
    total = sum(tensor.nbytes for tensor in (*dense.parameters(), *dense.buffers()))
    model = compress(net(), mode="block")
    own = sizes(model)
    assert own.dense == total
    assert own.compressed < total / 4
    assert own.kept == 0
    assert "times smaller, block by block" in repr(model)


def test_blocks_are_as_small_as_they_may() -> None:
    """A file whose rows can be decoded alone."""
    torch.manual_seed(0)
    weight = torch.randint(-3, 4, (256, 512)).float() / 8
    (packed,) = swsfmt.nn.packed.open_packed(swsfmt.torch.save({"weight": weight})).values()
    assert packed.has_rows
    blocks = list(packed.blocks(1 << 16))
    assert len(blocks) == 8
    assert torch.equal(torch.cat([packed.rows(*block) for block in blocks]), weight)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(300, 200),
        lambda: torch.randint(-3, 4, (300, 200)).float(),
        lambda: torch.randn(300, 200) * (torch.rand(300, 200) < 0.05),
        lambda: torch.randint(-9, 9, (300, 200)).float() * (torch.rand(300, 200) < 0.05) + 0.0,
        lambda: torch.zeros(300, 200),
        lambda: torch.randint(0, 200, (300, 200)).float(),
        lambda: torch.randint(-7, 8, (300, 200)) * (torch.rand(300, 1) + 1),
        lambda: torch.randn(300, 200).to(torch.bfloat16),
    ],
)
@pytest.mark.parametrize("profile", ["fast", "default", "small"])
def test_rows_of_every_coding(make: Any, profile: Any) -> None:
    torch.manual_seed(3)
    weight = make()
    (packed,) = swsfmt.nn.packed.open_packed(swsfmt.torch.save({"weight": weight}, profile=profile)).values()
    assert torch.equal(packed.decode(), weight)
    assert torch.equal(torch.cat([packed.rows(*block) for block in packed.blocks(1 << 14)]), weight)
    ids = torch.tensor([[299, 0], [17, 17]])
    rows = swsfmt.nn.packed.select(packed.number, ids, weight.dtype, 1 << 14)
    assert torch.equal(rows, weight[ids])
    with pytest.raises(IndexError):
        swsfmt.nn.packed.select(packed.number, torch.tensor([300]), weight.dtype, 1 << 14)


def test_a_very_sparse_layer_is_multiplied_from_its_indices() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(512, 256)
    with torch.no_grad():
        layer.weight *= torch.rand_like(layer.weight) < 0.01
    dense = torch.nn.Sequential(copy.deepcopy(layer))
    model: Any = compress(torch.nn.Sequential(layer), mode="sparse")
    assert isinstance(model[0].product, swsfmt.nn.products.SparseProduct)
    assert model[0].product.nbytes < dense[0].weight.nbytes / 20
    x = torch.randn(3, 4, 512)
    torch.testing.assert_close(model(x), dense(x))
    with torch.no_grad():
        compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), dense(x))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(model(x), dense(x).float(), rtol=0.05, atol=0.05)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for module, own in zip((model, dense), inputs, strict=True):
        module(own).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    assert compress(torch.nn.Sequential(net().linear), mode="sparse")[0].product is None


@pytest.mark.parametrize("mode", EXACT)
def test_the_products_are_those_of_dense_layers(mode: Mode) -> None:
    """A part of a batch is not contiguous: torch must not multiply it item by item, as it does without gradients."""

    class Operators(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            called.add(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    x = torch.randn(5, 7, 128)[:, -1:]
    made = []
    for model in (net(), compress(net(), mode=mode)):
        called: set[str] = set()
        with torch.no_grad(), Operators():
            model.head(x)  # type: ignore[operator]
        made.append(called & {"mm", "bmm", "addmm", "baddbmm"})
    assert made == [{"mm"}, {"mm"}]


def test_attention_and_convolutions_of_two_dimensions() -> None:
    torch.manual_seed(0)
    attention = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    x = torch.randn(2, 5, 32)
    with torch.no_grad():
        before = attention(x)
        torch.testing.assert_close(compress(attention, mode="block")(x), before)
    conv = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2, dilation=2), torch.nn.ReLU())
    image = torch.randn(1, 3, 16, 16)
    for mode in EXACT:
        copied = compress(copy.deepcopy(conv), mode=mode, block_bytes=64)
        torch.testing.assert_close(copied(image), conv(image))
        assert torch.equal(decompress(copied)(image), conv(image))


def test_modules_that_are_left_as_they_are() -> None:
    class Scaled(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    model = compress(torch.nn.Sequential(Scaled(3, 3), torch.nn.Embedding(3, 3, max_norm=1.0)))
    assert [type(module) for module in model] == [Scaled, torch.nn.Embedding]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "lazy"}, "mode is 'lazy'"),
        ({"cache_bytes": -1}, "cache_bytes is -1"),
        ({"block_bytes": 0}, "block_bytes is 0"),
        ({"file": b"", "profile": "small"}, "profile= is for the encoder"),
    ],
)
def test_arguments(arguments: Any, message: str) -> None:
    with pytest.raises(swsfmt.InputError, match=message):
        compress(torch.nn.Sequential(torch.nn.Linear(2, 2)), **arguments)
    with pytest.raises(swsfmt.InputError, match=r"must be a torch\.nn\.Module"):
        compress("model.sws")  # type: ignore[type-var]
    with pytest.raises(swsfmt.InputError, match="itself is a layer"):
        compress(torch.nn.Linear(2, 2))
