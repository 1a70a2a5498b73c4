"""What transformers lacks: to find .sws files in a folder, to open them, and to let the caller say how they are kept.

It has no place where a format of weights could be registered: which files there are is decided in one function, and
what is no safetensors file is opened in another; a third one prefers the quantization_config of a folder to that of the
caller, except for the methods that it knows. `install` puts one of ours before each of the three. All other files go
through as before, and a folder that has a checkpoint of transformers' own is loaded from that.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from transformers import modeling_utils

from ..errors import InputError, warn
from . import weights
from .quantizer import METHOD, SwsConfig
from .weights import Weights

_FIND, _OPEN, _CONFIGURE = "_get_resolved_checkpoint_files", "load_state_dict", "get_hf_quantizer"
_ARGUMENTS = {
    _FIND: {"pretrained_model_name_or_path", "gguf_file"},
    _OPEN: {"checkpoint_file", "map_location"},
    _CONFIGURE: {"config", "quantization_config"},
}
_INSTALLED = "_of_swsfmt"
_DOWNLOAD = ("cache_dir", "force_download", "proxies", "local_files_only", "token", "revision", "subfolder")


def install() -> None:
    """Put the three functions in their places, once; warns where this version of transformers has other ones."""
    for name, wrapper in ((_FIND, _finding), (_OPEN, _opening), (_CONFIGURE, _configuring)):
        function = getattr(modeling_utils, name, None)
        if function is None or not _ARGUMENTS[name] <= inspect.signature(function).parameters.keys():
            warn(
                f"this version of transformers has no {name} that is known here, so that from_pretrained finds no .sws "
                "files; load them with from_pretrained(None, config=..., state_dict=swsfmt.torch.load_file(...))"
            )
            return
        if not hasattr(function, _INSTALLED):
            wrapped = wrapper(function)
            setattr(wrapped, _INSTALLED, True)
            setattr(modeling_utils, name, wrapped)


def _finding(original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @wraps(original)
    def find(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        options = {**given, **(given.get("download_kwargs") or {})}
        path = given["pretrained_model_name_or_path"]
        if path is None or given.get("gguf_file") is not None or given.get("variant") is not None:
            return original(*args, **kwargs)
        if os.path.isdir(path):
            folder = os.path.join(path, options.get("subfolder") or "")
            has_own = any(os.path.isfile(os.path.join(folder, name)) for name in weights.OTHERS)
            return _answer(None if has_own else weights.in_folder(folder)) or original(*args, **kwargs)
        try:
            return original(*args, **kwargs)
        except OSError:
            known = {name: options[name] for name in _DOWNLOAD if name in options}
            ours = _answer(weights.in_repository(path, **known))
            if ours is None:
                raise
            return ours

    return find


def _answer(ours: Weights | None) -> tuple[list[str], dict[str, Any] | None] | None:
    """What `_get_resolved_checkpoint_files` gives: the files, and what an index says."""
    if ours is None:
        return None
    names = {"all_checkpoint_keys": list(ours.weight_map), "weight_map": ours.weight_map}
    return ours.files, names if ours.weight_map else None


def _opening(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def load_state_dict(checkpoint_file: Any, *args: Any, **kwargs: Any) -> Any:
        path = os.fspath(checkpoint_file)
        if not path.endswith(weights.SUFFIX):
            return original(checkpoint_file, *args, **kwargs)
        given = inspect.signature(original).bind(checkpoint_file, *args, **kwargs).arguments
        place = torch.device(given.get("map_location") or "cpu")
        if place.type == "meta":
            return weights.on_meta(path)
        if place.type != "cpu":
            raise InputError(f"the tensors are decoded on the processor, not on {place}", file=path)
        # transformers indexes each of them by [...] when its turn has come, and only then it is decoded.
        return weights.slices(path)

    return load_state_dict


def _configuring(original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @wraps(original)
    def get_hf_quantizer(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        config, chosen = given.arguments["config"], given.arguments["quantization_config"]
        own = getattr(config, "quantization_config", None)
        if isinstance(chosen, SwsConfig) and isinstance(own, dict) and own.get("quant_method") == METHOD:
            config.quantization_config = {**own, **chosen.get_loading_attributes()}
            given.arguments["quantization_config"] = None
        return original(*given.args, **given.kwargs)

    return get_hf_quantizer
