"""A model's layers become layers with packed weights, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias, TypeVar, Unpack, get_args

import torch

from .. import arguments
from ..errors import InputError, StateDictError
from ..limits import DEFAULT_LIMITS, Limits
from ..state_dict import load_into
from ..torch import save
from ..write.options import EncodingOptions
from .layers import BLOCK, Compressed, Conv, Embedding, Linear
from .memory import Cache
from .packed import Packed, open_packed
from .products import Product, SparseProduct, integer_product

Mode: TypeAlias = Literal["resident", "cached", "block", "sparse", "integer"]
"""How weights are kept; see `swsfmt.nn`."""
MODES = get_args(Mode)

CACHE = 1 << 28
"""Bytes of decoded weights that are kept in the mode "cached"."""

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

M = TypeVar("M", bound=torch.nn.Module)


class Sizes(NamedTuple):
    """Bytes of a model's tensors in memory.

    dense : what all of them take, decoded
    compressed : what the compressed ones take in the file
    kept : what is decoded and kept now, or held for a product
    others : parameters and buffers of all other modules
    """

    dense: int
    compressed: int
    kept: int
    others: int


def compress(
    model: M,
    file: str | os.PathLike[str] | bytes | BinaryIO | None = None,
    *,
    mode: Mode = "cached",
    cache_bytes: int = CACHE,
    block_bytes: int = BLOCK,
    limits: Limits = DEFAULT_LIMITS,
    **options: Unpack[EncodingOptions],
) -> M:
    """Put compressed layers in the places of a model's linear layers, convolutions and embeddings; returns the model.

    Only modules that are just these classes of `torch.nn` are replaced, not those that are derived from them, nor
    embeddings with `max_norm`. Weights that are tied stay so: they are one packed tensor.
    model : is changed. With a file it may be on the meta device: so no dense copy is ever made
    file : a .sws file of its `state_dict`, which is read into memory; all of the model is loaded from it. None encodes
        the weights that the model has
    mode : of all layers; see `swsfmt.nn`
    cache_bytes : of decoded weights that "cached" keeps at most
    block_bytes : of decoded weights that are multiplied at a time
    options : of the encoder, as for `swsfmt.save_file`, where there is no file
    Raises `StateDictError` where the file is not that of the model, `FormatError`, `LimitError`, `OSError`.
    """
    arguments.instance(model, torch.nn.Module, "model", "a torch.nn.Module")
    if mode not in MODES:
        raise InputError(f"mode is {arguments.brief(mode)}, it must be one of {', '.join(MODES)}")
    limit = arguments.whole_number(cache_bytes, "cache_bytes", 0)
    cache = Cache(limit if mode == "cached" else None) if mode in ("cached", "resident") else None
    block = arguments.whole_number(block_bytes, "block_bytes", 1)
    if file is None:
        weights = {f"{name}.weight": module.weight.detach() for name, module in replaceable(model).items()}
        tensors = open_packed(save(weights, **options), limits)
    else:
        if options:
            raise InputError(f"{next(iter(options))}= is for the encoder, and there is a file already")
        tensors = open_packed(_content(file), limits)
    packed = {name: tensors[f"{name}.weight"] for name in replaceable(model) if f"{name}.weight" in tensors}
    replaced = replace(model, packed, mode, cache, block)
    if file is not None:
        _load_others(model, tensors, {f"{name}.weight" for name in replaced})
    return model


def decompress(model: M) -> M:
    """Put the layers of `torch.nn` back in their places, with dense weights; returns the model, which is changed."""
    tied: dict[int, torch.nn.Parameter] = {}
    for name, module in list(model.named_modules()):
        if isinstance(module, Compressed):
            if module.packed.number not in tied:
                tied[module.packed.number] = torch.nn.Parameter(module.dense())
            _set(model, name, _dense(module, tied[module.packed.number]))
    return model


def sizes(model: torch.nn.Module) -> Sizes:
    """What the tensors of a model take. Tied ones count once."""
    own = [module for module in model.modules() if isinstance(module, Compressed)]
    packed = {module.packed.number: module.packed for module in own}.values()
    caches = {id(module.cache): module.cache for module in own if module.cache is not None}.values()
    products = {id(module.product): module.product for module in own if isinstance(module, Linear) and module.product}
    held = {id(part) for product in products.values() for part in product.buffers()}
    plain = {id(tensor): tensor.nbytes for tensor in (*model.parameters(), *model.buffers()) if id(tensor) not in held}
    others = sum(plain.values())
    kept = sum(cache.nbytes for cache in caches) + sum(product.nbytes for product in products.values())
    return Sizes(
        dense=sum(tensor.dense_bytes for tensor in packed) + others,
        compressed=sum(tensor.nbytes for tensor in packed),
        kept=kept,
        others=others,
    )


def replaceable(model: torch.nn.Module) -> dict[str, Any]:
    """The modules that there are compressed layers for, under all their names."""
    kinds = (torch.nn.Linear, torch.nn.Embedding, *_CONVOLUTIONS)
    return {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if type(module) in kinds and getattr(module, "max_norm", None) is None
    }


def replace(
    model: torch.nn.Module,
    tensors: Mapping[str, Packed],
    mode: Mode,
    cache: Cache | None,
    block: int = BLOCK,
) -> list[str]:
    """Replace the modules whose weights these are, and those whose weights are tied to one; returns all their names.

    tensors : packed weights by names of modules
    Raises `StateDictError` for a weight of another shape.
    """
    modules = replaceable(model)
    weights = {id(modules[name].weight): packed for name, packed in tensors.items()}
    made: dict[int, Compressed] = {}
    replaced = []
    for name, module in modules.items():
        packed = weights.get(id(module.weight))
        if packed is None:
            continue
        if packed.shape != module.weight.shape:
            text = f"the model has shape {tuple(module.weight.shape)}, the file {tuple(packed.shape)}"
            raise StateDictError(text, tensor=f"{name}.weight")
        if id(module) not in made:
            made[id(module)] = _compressed(module, packed, mode, cache, block)
        _set(model, name, made[id(module)])
        replaced.append(name)
    return replaced


def _compressed(module: Any, packed: Packed, mode: Mode, cache: Cache | None, block: int) -> Compressed:
    own: Compressed
    if isinstance(module, torch.nn.Linear):
        product: Product | None = None
        if mode == "sparse":
            product = SparseProduct.of(packed, block)
        elif mode == "integer":
            product = integer_product(packed)
        own = Linear(packed, module.bias, cache, block, product)
    elif isinstance(module, torch.nn.Embedding):
        own = Embedding(packed, module.padding_idx, cache, block)
    else:
        own = Conv(packed, module, cache, block)
    if not module.weight.is_meta:
        own.to(module.weight.device, module.weight.dtype)
    return own.train(module.training)


def _dense(module: Compressed, weight: torch.nn.Parameter) -> torch.nn.Module:
    """A module of torch.nn that does the same."""
    own: Any
    has_bias = module.bias is not None
    if isinstance(module, Linear):
        own = torch.nn.Linear(module.in_features, module.out_features, has_bias, device="meta")
    elif isinstance(module, Embedding):
        sizes = module.num_embeddings, module.embedding_dim
        own = torch.nn.Embedding(*sizes, module.padding_idx, device="meta")
    else:
        assert isinstance(module, Conv)
        settings: Any = module
        own = module.kind(
            settings.in_channels,
            settings.out_channels,
            settings.kernel_size,
            settings.stride,
            settings.padding,
            settings.dilation,
            settings.groups,
            has_bias,
            settings.padding_mode,
            device="meta",
        )
    own.weight = weight
    if has_bias:
        own.bias = module.bias
    own.train(module.training)
    plain: torch.nn.Module = own
    return plain


def _load_others(model: torch.nn.Module, tensors: Mapping[str, Packed], done: set[str]) -> None:
    """All that the model has beside the weights of its compressed layers."""
    hidden = [module for module in model.modules() if isinstance(module, Compressed)]
    for module in hidden:
        module.is_hidden = True
    try:
        state = {name: packed.decode() for name, packed in tensors.items() if name not in done}
        load_into(model, state, strict=True, assign=None)
    finally:
        for module in hidden:
            module.is_hidden = False


def _set(model: torch.nn.Module, name: str, module: torch.nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    if not name:
        raise InputError("the model itself is a layer; put it into a torch.nn.Sequential")
    setattr(model.get_submodule(parent), own, module)


def _content(file: Any) -> Any:
    """A path or a file in memory; what is open is read."""
    return file.read() if hasattr(file, "read") else file
