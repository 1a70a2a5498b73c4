"""What is registered with transformers under the name "sws": its configuration, and how weights are kept."""

from __future__ import annotations

import functools
from typing import Any

from transformers.quantizers import auto
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from .. import arguments
from ..errors import InputError
from ..nn import BLOCK, CACHE, MODES
from . import compressed, folders
from .weights import SUFFIX

METHOD = "sws"
DENSE = "dense"


class SwsConfig(QuantizationConfigMixin):
    """How the weights of a folder of ours are kept in memory; the "quantization_config" of its config.json.

    mode : "dense" for ordinary modules, or one of `swsfmt.nn.MODES`
    cache_bytes, block_bytes : as for `swsfmt.nn.compress`
    Raises `InputError` for another mode.
    """

    def __init__(self, mode: str = DENSE, cache_bytes: int = CACHE, block_bytes: int = BLOCK, **ignored: Any) -> None:
        """ignored : what a later version may have written"""
        if mode not in (DENSE, *MODES):
            raise InputError(f"mode is {arguments.brief(mode)}, it must be one of {', '.join((DENSE, *MODES))}")
        self.quant_method = METHOD
        self.mode = mode
        self.cache_bytes = arguments.whole_number(cache_bytes, "cache_bytes", 0)
        self.block_bytes = arguments.whole_number(block_bytes, "block_bytes", 1)

    def to_dict(self) -> dict[str, Any]:
        """What is written into a config.json: that the weights are ours. How they are kept, who loads them says."""
        return {"quant_method": self.quant_method}

    def get_loading_attributes(self) -> dict[str, Any]:
        """What who loads a folder may choose."""
        return {"mode": self.mode, "cache_bytes": self.cache_bytes, "block_bytes": self.block_bytes}


class SwsQuantizer(HfQuantizer):
    """Loads a folder of ours: nothing is quantised here, the weights are those of the file."""

    requires_calibration = False

    def __init__(self, quantization_config: SwsConfig, **kwargs: Any) -> None:
        super().__init__(quantization_config, **kwargs)
        if not hasattr(HfQuantizer, "get_new_dtype"):
            # Earlier versions convert no tensor to the dtype that was asked for, where it was quantised before.
            self.pre_quantized = False

    def is_serializable(self, *args: Any, **kwargs: Any) -> bool:
        return True

    @property
    def is_trainable(self) -> bool:
        return bool(self.quantization_config.mode == DENSE)

    @property
    def is_compileable(self) -> bool:
        return True

    def update_device_map(self, device_map: Any) -> Any:
        """Raises `InputError` for what is to stay on disk: it could not be fetched from there piece by piece."""
        places = device_map.values() if isinstance(device_map, dict) else [device_map]
        if "disk" in {str(place) for place in places}:
            raise InputError('a .sws file is not offloaded to disk; mode="block" needs less memory')
        return device_map

    def _process_model_before_weight_loading(self, model: Any, checkpoint_files: Any = None, **kwargs: Any) -> Any:
        config = self.quantization_config
        files = [file for file in checkpoint_files or () if str(file).endswith(SUFFIX)]
        if config.mode != DENSE and files:
            compressed.replace_layers(model, files, config.mode, config.cache_bytes, config.block_bytes)
        return model

    def _process_model_after_weight_loading(self, model: Any, **kwargs: Any) -> Any:
        compressed.show_layers(model)
        # `push_to_hub` calls it, too.
        model.save_pretrained = functools.partial(folders.save_pretrained, model)
        return model


def register() -> None:
    """Once for a process; both dicts are transformers' own."""
    if METHOD not in auto.AUTO_QUANTIZER_MAPPING:
        auto.register_quantization_config(METHOD)(SwsConfig)
        auto.register_quantizer(METHOD)(SwsQuantizer)
