"""`sws encode --sort-neurons`: hidden neurons in the order, of a few, for which the file is smallest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swsfmt import InputError
from swsfmt.arguments import no_such
from swsfmt.checkpoints import Checkpoint, require_torch
from swsfmt.tensor import Tied


def sorted_neurons(model: Checkpoint, layers: list[str], coding: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of a network that computes the same, up to the order of its additions.

    layers : names of its Linear and Conv2d layers in the order in which data flows through them, with nothing but
        element-wise functions, pooling and flattening between one and the next
    coding : options of the encoder, for which the size counts
    Raises `InputError` where these layers do not follow each other.
    """
    require_torch()
    import swsfmt.torch
    from sws.chain import check_chain
    from sws.neurons import order_neurons
    from swsfmt.torch import to_tensor

    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    for name in names:
        if name not in model.tensors:
            raise InputError(f"--sort-neurons: {no_such('tensor', name, model.tensors)}")
        if isinstance(model.tensors[name], Tied):
            raise InputError(f"--sort-neurons cannot move the neurons of {name!r}, which is tied to another tensor")
    state = {name: to_tensor(model.elements(name)) for name in names}
    for layer in layers:
        weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
        if weight.dim() < 2 or bias.shape != weight.shape[:1]:
            raise InputError(f"--sort-neurons: {layer!r} has no weight matrix with a bias for each row")
    check_chain(state, layers)
    _check_others(model, layers)
    best = order_neurons(state, layers, lambda state: len(swsfmt.torch.save(state, **coding)))
    return replace(model, tensors={**model.tensors, **swsfmt.torch.to_elements(best)})


def _check_others(model: Checkpoint, layers: list[str]) -> None:
    """Raises `InputError` for tensors of other modules that have an entry for each neuron of these layers, as those of
    normalisation have, or that read as many: they would be left in the old order.
    """
    own = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    for name, tensor in model.tensors.items():
        if isinstance(tensor, Tied) and tensor.to in own:
            raise InputError(f"--sort-neurons cannot move the neurons of {tensor.to!r}: {name!r} is tied to it")
    shapes = {name: tensor.info.shape for name, tensor in model.tensors.items() if not isinstance(tensor, Tied)}
    for name, shape in shapes.items():
        module, _, kind = name.rpartition(".")
        if module in layers or not shape:
            continue
        for layer in layers[:-1]:
            neurons = shapes[f"{layer}.weight"][0]
            of_a_layer = kind == "bias" and len(shapes.get(f"{module}.weight", ())) > 1
            entries = len(shape) == 1 and neurons > 1 and shape[0] % neurons == 0 and not of_a_layer
            reads = len(shape) > 1 and neurons > 1 and 0 in (shape[0] % neurons, shape[1] % neurons)
            if entries or reads:
                raise InputError(
                    f"--sort-neurons cannot tell whether {name!r} of shape {tuple(shape)} belongs to the {neurons} "
                    f"neurons of {layer!r}, as a normalisation layer or a second reader would; leave {layer!r} out, or "
                    "let sws.shrink sort them, which follows the network"
                )
