"""Each kind of layer of torch is compressed or named as left out; none is passed over in silence."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from sws.layers import layer_parameters, left_out
from sws.prior import init_mixture
from sws.shrink import Pruning, Quantization, Settings, compress_network
from sws.warnings import SkippedWarning
from swsfmt import InputError

SETTINGS = Settings(Pruning(sparsity=0.3, epochs=1), Quantization(values=4, epochs=1), remove_dead=False, order=False)


class Through(nn.Module):
    """A layer and what it is called with; its first output counts."""

    def __init__(self, layer: nn.Module, *shapes: tuple[int, ...], words: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self._shapes, self._words = shapes, words

    def inputs(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        if self._words:
            return [torch.randint(0, 6, (8, *shape), generator=generator) for shape in self._shapes]
        return [torch.randn(8, *shape, generator=generator) for shape in self._shapes]

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs = self.layer(*inputs)
        while isinstance(outputs, tuple):
            outputs = outputs[0]
        assert isinstance(outputs, Tensor)
        return outputs


class Own(nn.Module):
    """A layer of somebody's own, with a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


def kinds() -> dict[str, Through]:
    torch.manual_seed(0)
    return {
        "Linear": Through(nn.Linear(6, 4), (6,)),
        "Bilinear": Through(nn.Bilinear(6, 6, 4), (6,), (6,)),
        "Conv1d": Through(nn.Conv1d(2, 3, 3), (2, 6)),
        "Conv2d": Through(nn.Conv2d(2, 4, 3, groups=2), (2, 6, 6)),
        "Conv3d": Through(nn.Conv3d(1, 3, 2), (1, 4, 4, 4)),
        "ConvTranspose1d": Through(nn.ConvTranspose1d(2, 3, 3), (2, 6)),
        "ConvTranspose2d": Through(nn.ConvTranspose2d(2, 3, 3), (2, 6, 6)),
        "ConvTranspose3d": Through(nn.ConvTranspose3d(1, 3, 2), (1, 3, 3, 3)),
        "Embedding": Through(nn.Embedding(6, 4), (5,), words=True),
        "EmbeddingBag": Through(nn.EmbeddingBag(6, 4), (5,), words=True),
        "MultiheadAttention": Through(nn.MultiheadAttention(6, 2, batch_first=True), (5, 6), (5, 6), (5, 6)),
        "RNN": Through(nn.RNN(6, 4, batch_first=True), (5, 6)),
        "LSTM": Through(nn.LSTM(6, 4, num_layers=2, bidirectional=True, batch_first=True), (5, 6)),
        "GRU": Through(nn.GRU(6, 4, batch_first=True), (5, 6)),
        "RNNCell": Through(nn.RNNCell(6, 4), (6,)),
        "LSTMCell": Through(nn.LSTMCell(6, 4), (6,)),
        "GRUCell": Through(nn.GRUCell(6, 4), (6,)),
        "TransformerEncoderLayer": Through(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), (5, 6)),
        "TransformerDecoderLayer": Through(nn.TransformerDecoderLayer(6, 2, 8, batch_first=True), (5, 6), (5, 6)),
        "LayerNorm": Through(nn.Sequential(nn.Linear(6, 4), nn.LayerNorm((2, 4))), (2, 6)),
        "own": Through(nn.Sequential(Own(), nn.Linear(4, 4)), (6,)),
    }


def test_no_kind_of_torch_is_missing() -> None:
    """What has a matrix, made in any way that these arguments allow, is taken or named."""
    arguments: tuple[Any, ...]
    for name, kind in vars(nn).items():
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)) or name.startswith("Lazy"):
            continue
        for arguments in ((), (4,), (4, 4), (4, 4, 2), (4, 2, 2, 2), (4, 8, [4])):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    module = kind(*arguments)
            except Exception:  # whatever they say to the wrong arguments
                continue
            taken = {id(parameter) for _, parameter in layer_parameters(module)}
            matrices = [key for key, p in module.named_parameters() if p.dim() > 1 and id(p) not in taken]
            assert left_out(module) == matrices
            assert not matrices or name in ("LayerNorm", "RMSNorm"), name


@pytest.mark.parametrize("name", kinds())
@pytest.mark.filterwarnings("ignore::sws.warnings.QualityWarning")
def test_compressed_or_named(name: str) -> None:
    model = kinds()[name].eval()
    inputs = model.inputs()
    batches = [(*inputs, torch.zeros_like(model(*inputs)))] * 3
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SkippedWarning)
        compress_network(model, batches, SETTINGS, loss=mse_loss)
    said = " ".join(str(w.message) for w in told if issubclass(w.category, SkippedWarning))
    compressed = [p.detach().flatten() for key, p in model.named_parameters() if p.dim() > 1 and key not in said]
    assert len(torch.cat(compressed).unique()) <= 5
    assert ("matrix" in said) == (name == "own")
    assert all(
        not torch.equal(p, before[key]) for key, p in model.named_parameters() if p.dim() > 1 and key not in said
    )


@pytest.mark.parametrize("name", kinds())
@pytest.mark.filterwarnings("ignore::sws.warnings.QualityWarning", "ignore::sws.warnings.SkippedWarning")
def test_quantised_or_skipped(name: str) -> None:
    model = kinds()[name]
    assignment = init_mixture(model, J=4).quantize_model(model)
    matrices = {key for key, p in model.named_parameters() if p.dim() > 1}
    assert {*assignment.ids, *assignment.skipped} == matrices
    assert set(assignment.skipped) == set(left_out(model))
    for key in assignment.ids:
        assert len(model.get_parameter(key).unique()) <= 4


def test_a_lazy_layer_is_refused() -> None:
    with pytest.raises(InputError, match="is lazy and has no weights yet"):
        init_mixture(nn.Sequential(nn.LazyLinear(3)))
