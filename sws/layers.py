"""Which parameters of a network are weights: those of convolutions, linear layers, embeddings, attention, recurrence.

What follows what among them is in `sws.chain`.
"""

from __future__ import annotations

import re

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from swsfmt import InputError

# Linear layers are among the parts of attention too: its `out_proj` is one.
_KINDS = (
    nn.Linear,
    nn.Bilinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.MultiheadAttention,
    nn.RNNBase,
    nn.RNNCellBase,
)
# weight; in_proj_weight or one for each of query, key and value; weight_ih_l0, weight_hh_l0_reverse, weight_hr_l0, ...
_WEIGHT = re.compile(r"weight|(in|q|k|v)_proj_weight|weight_(ih|hh|hr)(_l\d+)?(_reverse)?")
# bias; in_proj_bias, bias_k, bias_v; bias_ih_l0, ...
_BIAS = re.compile(r"bias|in_proj_bias|bias_[kv]|bias_(ih|hh)(_l\d+)?(_reverse)?")


def weight_layers(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The weights of all layers that have some, with their names, in the order of the modules.

    Biases and the parameters of normalisation layers are not among them. What two layers share counts once, under its
    first name. Raises `InputError` for a layer whose weights are computed from other tensors, or not there yet.
    """
    return [(name, parameter) for name, parameter in layer_parameters(model) if _WEIGHT.fullmatch(_own_name(name))]


def layer_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The same with the biases of these layers, each after the weights of its layer."""
    parameters: dict[nn.Parameter, str] = {}
    for name, module in model.named_modules():
        if not isinstance(module, _KINDS):
            continue
        own = list(module.named_parameters(recurse=False))
        if any(isinstance(parameter, UninitializedParameter) for _, parameter in own):
            raise InputError(f"the layer {name!r} is lazy and has no weights yet; call the model with a batch first")
        weights = [(key, p) for key, p in own if _WEIGHT.fullmatch(key)]
        if not weights:
            raise InputError(
                f"the layer {name!r} computes its weights from other tensors; make them parameters first, e.g. with "
                "torch.nn.utils.parametrize.remove_parametrizations"
            )
        for key, parameter in own:
            if _WEIGHT.fullmatch(key) or _BIAS.fullmatch(key):
                parameters.setdefault(parameter, f"{name}.{key}" if name else key)
    return [(name, parameter) for parameter, name in parameters.items()]


def left_out(model: nn.Module) -> list[str]:
    """Names of the parameters of two and more dimensions that belong to no such layer: those of a module of another
    kind, or of the model itself.
    """
    taken = {id(parameter) for _, parameter in layer_parameters(model)}
    return [name for name, parameter in model.named_parameters() if parameter.dim() > 1 and id(parameter) not in taken]


def collect_weight_params(model: nn.Module) -> list[Tensor]:
    """The weights of `weight_layers`, which the mixture prior is put on: same memory as the model's, no gradients."""
    return [weight.detach() for _, weight in weight_layers(model)]


def _own_name(name: str) -> str:
    return name.rpartition(".")[2]
