"""`from_pretrained` of transformers on folders with .sws files, after ``import swsfmt.hf``."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from transformers.utils import is_accelerate_available

import swsfmt
import swsfmt.nn
import swsfmt.torch

hf = pytest.importorskip("swsfmt.hf")

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
IDS = torch.arange(12).reshape(2, 6)


def bert() -> Any:
    torch.manual_seed(0)
    return transformers.BertModel(transformers.BertConfig(vocab_size=50, max_position_embeddings=16, **SIZES)).eval()


def llama(**settings: Any) -> Any:
    torch.manual_seed(1)
    config = transformers.LlamaConfig(vocab_size=50, num_key_value_heads=1, max_position_embeddings=16, **SIZES)
    for name, value in settings.items():
        setattr(config, name, value)
    return transformers.LlamaForCausalLM(config).eval()


def quantized(model: Any) -> Any:
    """Few values, as in a model that was quantised."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 64).round() / 64 + 0.0)
    return model


def output(model: Any) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = model(IDS)[0]
    return out


def same(one: Any, other: Any) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(
    ("make", "auto"),
    [(bert, transformers.AutoModel), (llama, transformers.AutoModelForCausalLM)],
    ids=["bert", "llama"],
)
def test_save_and_load(make: Callable[[], Any], auto: Any, tmp_path: Path) -> None:
    model = quantized(make())
    hf.save_pretrained(model, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.sws"} <= names
    assert not any(name.endswith((".safetensors", ".bin", ".tmp")) for name in names)
    loaded = auto.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    assert same(loaded, model)
    assert torch.equal(output(loaded), output(model))
    assert loaded.config.quantization_config.to_dict() == {"quant_method": "sws"}


def test_the_weights_are_those_of_the_decoded_file(tmp_path: Path) -> None:
    hf.save_pretrained(quantized(llama()), tmp_path)
    state = swsfmt.torch.load_file(tmp_path / "model.sws")
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    del config.quantization_config
    by_hand = transformers.LlamaForCausalLM.from_pretrained(None, config=config, state_dict=state)
    assert torch.equal(output(transformers.AutoModelForCausalLM.from_pretrained(tmp_path)), output(by_hand))


def test_a_folder_that_somebody_has_put_together(tmp_path: Path) -> None:
    """config.json as it was, without a word on .sws files."""
    model = quantized(bert())
    model.config.save_pretrained(tmp_path)
    swsfmt.torch.save_model(model, tmp_path / "model.sws")
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    assert same(transformers.AutoModel.from_pretrained(tmp_path), model)
    config = json.loads((tmp_path / "config.json").read_text())
    for key in ("dtype", "torch_dtype"):
        config.pop(key, None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert transformers.AutoModel.from_pretrained(tmp_path).dtype == torch.float32


def test_half_precision(tmp_path: Path) -> None:
    model = llama().to(torch.bfloat16)
    hf.save_pretrained(model, tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.bfloat16
    assert same(loaded, model)
    wide = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert wide.dtype == torch.float32


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    model = llama(tie_word_embeddings=True)
    model.tie_weights()
    hf.save_pretrained(model, tmp_path)
    assert "lm_head.weight" not in swsfmt.load_file(tmp_path / "model.sws")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert torch.equal(output(loaded), output(model))


def test_shards(tmp_path: Path) -> None:
    model = quantized(llama())
    hf.save_pretrained(model, tmp_path, max_shard_size="20KB")
    shards = sorted(path.name for path in tmp_path.glob("*.sws"))
    assert len(shards) > 2
    index = json.loads((tmp_path / "model.sws.index.json").read_text())
    assert set(index["weight_map"].values()) == set(shards)
    assert same(transformers.AutoModelForCausalLM.from_pretrained(tmp_path), model)
    (tmp_path / shards[0]).unlink()
    with pytest.raises(swsfmt.InputError, match="the shard 'model-00001"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("weight_map", [{}, {"a": "../model.sws"}, {"a": "model.bin"}, {"a": 3}, 5])
def test_an_index_does_not_reach_out_of_its_folder(weight_map: Any, tmp_path: Path) -> None:
    bert().config.save_pretrained(tmp_path)
    (tmp_path / "model.sws.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(swsfmt.InputError, match="weight_map of an index"):
        transformers.AutoModel.from_pretrained(tmp_path)


def test_a_loaded_model_is_saved_as_it_came(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    hf.save_pretrained(quantized(bert()), first)
    loaded = transformers.AutoModel.from_pretrained(first)
    loaded.save_pretrained(second)
    assert {path.name for path in second.iterdir()} == {path.name for path in first.iterdir()}
    assert same(transformers.AutoModel.from_pretrained(second), loaded)
    assert json.loads((second / "config.json").read_text()) == json.loads((first / "config.json").read_text())
    assert same(copy.deepcopy(loaded), loaded)


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("size", ["5GB", "20KB"])
def test_nothing_dense_is_written(size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = quantized(llama())
    dense: list[str] = []
    ours: Any = transformers.modeling_utils.safe_save_file  # type: ignore[attr-defined]

    def watched(tensors: Any, path: str, metadata: Any = None) -> None:
        dense.append(path)
        safetensors.torch.save_file(tensors, path, metadata=metadata)

    # As in a version of transformers that is not known: encoded when it is there.
    monkeypatch.setattr(transformers.modeling_utils, "safe_save_file", watched)
    hf.save_pretrained(model, tmp_path / "later", max_shard_size=size)
    assert dense
    monkeypatch.setattr(transformers.modeling_utils, "safe_save_file", ours)
    # Nothing is left to be encoded.
    monkeypatch.setattr(hf.folders, "convert", None)
    hf.save_pretrained(model, tmp_path / "at_once", max_shard_size=size)
    assert written(tmp_path / "at_once").keys() == written(tmp_path / "later").keys()
    for name in ("at_once", "later"):
        assert same(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / name), model)


def test_other_models_are_saved_as_before(tmp_path: Path) -> None:
    """After one of ours, and after one that failed."""
    model = quantized(bert())
    hf.save_pretrained(model, tmp_path / "ours")
    with pytest.raises(swsfmt.InputError):
        hf.save_pretrained(model, tmp_path / "no", options={"profile": {"no.such.tensor": "small"}})
    model.save_pretrained(tmp_path / "theirs")
    assert "model.safetensors" in written(tmp_path / "theirs")


class WithPart(transformers.BertModel):
    """Saves a model of another kind below its own folder, as those of several parts do."""

    part: Any

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        super().save_pretrained(save_directory, **kwargs)
        self.part.save_pretrained(Path(save_directory) / "part")


def test_a_model_that_saves_another_one_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, part = quantized(WithPart(bert().config)), llama()
    # Not by `setattr` of a module: it is no submodule, whose weights would be those of the model, too.
    object.__setattr__(model, "part", part)
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "m", tmp_path / "m", Path("relative")):
        hf.save_pretrained(model, folder)
        assert transformers.AutoModel.from_pretrained(folder).config.model_type == "bert"
        assert same(transformers.BertModel.from_pretrained(folder), model)
        assert same(transformers.AutoModelForCausalLM.from_pretrained(folder / "part"), part)
        assert {path.name for path in (folder / "part").glob("model.*")} == {"model.safetensors"}


def test_saved_again_with_shards_the_old_file_is_gone(tmp_path: Path) -> None:
    model = llama()
    hf.save_pretrained(model, tmp_path)
    hf.save_pretrained(model, tmp_path, max_shard_size="20KB")
    assert not (tmp_path / "model.sws").exists()
    hf.save_pretrained(model, tmp_path)
    assert not (tmp_path / "model.sws.index.json").exists()
    assert same(transformers.AutoModelForCausalLM.from_pretrained(tmp_path), model)


def test_options_of_the_encoder(tmp_path: Path) -> None:
    model = quantized(bert())
    hf.save_pretrained(model, tmp_path / "a", options={"profile": "fast"})
    hf.save_pretrained(model, tmp_path / "b", options={"profile": "small"})
    sizes = [(tmp_path / name / "model.sws").stat().st_size for name in "ab"]
    assert sizes[1] < sizes[0]
    with pytest.raises((swsfmt.InputError, TypeError)):
        hf.save_pretrained(model, tmp_path / "c", options={"profil": "small"})


def test_other_folders_load_as_before(tmp_path: Path) -> None:
    """Also where a .sws file lies beside: what transformers knows itself comes first."""
    model = bert()
    model.save_pretrained(tmp_path)
    swsfmt.torch.save_file({"a": torch.zeros(3)}, tmp_path / "model.sws")
    assert same(transformers.AutoModel.from_pretrained(tmp_path), model)
    with pytest.raises(swsfmt.InputError, match="other weights"):
        hf.save_pretrained(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.sws").unlink()
    with pytest.raises(OSError, match=r"model\.safetensors"):
        transformers.AutoModel.from_pretrained(tmp_path)


def test_damage_is_an_error(tmp_path: Path) -> None:
    hf.save_pretrained(quantized(bert()), tmp_path)
    data = bytearray((tmp_path / "model.sws").read_bytes())
    data[-5] ^= 1
    (tmp_path / "model.sws").write_bytes(data)
    with pytest.raises(swsfmt.ChecksumError):
        transformers.AutoModel.from_pretrained(tmp_path)


def test_encode_folder(tmp_path: Path) -> None:
    dense, ours = tmp_path / "dense", tmp_path / "ours"
    model = quantized(bert())
    model.save_pretrained(dense)
    (dense / "tokenizer.json").write_text("{}")
    written = hf.encode_folder(dense, ours, profile="fast")
    assert written.path == ours / "model.sws"
    assert {path.name for path in ours.iterdir()} == {"config.json", "model.sws", "tokenizer.json"}
    assert same(transformers.AutoModel.from_pretrained(ours), model)
    with pytest.raises(swsfmt.InputError, match=r"no config\.json"):
        hf.encode_folder(tmp_path, tmp_path / "other")


def test_what_is_quantised_by_others_is_refused(tmp_path: Path) -> None:
    model = bert()
    model.save_pretrained(tmp_path / "a")
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    with pytest.raises(swsfmt.InputError, match="those of gptq"):
        hf.encode_folder(tmp_path / "a", tmp_path / "b")


def test_modes_that_there_are_not() -> None:
    with pytest.raises(swsfmt.InputError, match="mode is 'fast'"):
        hf.SwsConfig("fast")


@pytest.mark.parametrize(
    ("mode", "tied"), [("resident", True), ("cached", False), ("block", True), ("sparse", False), ("integer", True)]
)
def test_weights_that_stay_compressed(mode: swsfmt.nn.Mode, tied: bool, tmp_path: Path) -> None:
    model = quantized(llama(tie_word_embeddings=tied))
    model.tie_weights()
    first, second = tmp_path / "first", tmp_path / "second"
    hf.save_pretrained(model, first)
    loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
        first, quantization_config=hf.SwsConfig(mode=mode, block_bytes=1 << 12), output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert isinstance(loaded.lm_head, swsfmt.nn.Linear)
    assert isinstance(loaded.model.embed_tokens, swsfmt.nn.Embedding)
    assert (loaded.lm_head.packed is loaded.model.embed_tokens.packed) == tied
    torch.testing.assert_close(output(loaded), output(model))
    assert same(loaded, model)
    loaded.save_pretrained(second)
    assert swsfmt.torch.load_file(second / "model.sws").keys() == swsfmt.torch.load_file(first / "model.sws").keys()
    assert same(transformers.AutoModelForCausalLM.from_pretrained(second), model)


def test_a_model_without_the_head_of_the_file(tmp_path: Path) -> None:
    model = llama()
    hf.save_pretrained(model, tmp_path)
    config = hf.SwsConfig(mode="block")
    loaded = transformers.AutoModel.from_pretrained(tmp_path, quantization_config=config, dtype=torch.bfloat16)
    assert isinstance(loaded.layers[0].mlp.up_proj, swsfmt.nn.Linear)
    assert loaded.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
    assert output(loaded).dtype == torch.bfloat16


@pytest.mark.skipif(not is_accelerate_available(), reason="transformers wants a newer accelerate")
def test_offload_to_disk_is_refused(tmp_path: Path) -> None:
    hf.save_pretrained(bert(), tmp_path)
    with pytest.raises(swsfmt.InputError, match="offloaded"):
        transformers.AutoModel.from_pretrained(tmp_path, device_map={"": "disk"}, offload_folder=tmp_path)


REMOTE = """
import sys, transformers
model = transformers.AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
print(type(model).__mro__[1].__name__, sum(p.numel() for p in model.parameters()))
"""


def test_code_of_the_folder_imports_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert()
    hf.save_pretrained(model, tmp_path / "model")
    hf.write_remote_code(tmp_path / "model")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = [sys.executable, "-c", REMOTE, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"BertModel {sum(p.numel() for p in model.parameters())}\n", done.stderr
    assert same(transformers.AutoModel.from_pretrained(tmp_path / "model", trust_remote_code=False), model)


def test_a_repository_in_the_cache(tmp_path: Path) -> None:
    """Laid out as huggingface_hub does, so that no network is needed."""
    model = quantized(bert())
    repository = tmp_path / "models--somebody--tiny"
    hf.save_pretrained(model, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    loaded = transformers.AutoModel.from_pretrained("somebody/tiny", cache_dir=tmp_path, local_files_only=True)
    assert same(loaded, model)
    shutil.rmtree(repository)
    with pytest.raises(OSError, match=r"cached files|somebody/tiny"):
        transformers.AutoModel.from_pretrained("somebody/tiny", cache_dir=tmp_path, local_files_only=True)
