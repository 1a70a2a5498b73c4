"""Where models and calibration come from, and what is said of what cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_models import WORDS, folder_of_transformers, network, program, text

from sws.quantize import calibration
from sws.quantize.outputs import DIVERGENCE, RELATIVE, OutputError
from sws.quantize.sources import Source, function, open_source
from swsfmt import InputError


def shapes(batches: list[Any]) -> list[tuple[int, ...]]:
    return [tuple(batch.shape) for batch in batches]


@pytest.fixture
def net(tmp_path: Path) -> Source:
    return open_source(f"{program(tmp_path)}:make_model")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Source:
    pytest.importorskip("transformers")
    return open_source(str(folder_of_transformers(tmp_path_factory.mktemp("hf"), "llama")))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Source:
    pytest.importorskip("transformers")
    return open_source(str(folder_of_transformers(tmp_path_factory.mktemp("hf"), "bert")))


# ---- sources ---------------------------------------------------------------------------------------------------------


def test_a_program_makes_the_network(net: Source) -> None:
    assert torch.equal(net.network()[0].weight, network()[0].weight)  # type: ignore[index]
    assert net.checkpoint is None


def test_a_checkpoint_alone(tmp_path: Path) -> None:
    torch.save({"model": network().state_dict()}, tmp_path / "a.pt")
    source = open_source(str(tmp_path / "a.pt"), "model")
    assert source.checkpoint is not None
    assert "0.weight" in source.checkpoint.tensors
    with pytest.raises(InputError, match="without its network"):
        source.network()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("broken", "KeyError in line 19: 'no weights here'"),
        ("no_model", "must return a torch.nn.Module, not an int"),
        ("make_modle", "did you mean 'make_model'"),
    ],
)
def test_a_program_that_makes_none(name: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        open_source(f"{program(tmp_path)}:{name}")
    assert what in str(error.value)


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = (")
    with pytest.raises(InputError, match="SyntaxError"):
        function(f"{tmp_path}/bad.py:f")
    with pytest.raises(InputError, match="no such file"):
        function(f"{tmp_path}/none.py:f")


def test_folders_of_transformers(llama: Source, bert: Source) -> None:
    assert llama.writes_text
    assert not bert.writes_text
    assert llama.tokenizer is not None
    tied = llama.network().state_dict()
    assert tied["lm_head.weight"].data_ptr() == tied["model.embed_tokens.weight"].data_ptr()


def test_a_folder_alone(llama: Source) -> None:
    assert open_source(llama.path, alone=True).checkpoint is not None


def test_a_folder_of_an_unknown_architecture(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertForNothing"]}')
    with pytest.raises(InputError, match="has no BertForNothing"):
        open_source(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(InputError, match="transformers cannot make this model"):
        open_source(str(tmp_path))


# ---- calibration -----------------------------------------------------------------------------------------------------


def test_noise(net: Source) -> None:
    made = calibration.make(net, "noise:32", 40)
    assert shapes(made.batches) == [(8, 32)] * 4
    assert shapes(made.held_out) == [(8, 32)]
    again = calibration.make(net, "noise:32", 40)
    assert all(torch.equal(a, b) for a, b in zip(made.batches, again.batches, strict=True))
    assert not torch.equal(made.batches[0], calibration.make(net, "noise:32", 40, seed=1).batches[0])
    calibration.check(net, made, None, torch.device("cpu"))


def test_files_of_inputs(net: Source, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 32)).astype("f4"))
    made = calibration.make(net, str(tmp_path / "x.npy"))
    assert shapes([*made.batches, *made.held_out]) == [(8, 32)] * 3 + [(6, 32)]
    assert made.kind == "x.npy"
    save_file({"a": torch.zeros(10, 3), "b": torch.ones(10, 2)}, tmp_path / "x.safetensors")
    made = calibration.make(net, str(tmp_path / "x.safetensors"))
    assert {name: tuple(part.shape) for name, part in made.batches[0].items()} == {"a": (8, 3), "b": (8, 2)}


@pytest.mark.parametrize("value", [torch.ones(30, 32), {"x": torch.ones(30, 32)}])
def test_a_file_of_torch(net: Source, tmp_path: Path, value: Any) -> None:
    """Of a tensor alone, or of a dictionary of tensors."""
    torch.save(value, tmp_path / "x.pt")
    made = calibration.make(net, str(tmp_path / "x.pt"))
    assert sum(len(batch) for batch in made.batches + made.held_out) == 30


def test_one_batch_is_cut(net: Source, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 32), "f4"))
    made = calibration.make(net, str(tmp_path / "x.npy"))
    assert (shapes(made.batches), shapes(made.held_out)) == ([(4, 32)], [(1, 32)])


def test_a_program_gives_batches(net: Source, tmp_path: Path) -> None:
    file = f"{program(tmp_path)}"
    made = calibration.make(net, f"{file}:batches")
    assert shapes(made.batches) == [(16, 32)] * 5
    with pytest.raises(InputError, match="must return batches"):
        calibration.make(net, f"{file}:no_model")


def test_text_for_a_language_model(llama: Source, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text())
    made = calibration.make(llama, str(tmp_path / "a.txt"), 10)
    ids = torch.cat([batch["input_ids"] for batch in (*made.batches, *made.held_out)])
    assert ids.shape == (10, 256)
    assert llama.tokenizer.decode(ids[0][:3]) == " ".join(text().split()[:3])
    calibration.check(llama, made, llama.forward, torch.device("cpu"))


def test_text_for_another_model(bert: Source, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text())
    made = calibration.make(bert, str(tmp_path / "a.txt"), 40)
    assert sum(len(batch["input_ids"]) for batch in (*made.batches, *made.held_out)) == 40
    assert set(made.batches[0]) >= {"input_ids", "attention_mask"}
    calibration.check(bert, made, bert.forward, torch.device("cpu"))


def test_a_language_model_writes_its_own(llama: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_TOKENS", 24)
    made = calibration.make(llama, None, 10, seed=3)
    assert made.kind == "self"
    assert shapes([batch["input_ids"] for batch in (*made.batches, *made.held_out)]) == [(8, 24), (2, 24)]
    assert bool((made.batches[0]["input_ids"][:, 0] == llama.tokenizer.bos_token_id).all())
    again = calibration.make(llama, "self", 10, seed=3)
    assert torch.equal(made.batches[0]["input_ids"], again.batches[0]["input_ids"])


def test_random_words_for_another_model(bert: Source) -> None:
    made = calibration.make(bert, None, 16)
    words = bert.tokenizer.decode(made.batches[0]["input_ids"][0], skip_special_tokens=True).split()
    assert set(words) <= set(WORDS)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (None, "reads no text"),
        ("self", "with a tokenizer"),
        ("noise:", "is no shape of noise"),
        ("noise:3x0", "is no shape of noise"),
        ("noise:99999x99999", "too large"),
        ("nothing.txt", "no file of this name"),
    ],
)
def test_what_cannot_be_calibrated_with(what: str | None, says: str, net: Source) -> None:
    with pytest.raises(InputError, match=says):
        calibration.make(net, what)


def test_text_that_is_none(llama: Source, net: Source, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="no text in UTF-8"):
        calibration.make(llama, str(tmp_path / "a.txt"))
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match="too short"):
        calibration.make(llama, str(tmp_path / "a.txt"))
    with pytest.raises(InputError, match="tokenizer"):
        calibration.make(net, str(tmp_path / "a.txt"))


def test_inputs_of_the_wrong_shape(net: Source) -> None:
    made = calibration.make(net, "noise:31")
    with pytest.raises(InputError, match=r"cannot be run on .*float32 of shape \(8, 31\)"):
        calibration.check(net, made, None, torch.device("cpu"))


def test_outputs_that_are_not_finite(net: Source) -> None:
    made = calibration.make(net, "noise:32")
    with pytest.raises(InputError, match="infinite or NaN before"):
        calibration.check(net, made, lambda model, batch: model(batch) / 0, torch.device("cpu"))
    with pytest.raises(InputError, match="holds no floating-point tensor"):
        calibration.check(net, made, lambda model, batch: model(batch).argmax(1), torch.device("cpu"))


# ---- errors of outputs -----------------------------------------------------------------------------------------------


def test_relative_error(net: Source) -> None:
    model = net.network().train()
    measure = OutputError(model, [torch.randn(64, 32)])
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert measure.measure(state) == 0
    state["4.weight"] *= 1.1
    state["4.bias"] *= 1.1
    assert measure.measure(state) == pytest.approx(0.1, rel=1e-4)
    assert measure.kind == RELATIVE
    # The model is as it was.
    assert model.training
    assert not torch.equal(model.state_dict()["4.weight"], state["4.weight"])


def test_divergence_of_a_language_model(llama: Source) -> None:
    model = llama.network()
    ids = torch.randint(4, 20, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    measure = OutputError(model, [{"input_ids": ids, "attention_mask": mask}])
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert measure.measure(state) == pytest.approx(0, abs=1e-6)
    state["model.norm.weight"] = state["model.norm.weight"] * 3
    got = measure.measure(state)
    assert measure.kind == DIVERGENCE
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
        model.model.norm.weight.mul_(3)  # type: ignore[union-attr, operator]
        after = model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
        model.model.norm.weight.div_(3)  # type: ignore[union-attr, operator]
    each = (before.exp() * (before - after)).sum(-1)
    assert got == pytest.approx(float(each[mask > 0].mean()), rel=1e-4)


def test_nothing_to_measure_on(net: Source) -> None:
    with pytest.raises(InputError, match="more samples"):
        OutputError(net.network(), [])
