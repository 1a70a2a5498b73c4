"""What is registered with transformers under the name "sws": its configuration, and how weights are kept."""

from __future__ import annotations

import functools
from typing import Any

from transformers.quantizers import auto
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from .. import arguments
from ..errors import InputError
from . import folders

METHOD = "sws"
MODES = ("dense",)


class SwsConfig(QuantizationConfigMixin):
    """How the weights of a folder of ours are kept in memory; the "quantization_config" of its config.json.

    mode : "dense": ordinary modules
    Raises `InputError` for another mode.
    """

    def __init__(self, mode: str = "dense", **ignored: Any) -> None:
        """ignored : what a later version may have written"""
        if not isinstance(mode, str) or mode not in MODES:
            raise InputError(f"mode is {arguments.brief(mode)}, it must be one of {', '.join(MODES)}")
        self.quant_method = METHOD
        self.mode = mode

    def to_dict(self) -> dict[str, Any]:
        """What is written into a config.json: defaults are left out."""
        own = {"quant_method": self.quant_method, "mode": self.mode}
        return {key: value for key, value in own.items() if (key, value) != ("mode", MODES[0])}


class SwsQuantizer(HfQuantizer):
    """Loads a folder of ours: nothing is quantised here, the weights are those of the file."""

    requires_calibration = False

    def is_serializable(self, *args: Any, **kwargs: Any) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return bool(self.quantization_config.mode == "dense")

    @property
    def is_compileable(self) -> bool:
        return True

    def update_device_map(self, device_map: Any) -> Any:
        """Raises `InputError` for what is to stay on disk: it could not be fetched from there piece by piece."""
        places = device_map.values() if isinstance(device_map, dict) else [device_map]
        if "disk" in {str(place) for place in places}:
            raise InputError('a .sws file is not offloaded to disk; mode="block" needs less memory')
        return device_map

    def _process_model_before_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        return model

    def _process_model_after_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        # `push_to_hub` calls it, too.
        model.save_pretrained = functools.partial(folders.save_pretrained, model)
        return model


def register() -> None:
    """Once for a process; both dicts are transformers' own."""
    if METHOD not in auto.AUTO_QUANTIZER_MAPPING:
        auto.register_quantization_config(METHOD)(SwsConfig)
        auto.register_quantizer(METHOD)(SwsQuantizer)
