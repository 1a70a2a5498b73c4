"""`sws compare`: what it prints, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from command import fails, run
from torch import nn

import swsfmt.torch

MODULE = """
import torch
from torch import nn

def make_model():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5))

def inputs():
    torch.manual_seed(0)
    return [torch.randn(8, 4), torch.randn(2, 4)]

def forward(model, batch):
    return model(batch) * 2

def own_inputs(model):
    return model(torch.ones(3, 4))

def broken():
    return "no model"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(2)
    state = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5)).state_dict()
    torch.save(state, tmp_path / "original.pt")
    swsfmt.torch.save_file({name: t.half().float() for name, t in state.items()}, tmp_path / "small.sws")
    (tmp_path / "net.py").write_text(MODULE)
    return tmp_path


def pair(folder: Path) -> list[Path]:
    return [folder / "original.pt", folder / "small.sws"]


def test_tensors(folder: Path) -> None:
    result = run("compare", *pair(folder))
    assert result.exit_code == 0, result.output
    head, *rows, total = result.stdout.splitlines()
    assert head.split()[:2] == ["tensor", "shape"]
    assert [row.split()[:2] for row in rows] == [["0.weight", "3x4"], ["0.bias", "3"], ["2.weight", "5x3"],
                                                 ["2.bias", "5"]]  # fmt: skip
    assert total.startswith("4 tensors, 35 elements, relative error 0.000")
    size = (folder / "small.sws").stat().st_size
    assert total.endswith(f"{size:,} bytes, {8 * size / 35:.3f} bits an element")


def test_equal_models_have_no_error(folder: Path) -> None:
    told = json.loads(run("compare", folder / "original.pt", folder / "original.pt", "--json").stdout)
    assert told["total"]["relative_error"] == 0
    assert told["outputs"] is None
    assert told["small_bytes"] == (folder / "original.pt").stat().st_size


@pytest.mark.parametrize(
    ("more", "vectors"),
    [
        (["--inputs", "inputs"], 10),
        (["--inputs", "inputs", "--forward", "forward"], 10),
        (["--forward", "own_inputs"], 3),
    ],
)
def test_outputs(folder: Path, more: list[str], vectors: int) -> None:
    options = [option if option.startswith("-") else f"{folder / 'net.py'}:{option}" for option in more]
    command = ["compare", *pair(folder), "--model", f"{folder / 'net.py'}:make_model", *options, "--logits"]
    outputs = json.loads(run(*command, "--json").stdout)["outputs"]
    assert outputs["vectors"] == vectors
    assert 0.999 < outputs["least_cosine"] < 1
    assert 0 < outputs["kl"] < 1e-4
    assert outputs["perplexity"] is None
    last = run(*command).stdout.splitlines()[-1]
    assert last.startswith(f"outputs: {vectors} vectors, relative error ")
    assert "top-1 agreement 100.00%" in last


def test_models_that_do_not_fit(folder: Path) -> None:
    swsfmt.torch.save_file({"0.weight": torch.ones(4, 3), "more": torch.ones(1)}, folder / "small.sws")
    message = fails("compare", *pair(folder), code=3)
    for part in ("only the original has 0.bias", "the original has not more", "0.weight [3, 4] and [4, 3]", "--common"):
        assert part in message
    assert "no tensor is in both" in fails("compare", *pair(folder), "--common", code=3)
    swsfmt.torch.save_file({"0.bias": torch.ones(3), "more": torch.ones(1)}, folder / "small.sws")
    lines = run("compare", *pair(folder), "--common").stdout.splitlines()
    assert "more: not in the original" in lines
    assert "2.bias: only in the original" in lines


def test_functions_that_are_not_there(folder: Path) -> None:
    net = folder / "net.py"
    (folder / "bad.py").write_text("import no_such_module")

    def failure(model: str, *more: str) -> str:
        return fails("compare", *pair(folder), "--model", model, *more)

    assert "MODULE.py:FUNCTION" in failure("net.py")
    assert "no such file" in failure("none.py:make_model")
    assert "no function 'none'" in failure(f"{net}:none")
    assert "No module named 'no_such_module'" in failure(f"{folder / 'bad.py'}:f")
    assert "nothing says on what" in failure(f"{net}:make_model")
    assert "must give a torch.nn.Module" in failure(f"{net}:broken", "--inputs", f"{net}:inputs")
    assert "takes the model alone" in failure(f"{net}:make_model", "--forward", f"{net}:forward")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--logits"], "need --model"),
        (["--tokens", "5"], "is for --text"),
        (["--model", "a.py:b", "--text", "c"], "for one's own network"),
    ],
)
def test_options_that_do_not_go_together(folder: Path, options: list[str], message: str) -> None:
    result = run("compare", *pair(folder), *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_text_needs_a_folder(folder: Path) -> None:
    (folder / "text.txt").write_text("words")
    assert "config.json" in fails("compare", *pair(folder), "--text", folder / "text.txt")


def test_a_language_model_on_a_text(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(3)
    words = {word: number for number, word in enumerate(["[UNK]", "a", "b", "c", "d"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model = folder / "model"
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(model)
    sizes = {"vocab_size": 5, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    config = transformers.LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True)
    network = transformers.LlamaForCausalLM(config)
    network.save_pretrained(model)
    tensors = swsfmt.torch.load(swsfmt.torch.save({n: t.bfloat16() for n, t in network.state_dict().items()
                                                   if n != "lm_head.weight"}))  # fmt: skip
    swsfmt.torch.save_file(tensors, folder / "small.sws")
    (folder / "text.txt").write_text("a b c d a b d c " * 50)
    command = ["compare", model, folder / "small.sws", "--text", folder / "text.txt", "--json"]
    outputs = json.loads(run(*command).stdout)["outputs"]
    assert outputs["vectors"] == 398  # of 400 tokens in two windows, the first one each has none before it
    assert 1 < outputs["perplexity"] < 10
    assert outputs["small_perplexity"] == pytest.approx(outputs["perplexity"], rel=1e-3)
    assert 0 < outputs["kl"] < 1e-4
    assert json.loads(run(*command, "--tokens", "20").stdout)["outputs"]["vectors"] == 19
    # The same under all names that the network has, of which two are one tensor.
    swsfmt.torch.save_file(network.state_dict(), folder / "small.sws")
    told = json.loads(run(*command).stdout)
    assert told["outputs"]["kl"] == told["total"]["relative_error"] == 0
    swsfmt.torch.save_file({"model.norm.weight": torch.ones(8)}, folder / "small.sws")
    assert "needs tensors that it has not" in fails(*command[:-1], code=3)
