"""Steps of a checkpoint alone: by names, shapes and norms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sws.quantize import Network, data_free
from sws.quantize.layout import Layout
from sws.quantize.network import dense
from sws.quantize.networks import Plan
from sws.quantize.sharded import own_plan

SHAPES = {
    f"model.layers.{n}.{part}.weight": shape
    for n in range(3)
    for part, shape in (("attn.q_proj", (8, 8)), ("mlp.up_proj", (24, 8)))
}
MEAN = (8 * 8 + 24 * 8) / 2
HEAD = data_free.HEAD_STEP**2 * MEAN


def test_matrices_of_blocks_count_alike() -> None:
    assert data_free.sizes(SHAPES) == dict.fromkeys(SHAPES, MEAN)


@pytest.mark.parametrize("words", ["model.embed_tokens.weight", "transformer.wte.weight", "token_embd.weight"])
def test_what_makes_words_counts_more(words: str) -> None:
    alone = data_free.sizes({words: (100, 8), **SHAPES})
    assert alone == {**dict.fromkeys(SHAPES, MEAN), words: HEAD}
    # Where there is a matrix of its own for it, the words themselves count as any other matrix.
    both = data_free.sizes({words: (100, 8), **SHAPES, "lm_head.weight": (100, 8)})
    assert both == {**dict.fromkeys(SHAPES, MEAN), "lm_head.weight": HEAD}


@pytest.mark.parametrize("name", ["embeddings.word_embeddings.weight", "model.norm.weight_of_output"])
def test_other_matrices_are_no_heads(name: str) -> None:
    assert name not in data_free.sizes({**SHAPES, name: (100, 8)})


@pytest.mark.parametrize(
    "shapes",
    [
        {"net.0.weight": (8, 8), "net.2.weight": (8, 8), "lm_head.weight": (4, 8)},
        {f"layer.{n}.conv{k}.weight": (8, 8, 3, 3) for n in range(2) for k in range(2)},
        {f"cells.{n}.weight_{kind}": (32, 8) for n in range(2) for kind in ("ih", "hh")},
        {f"layers.{n}.{part}.weight": (8, 8 + n) for n in range(2) for part in "qk"},
    ],
    ids=["one behind the other", "convolutions", "recurrent", "of other shapes"],
)
def test_what_is_no_blocks(shapes: dict[str, tuple[int, ...]]) -> None:
    assert data_free.sizes(shapes) == {}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"model.embed_tokens.weight": (100, 8), **SHAPES}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_steps_relative_to_norms() -> None:
    own = tensors()
    own["lm_head.weight"] = own["model.embed_tokens.weight"]
    steps = Network(own).relative_steps()
    usual = steps["model.layers.0.attn.q_proj.weight"]
    assert "lm_head.weight" not in steps
    for name, step in steps.items():
        ratio = data_free.HEAD_STEP if "embed" in name else 1
        # Steps of columns are of a fourth root: their geometric mean is about 1.
        assert step / usual == pytest.approx(ratio, rel=0.1), name


def test_a_tensor_alone_has_the_steps_that_it_has_in_the_network() -> None:
    own = tensors()
    plan = replace(Plan.of("feedback", [], own), sizes=data_free.sizes({n: tuple(t.shape) for n, t in own.items()}))
    whole = Network(own).quantize(0.01)
    for name, tensor in own.items():
        alone = own_plan(plan, name).network({name: tensor}).quantize(0.01)[name]
        assert torch.equal(dense(alone), dense(whole[name])), name


def test_without_calibration_steps_follow_columns_and_in_convolutions_and_recurrent_layers_rows() -> None:
    weights = torch.randn(32, 16, 3, generator=torch.Generator().manual_seed(0))
    (usual,) = data_free.factors(weights, Layout((32, 16, 3)))
    weights[0] *= 4
    (own,) = data_free.factors(weights, Layout((32, 16, 3)))
    ratios = own.row_diagonal / own.row_diagonal[1:].mean() / (usual.row_diagonal / usual.row_diagonal[1:].mean())
    assert float(ratios[0]) == pytest.approx(2, rel=0.01)
    assert own.column_diagonal.unique().numel() == 1
    (linear,) = data_free.factors(weights.flatten(1), Layout((32, 48)))
    assert linear.row_diagonal.unique().numel() == 1
    assert linear.column_diagonal.unique().numel() > 1
    for name in ("lstm.weight_ih_l0", "gru.weight_hh_l1_reverse", "cell.weight_ih"):
        (recurrent,) = data_free.factors(weights.flatten(1), Layout((32, 48)), name)
        norms = weights.flatten(1).norm(dim=1)
        torch.testing.assert_close(recurrent.row_diagonal / recurrent.row_diagonal[0], (norms / norms[0]).double())
