"""Models of transformers whose weights stay compressed: their layers are replaced before the others are loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from ..nn import Cache
from ..nn.compressing import Mode, replace, replaceable
from ..nn.layers import Compressed
from ..nn.packed import Packed, open_packed


def replace_layers(model: Any, files: Sequence[str], mode: Mode, cache_bytes: int, block_bytes: int) -> None:
    """Put compressed layers in the places of those whose weights the files have under their names.

    model : on the meta device, as transformers has it before it loads. Weights that it makes of several tensors of the
        files, as for experts, are not replaced.
    Raises `FormatError`, `StateDictError`.
    """
    tensors = {name: packed for file in files for name, packed in open_packed(file).items()}
    dtype = {name: module.weight.dtype for name, module in replaceable(model).items()}
    packed, names = _of_modules(model, tensors)
    cache = Cache(cache_bytes if mode == "cached" else None) if mode in ("cached", "resident") else None
    with torch.device("cpu"):
        replaced = replace(model, packed, mode, cache, block_bytes)
    for name in replaced:
        layer = model.get_submodule(name)
        layer.is_hidden = True
        layer.to(dtype[name])
    # transformers would tie parameters that are not there any more, and report tensors that it has not taken.
    tied = getattr(model, "all_tied_weights_keys", {})
    for target, source in list(tied.items()):
        if isinstance(_owner(model, target), Compressed) and isinstance(_owner(model, source), Compressed):
            del tied[target]
    known = model._keys_to_ignore_on_load_unexpected
    # A list in earlier versions, a set in later ones.
    kind = list if known is None else type(known)
    model._keys_to_ignore_on_load_unexpected = kind([*(known or ()), *(f"^{re.escape(name)}$" for name in names)])


def show_layers(model: Any) -> None:
    """When all is loaded: the `state_dict` has the weights, and they go where the model is."""
    device = next((p.device for p in model.parameters() if not p.is_meta), torch.device("cpu"))
    for module in model.modules():
        if isinstance(module, Compressed):
            module.is_hidden = False
            module.to(device)


def _of_modules(model: Any, tensors: dict[str, Packed]) -> tuple[dict[str, Packed], set[str]]:
    """Packed weights by names of modules, and the names that they have in the files."""
    prefix = f"{model.base_model_prefix}."
    packed, names = {}, set()
    for module in replaceable(model):
        own = f"{module}.weight"
        # A file of a model with a head has names with a prefix, one of the model without it may have none.
        for name in (own, prefix + own, own.removeprefix(prefix)):
            if name in tensors:
                packed[module] = tensors[name]
                names.add(name)
                break
    for target, source in getattr(model, "all_tied_weights_keys", {}).items():
        one, other = target.removesuffix(".weight"), source.removesuffix(".weight")
        if one in packed or other in packed:
            shared = packed.get(other) or packed[one]
            for name in {one, other} & replaceable(model).keys():
                packed[name] = shared
    return packed, names


def _owner(model: Any, name: str) -> Any:
    """The module that has the parameter of that name."""
    return model.get_submodule(name.rpartition(".")[0])
