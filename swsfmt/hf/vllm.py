"""vLLM: ``vllm serve FOLDER --load-format sws`` on folders with .sws files.

vLLM finds `register` by the entry point ``vllm.general_plugins`` of this package, in each of its processes. Nobody here
has run it on a GPU: it is tried against the interfaces of vLLM alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch

from ..errors import InputError
from . import weights
from .weights import Weights

LOAD_FORMAT = "sws"


def register() -> None:
    """Make the load format known, once for a process."""
    from vllm.model_executor import model_loader
    from vllm.model_executor.model_loader.base_loader import BaseModelLoader

    if LOAD_FORMAT in getattr(model_loader, "_LOAD_FORMAT_TO_MODEL_LOADER", {}):
        return

    class SwsModelLoader(BaseModelLoader):
        """Hands the tensors of the files over, each decoded when its turn has come."""

        def download_model(self, model_config: Any) -> None:
            """So that they are in the cache."""
            _weights(model_config)

        def load_weights(self, model: Any, model_config: Any) -> None:
            """Raises `FormatError`, `LimitError`, `InputError` where there are no .sws files."""
            model.load_weights(tensors(_weights(model_config)))

    model_loader.register_model_loader(LOAD_FORMAT)(SwsModelLoader)


def tensors(files: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and tensors, one after the other. Raises `FormatError`, `LimitError`."""
    for file in files.files:
        for name, tensor in weights.slices(file).items():
            yield name, tensor[...]


def _weights(model_config: Any) -> Weights:
    name = model_config.model
    if os.path.isdir(name):
        found = weights.in_folder(name)
    else:
        found = weights.in_repository(name, revision=getattr(model_config, "revision", None))
    if found is None:
        raise InputError(f"there is no {weights.FILE} and no {weights.INDEX}", file=str(name))
    return found
