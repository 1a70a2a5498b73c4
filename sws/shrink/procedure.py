"""`compress_network`: one procedure from a dense network to a small one, quantised, sparse, ready to be written."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from swsfmt import InputError

from ..neurons import layers_of, order_neurons, remove_dead_neurons
from .codebook import SharedCodebook
from .pruning import GlobalPruner, cubic_sparsity, group_norms
from .rate import file_size, symbol_bits, without
from .settings import Distillation, Settings

Batches = Iterable[tuple[Tensor, Tensor]]
# The masks follow the weights every so many steps.
_PRUNE_EVERY = 20
# So do the assignments.
_ASSIGN_EVERY = 4


class Loader(Protocol):
    """What a DataLoader is: batches, and how many."""

    def __iter__(self) -> Any: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Progress:
    """What is told after each epoch. bytes : of the file, where it was made."""

    phase: str
    epoch: int
    epochs: int
    loss: float
    nonzero: int
    bytes: int | None = None


def compress_network(
    model: nn.Module,
    train_loader: Loader,
    settings: Settings | None = None,
    *,
    device: str | torch.device = "cpu",
    size: Callable[[dict[str, Tensor]], int] = file_size,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """Prune, quantise and fine-tune a trained `model` in place, and return it.

    Weights and biases of all Conv2d and Linear layers take part; all of them get values of one float16 codebook, or
    zero. Other parameters and buffers (of normalisation layers) keep training until the fine-tuning and stay floats.
    The loss is the cross-entropy of the task and what `settings` adds: a penalty on groups of weights while they are
    pruned, the bits of the file while they are quantised.

    train_loader : batches of inputs and class numbers
    size : bytes of the file of a state_dict, for the rate term and the order of the neurons
    report : called after each epoch
    Raises `InputError` when there is nothing to compress or the loss is not finite.
    """
    settings = settings or Settings()
    teacher = copy.deepcopy(model) if settings.distillation.weight else None
    prune_network(model, train_loader, settings, device=device, teacher=teacher, report=report)
    return quantise_network(model, train_loader, settings, device=device, teacher=teacher, size=size, report=report)


def prune_network(
    model: nn.Module,
    train_loader: Loader,
    settings: Settings,
    *,
    device: str | torch.device = "cpu",
    teacher: nn.Module | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """The first half of `compress_network`: pruning and the removal of dead neurons.

    teacher : the dense network, for the distillation
    """
    names = _compressed(model)
    model.to(device)
    _prune(model, names, train_loader, settings, device, _Loss(teacher, settings.distillation, device), report)
    _clean(model, settings)
    return model


def quantise_network(
    model: nn.Module,
    train_loader: Loader,
    settings: Settings,
    *,
    device: str | torch.device = "cpu",
    teacher: nn.Module | None = None,
    size: Callable[[dict[str, Tensor]], int] = file_size,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """The second half of `compress_network`: the codebook, the fine-tuning, and the order of the neurons.

    What is zero in `model` stays zero.
    """
    names = _compressed(model)
    model.to(device)
    loss = _Loss(teacher, settings.distillation, device)
    _quantise(model, names, train_loader, settings, device, loss, size, report)
    _clean(model, settings)
    if settings.order:
        _replace(model, order_neurons(model.state_dict(), layers_of(model), size))
    return model


def _compressed(model: nn.Module) -> list[str]:
    names = [
        f"{name}.{kind}" if name else kind
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
        for kind in ("weight", "bias")
        if getattr(module, kind) is not None
    ]
    if not names:
        raise InputError("the model has no Conv2d and no Linear layer")
    return names


class _Loss:
    """Cross-entropy, partly with the softened outputs of a teacher. Raises `InputError` where it is not finite."""

    def __init__(self, teacher: nn.Module | None, settings: Distillation, device: str | torch.device) -> None:
        self._teacher = teacher.to(device).eval() if teacher is not None and settings.weight else None
        self._settings = settings

    def __call__(self, outputs: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = cross_entropy(outputs, targets)
        if self._teacher is not None:
            temperature, weight = self._settings.temperature, self._settings.weight
            with torch.no_grad():
                wanted = torch.softmax(self._teacher(inputs) / temperature, 1)
            soft = cross_entropy(outputs / temperature, wanted) * temperature**2
            loss = (1 - weight) * loss + weight * soft
        if not math.isfinite(loss.item()):
            raise InputError("the loss is not finite; lower the learning rate")
        return loss


def _prune(
    model: nn.Module,
    names: Sequence[str],
    loader: Loader,
    settings: Settings,
    device: str | torch.device,
    loss: _Loss,
    report: Callable[[Progress], None],
) -> None:
    pruning = settings.pruning
    parameters = dict(model.named_parameters())
    compressed = [parameters[name] for name in names]
    matrices = [p for p in compressed if p.dim() > 1]
    pruner = GlobalPruner(compressed)
    optimizer = torch.optim.Adam(model.parameters(), pruning.learning_rate, weight_decay=pruning.weight_decay)
    steps, step, reached = pruning.epochs * len(loader), 0, 0.0
    model.train()
    for epoch in range(pruning.epochs):
        total = 0.0
        for inputs, targets in loader:
            inputs, targets = inputs.to(device), targets.to(device)
            progress = step / steps
            _set_rate(optimizer, pruning.learning_rate, progress)
            if pruning.sparsity and step % _PRUNE_EVERY == 0 and progress <= pruning.freeze:
                reached = cubic_sparsity(pruning.sparsity, progress, pruning.ramp_end)
                pruner.prune(reached)
            optimizer.zero_grad()
            found = _backward(model, names, pruner, inputs, targets, loss, pruning.regrow and progress < pruning.freeze)
            for penalty, axis in ((pruning.column_penalty, 0), (pruning.row_penalty, 1)):
                if penalty:
                    (penalty * group_norms(matrices, axis)).backward()
            optimizer.step()
            total += found
            step += 1
        if not pruning.regrow or step / steps >= pruning.freeze:
            pruner.apply()
        nonzero = sum(int(mask.sum()) for mask in pruner.masks)
        report(Progress("prune", epoch + 1, pruning.epochs, total / len(loader), nonzero))
    if reached < pruning.sparsity:
        # So few steps that none fell between the end of the ramp and the freeze.
        pruner.prune(pruning.sparsity)
    pruner.apply()


def _backward(
    model: nn.Module,
    names: Sequence[str],
    pruner: GlobalPruner,
    inputs: Tensor,
    targets: Tensor,
    loss: _Loss,
    regrow: bool,
) -> float:
    """Gradients of the loss of the masked network. regrow: for the masked weights too."""
    parameters = dict(model.named_parameters())
    if not regrow:
        pruner.apply()
        found = loss(model(inputs), inputs, targets)
        found.backward()
        for name, mask in zip(names, pruner.masks, strict=True):
            gradient = parameters[name].grad
            if gradient is not None:
                gradient.mul_(mask)
        return found.item()
    masked = {
        name: (parameters[name].detach() * mask).requires_grad_()
        for name, mask in zip(names, pruner.masks, strict=True)
    }
    found = loss(functional_call(model, masked, (inputs,)), inputs, targets)
    found.backward()
    for name in names:
        parameters[name].grad = masked[name].grad
    return found.item()


def _quantise(
    model: nn.Module,
    names: Sequence[str],
    loader: Loader,
    settings: Settings,
    device: str | torch.device,
    loss: _Loss,
    size: Callable[[dict[str, Tensor]], int],
    report: Callable[[Progress], None],
) -> None:
    quantisation = settings.quantisation
    parameters = dict(model.named_parameters())
    rate = quantisation.rate
    codebook = SharedCodebook([parameters[name] for name in names], quantisation.values, to_zero=rate > 0)
    empty = size(without(model.state_dict(), names)) if rate else 0
    weights = torch.optim.Adam(codebook.latent, quantisation.learning_rate)
    values = torch.optim.Adam([codebook.values], quantisation.codebook_learning_rate)
    steps, step = quantisation.epochs * len(loader), 0
    # Running statistics belong to the weights of the file.
    model.train()
    for epoch in range(quantisation.epochs):
        total = 0.0
        if rate:
            _fill(model, names, codebook)
            codebook.bits = symbol_bits(codebook.counts(), 8 * (size(model.state_dict()) - empty))
        for inputs, targets in loader:
            inputs, targets = inputs.to(device), targets.to(device)
            progress = step / steps
            _set_rate(weights, quantisation.learning_rate, progress)
            _set_rate(values, quantisation.codebook_learning_rate, progress)
            if step % _ASSIGN_EVERY == 0:
                codebook.assign()
            given = {name: tensor.requires_grad_() for name, tensor in zip(names, codebook.quantised(), strict=True)}
            found = loss(functional_call(model, given, (inputs,)), inputs, targets)
            gradients = torch.autograd.grad(found, list(given.values()))
            codebook.set_gradients(gradients)
            if rate:
                bits = rate * codebook.rate()
                bits.backward()
                found = found + bits.detach()
            weights.step()
            values.step()
            total += found.item()
            step += 1
        _fill(model, names, codebook)
        nonzero = int(codebook.counts()[1:].sum())
        bytes_ = size(model.state_dict())
        report(Progress("quantise", epoch + 1, quantisation.epochs, total / len(loader), nonzero, bytes_))
    _fill(model, names, codebook)


@torch.no_grad()
def _fill(model: nn.Module, names: Sequence[str], codebook: SharedCodebook) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in zip(names, codebook.quantised(), strict=True):
        parameters[name].copy_(tensor)


def _clean(model: nn.Module, settings: Settings) -> None:
    if settings.remove_dead:
        _replace(model, remove_dead_neurons(model.state_dict(), layers_of(model)))


def _replace(model: nn.Module, state: dict[str, Tensor]) -> None:
    model.load_state_dict(state)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float, progress: float) -> None:
    """Along half a cosine, down to a fiftieth."""
    for group in optimizer.param_groups:
        group["lr"] = rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
