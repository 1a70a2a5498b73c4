"""Modules that are not of transformers: `save_pretrained`, `from_pretrained` and `push_to_hub` with a .sws file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin, hf_hub_download

from ..torch import load_model, save_model
from . import weights


class ModelHubMixin(PyTorchModelHubMixin):
    """`huggingface_hub.PyTorchModelHubMixin`, whose weights are in ``model.sws``.

    ``class Net(torch.nn.Module, ModelHubMixin)``: arguments of `__init__` that JSON can hold go to ``config.json``, and
    from there back to it.
    """

    def _save_pretrained(self, save_directory: Path) -> None:
        # The module itself is the other class of what this is mixed into.
        module: Any = getattr(self, "module", self)
        save_model(module, save_directory / weights.FILE)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", strict: bool = True, **options: Any) -> Self:
        download = {
            name: options.pop(name, None)
            for name in ("revision", "cache_dir", "force_download", "local_files_only", "token")
        }
        # Earlier versions of the library name these as well.
        for name in ("proxies", "resume_download"):
            options.pop(name, None)
        model = cls(**options)
        if os.path.isdir(model_id):
            file = os.path.join(model_id, weights.FILE)
        else:
            file = hf_hub_download(repo_id=model_id, filename=weights.FILE, **download)
        load_model(model, file, strict, map_location, assign=True)
        model.eval()
        return model
