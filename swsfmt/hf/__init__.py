"""Hugging Face's libraries load .sws files: after ``import swsfmt.hf`` `from_pretrained` takes folders with one.

A folder has ``config.json`` and ``model.sws``, or shards with ``model.sws.index.json``, beside what else belongs to the
model. `save_pretrained` writes one of a model, `encode_folder` one of a folder with another checkpoint. Nothing but the
import is needed to load it, no network either, and the weights are those of the file, bit for bit.

weights     the .sws files of a folder
loading     what transformers lacks to find and to open them
saving      shards that transformers writes become .sws files
quantizer   what is registered with transformers: how weights are kept, and what is saved
folders     a model or another folder becomes a folder of ours
hub         `ModelHubMixin`, for modules that are not of transformers
remote_code   folders that load without the import, with ``trust_remote_code=True``
diffusion, vllm   registration with diffusers and vLLM

Needs ``pip install 'swsfmt[hf]'``.
"""

from __future__ import annotations

try:
    import transformers as _transformers  # noqa: F401
except ImportError as error:
    raise ImportError(f"swsfmt.hf: {error}; pip install 'swsfmt[hf]'", name=error.name) from error

from . import loading, quantizer, saving
from .folders import encode_folder, save_pretrained
from .hub import ModelHubMixin
from .quantizer import SwsConfig
from .remote_code import write_remote_code

__all__ = ["ModelHubMixin", "SwsConfig", "encode_folder", "save_pretrained", "write_remote_code"]

loading.install()
saving.install()
quantizer.register()
