"""The .sws files of a folder, or of a repository on the Hub, as Hugging Face's libraries name files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError, located
from ..safe_open import Slice
from ..torch import TensorHandle, safe_open

FILE = "model.sws"
INDEX = "model.sws.index.json"
SUFFIX = ".sws"
OTHERS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What transformers looks for itself, and loads where it is there."""


@dataclass(frozen=True)
class Weights:
    """files : paths of the .sws files. weight_map : the file of each tensor, where an index says so; else empty"""

    files: list[str]
    weight_map: dict[str, str]


def in_folder(folder: str | os.PathLike[str]) -> Weights | None:
    """The .sws files of a folder; None where there are none. Raises `InputError` for an index that is damaged."""
    return _found(lambda name: path if os.path.isfile(path := os.path.join(folder, name)) else None)


def in_repository(repository: str, **options: Any) -> Weights | None:
    """Those of a repository on the Hub, from the cache or downloaded; None where it has none.

    options : of `transformers.utils.cached_file`
    """
    from transformers.utils.hub import cached_file

    quiet = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    return _found(lambda name: cached_file(repository, name, **options, **quiet))


def _found(path_of: Callable[[str], str | None]) -> Weights | None:
    file = path_of(FILE)
    if file is not None:
        return Weights([file], {})
    index = path_of(INDEX)
    if index is None:
        return None
    weight_map = _weight_map(index)
    files = {name: path_of(name) for name in dict.fromkeys(weight_map.values())}
    for name, path in files.items():
        if path is None:
            raise InputError(f"the index names the shard {name!r}, which is not there", file=index)
    return Weights([path for path in files.values() if path is not None], weight_map)


def _weight_map(index: str) -> dict[str, str]:
    try:
        with open(index, encoding="utf-8") as file:
            weight_map = json.load(file)["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"this index has no weight_map that can be read: {error}", file=index) from error
    is_map = isinstance(weight_map, dict) and weight_map
    names = [name for name in weight_map.values() if isinstance(name, str)] if is_map else []
    # Both separators on every system: an index must not reach out of its folder anywhere.
    is_plain = all(name.endswith(SUFFIX) and not any(c in name for c in "/\\\0") for name in names)
    if not is_map or len(names) != len(weight_map) or not is_plain:
        raise InputError("the weight_map of an index maps names of tensors to NAME.sws in its own folder", file=index)
    return dict(weight_map)


def slices(file: str) -> dict[str, Slice[torch.Tensor]]:
    """All tensors of a file by name; each is decoded when it is indexed by ``[...]``."""
    handle = safe_open(file)
    return {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118


def on_meta(file: str) -> dict[str, torch.Tensor]:
    """All tensors of a file without their elements: shapes and dtypes."""
    from ..torch_tensors import dtype_of

    with safe_open(file) as handle, located(file=file):
        infos = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118
        return {
            name: torch.empty(info.get_shape(), dtype=dtype_of(info.get_dtype()), device="meta")
            for name, info in infos.items()
        }


def opened(weights: Weights) -> Mapping[str, TensorHandle]:
    """The open file of each tensor. They stay open as long as one of them is in use."""
    handles = [safe_open(file) for file in weights.files]
    return {name: handle for handle in handles for name in handle.keys()}  # noqa: SIM118
