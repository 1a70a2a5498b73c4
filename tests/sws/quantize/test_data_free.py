"""Steps of a checkpoint alone: by names, shapes and norms."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sws.quantize import Network, data_free
from sws.quantize.layout import Layout
from sws.quantize.network import dense
from sws.quantize.networks import Plan
from sws.quantize.sharded import own_plan, whole_plan
from swsfmt import checkpoints

SHAPES = {
    f"model.layers.{n}.{part}.weight": shape
    for n in range(3)
    for part, shape in (("attn.q_proj", (16, 16)), ("mlp.up_proj", (48, 16)))
}
MEAN = (16 * 16 + 48 * 16) / 2
HEAD = data_free.HEAD_STEP**2 * MEAN


def test_matrices_of_blocks_count_alike() -> None:
    assert data_free.sizes(SHAPES) == dict.fromkeys(SHAPES, MEAN)


@pytest.mark.parametrize(
    "words", ["model.embed_tokens.weight", "transformer.wte.weight", "token_embd.weight", "tok_embeddings.weight"]
)
def test_what_makes_words_counts_more(words: str) -> None:
    alone = data_free.sizes({words: (100, 16), **SHAPES})
    assert alone == {**dict.fromkeys(SHAPES, MEAN), words: HEAD}
    # Where there is a matrix of its own for it, the words themselves count as any other matrix.
    both = data_free.sizes({words: (100, 16), **SHAPES, "lm_head.weight": (100, 16)})
    assert both == {**dict.fromkeys(SHAPES, MEAN), "lm_head.weight": HEAD}


@pytest.mark.parametrize(
    "name",
    ["self_attn.v_proj.weight", "SelfAttention.v.weight", "self.value.weight", "attn_v.weight", "attention.wv.weight"],
)
def test_values_of_attention_count_more(name: str) -> None:
    values = {f"model.layers.{n}.{name}": (16, 16) for n in range(3)}
    mean = (16 * 16 + 48 * 16 + 16 * 16) / 3
    counts = data_free.VALUE_STEP**2 * mean
    assert data_free.sizes({**SHAPES, **values}) == {**dict.fromkeys(SHAPES, mean), **dict.fromkeys(values, counts)}


def test_a_head_that_is_tied_to_words_of_any_name() -> None:
    words = "backbone.embeddings.weight"
    shapes = {words: (100, 16), **SHAPES}
    assert words not in data_free.sizes(shapes)
    assert data_free.sizes(shapes, {"lm_head.weight": words}) == {**dict.fromkeys(SHAPES, MEAN), words: HEAD}
    own = {name: torch.randn(shape) for name, shape in shapes.items()}
    steps = Network({**own, "lm_head.weight": own[words]}).relative_steps()
    assert steps[words] < steps["model.layers.0.attn.q_proj.weight"]


@pytest.mark.parametrize(
    "name",
    ["embeddings.word_embeddings.weight", "model.embeddings.tok_embeddings.weight", "model.norm.weight_of_output"],
)
def test_other_matrices_are_no_heads(name: str) -> None:
    assert name not in data_free.sizes({**SHAPES, name: (100, 16)})


def test_what_gives_answers_of_another_kind_is_no_head() -> None:
    shapes = {**SHAPES, "transformer.wte.weight": (100, 16), "head.output.weight": (20, 16)}
    assert data_free.sizes(shapes) == {**dict.fromkeys(SHAPES, MEAN), "transformer.wte.weight": HEAD}


@pytest.mark.parametrize("before", ["", "0.", "model.0.blocks."])
def test_blocks_by_any_number(before: str) -> None:
    shapes = {f"{before}{n}.{part}.weight": (16, 16) for n in range(2) for part in "qk"}
    assert data_free.sizes(shapes) == dict.fromkeys(shapes, 256)


def test_small_tensors_of_blocks_keep_their_own_numbers() -> None:
    small = {f"model.layers.{n}.gate": (1, 128) for n in range(3)}
    assert data_free.sizes({**SHAPES, **small}) == dict.fromkeys(SHAPES, MEAN)


@pytest.mark.parametrize(
    "shapes",
    [
        {"net.0.weight": (16, 16), "net.2.weight": (16, 16), "lm_head.weight": (100, 16)},
        {
            f"net.{n}.{part}": (16, 16) if part == "weight" else (1, 64)
            for n in range(3)
            for part in ("weight", "alpha")
        },
        {f"layer.{n}.conv{k}.weight": (16, 16, 3, 3) for n in range(2) for k in range(2)},
        {f"cells.{n}.weight_{kind}": (32, 16) for n in range(2) for kind in ("ih", "hh")},
        {f"layers.{n}.{part}.weight": (16, 16 + n) for n in range(2) for part in "qk"},
    ],
    ids=["one behind the other", "with small ones", "convolutions", "recurrent", "of other shapes"],
)
def test_what_is_no_blocks(shapes: dict[str, tuple[int, ...]]) -> None:
    assert data_free.sizes(shapes) == {}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"model.embed_tokens.weight": (100, 16), **SHAPES}
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


def test_a_tensor_alone_has_the_steps_that_it_has_in_the_network(tmp_path: Path) -> None:
    own = tensors()
    save_file({**own, "numbers": torch.arange(512).reshape(16, 32)}, tmp_path / "own.safetensors")
    opened = checkpoints.open(str(tmp_path / "own.safetensors"))
    plan = whole_plan(Plan.of("feedback", [], own), opened.tensors)
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
