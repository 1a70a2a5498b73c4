"""The plugin for vLLM against stand-ins of its interfaces, as vLLM itself needs a GPU."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import swsfmt
import swsfmt.torch

vllm = pytest.importorskip("swsfmt.hf.vllm")


@pytest.fixture
def loaders(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is registered, by load format, as in vllm/model_executor/model_loader/__init__.py."""
    registered: dict[str, Any] = {}
    names = ("vllm", "vllm.model_executor", "vllm.model_executor.model_loader")
    modules: dict[str, Any] = {name: ModuleType(name) for name in (*names, f"{names[-1]}.base_loader")}
    modules["vllm.model_executor"].model_loader = modules[names[-1]]

    class BaseModelLoader:
        def __init__(self, load_config: Any) -> None:
            self.load_config = load_config

    def register_model_loader(load_format: str) -> Any:
        def register(kind: type) -> type:
            if not issubclass(kind, BaseModelLoader):
                raise ValueError("The model loader must be a subclass of `BaseModelLoader`.")
            registered[load_format] = kind
            return kind

        return register

    modules[names[-1]].register_model_loader = register_model_loader
    modules[names[-1]]._LOAD_FORMAT_TO_MODEL_LOADER = registered
    modules[f"{names[-1]}.base_loader"].BaseModelLoader = BaseModelLoader
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return registered


def test_weights_are_handed_over(loaders: dict[str, Any], tmp_path: Path) -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(3, dtype=torch.bfloat16)}
    swsfmt.torch.save_file(state, tmp_path / "model.sws")
    vllm.register()
    vllm.register()
    loader = loaders["sws"](SimpleNamespace())
    received: dict[str, torch.Tensor] = {}
    config = SimpleNamespace(model=str(tmp_path), revision=None)
    loader.download_model(config)
    loader.load_weights(SimpleNamespace(load_weights=lambda weights: received.update(weights)), config)
    assert received.keys() == state.keys()
    assert all(torch.equal(received[name], tensor) for name, tensor in state.items())
    (tmp_path / "model.sws").unlink()
    with pytest.raises(swsfmt.InputError, match=r"no model\.sws"):
        loader.download_model(config)


def test_the_entry_point_is_declared() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["vllm.general_plugins"] == {"sws": "swsfmt.hf.vllm:register"}
