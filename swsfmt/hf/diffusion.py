"""diffusers: ``import swsfmt.hf.diffusion``, and its models load files whose tensors are a .sws file.

diffusers looks for safetensors files only, and asks a registered quantizer for the tensors of each. So the file has its
usual name, and one tensor, of bytes: the .sws file. Nothing is patched; both dicts are those that diffusers looks
quantizers up in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from typing import Any

import safetensors
import torch
from diffusers.quantizers import auto
from diffusers.quantizers.base import DiffusersQuantizer
from diffusers.quantizers.quantization_config import QuantizationConfigMixin

from ..errors import InputError
from ..safe_open import Handle
from ..torch import load, save
from ..torch import safe_open as open_sws
from .weights import FILE


class Method(str, Enum):  # noqa: UP042
    """What diffusers writes into a config.json; it asks for its `value`."""

    SWS = "sws"


class SwsConfig(QuantizationConfigMixin):
    """The "quantization_config" of a model whose weights are a .sws file."""

    def __init__(self, **ignored: Any) -> None:
        """ignored : what a later version may have written"""
        self.quant_method = Method.SWS

    def to_diff_dict(self) -> dict[str, Any]:
        """What differs from the defaults, and the name."""
        return {"quant_method": self.quant_method.value}


class SwsQuantizer(DiffusersQuantizer):
    """Nothing is quantised here: the weights are those of the .sws file."""

    requires_calibration = False
    use_keep_in_fp32_modules = True

    def maybe_update_loaded_keys(self, loaded_keys: list[str], checkpoint_files: Sequence[str]) -> list[str]:
        """The names in the .sws files, instead of those of the tensors of bytes."""
        names: list[str] = []
        for file in checkpoint_files:
            with safetensors.safe_open(file, "pt") as opened:
                content = _content(opened.get_tensor(FILE) if FILE in opened.keys() else None, file)  # noqa: SIM118
            handle: Handle[torch.Tensor]
            with open_sws(content) as handle:
                names += handle.keys()
        return names

    def maybe_update_state_dict(self, state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Decoded. Raises `FormatError`, `LimitError`."""
        return load(_content(state_dict.get(FILE), None))

    def get_state_dict_and_metadata(
        self, state_dict: dict[str, torch.Tensor], safe_serialization: bool = False
    ) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """What is written: one tensor of bytes."""
        return {FILE: torch.frombuffer(bytearray(save(state_dict)), dtype=torch.uint8)}, {}

    def _process_model_before_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        return model

    def _process_model_after_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        return model

    @property
    def is_serializable(self) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return True


def save_pretrained(model: Any, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
    """Write a model of diffusers with its weights as a .sws file; the model is from now on saved so.

    kwargs : of its own `save_pretrained`, such as `variant`
    """
    config = SwsConfig()
    model.hf_quantizer = SwsQuantizer(config)
    model.register_to_config(quantization_config=config)
    model.save_pretrained(save_directory, **kwargs)


def _content(tensor: torch.Tensor | None, file: str | None) -> bytes:
    if tensor is None or tensor.dtype != torch.uint8:
        raise InputError(f"its config.json says that there is a .sws file in it, as tensor {FILE!r}", file=file)
    return tensor.numpy().tobytes()


if Method.SWS.value not in auto.AUTO_QUANTIZER_MAPPING:
    auto.AUTO_QUANTIZER_MAPPING[Method.SWS.value] = SwsQuantizer
    auto.AUTO_QUANTIZATION_CONFIG_MAPPING[Method.SWS.value] = SwsConfig
