"""`compress_network`: one procedure from a dense network to a small one, quantised, sparse, ready to be written."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from swsfmt import InputError

from ..batches import Batches, Forward, Loss, call_model
from ..chain import layer_chain
from ..layers import layer_parameters
from ..loop import Execution, Task, TrainingLoop
from ..neurons import order_neurons, remove_dead_neurons
from .distillation import distilled
from .equality import check_same_outputs
from .progress import Progress, Report, ignore
from .pruning_phase import PruningPhase
from .quantization_phase import QuantizationPhase
from .rate import file_size
from .settings import Settings

__all__ = ["Progress", "compress_network", "prune_network", "quantize_network"]

Size = Callable[[dict[str, Tensor]], int]


def compress_network(
    model: nn.Module,
    train_loader: Batches,
    settings: Settings | None = None,
    *,
    device: str | torch.device = "cpu",
    size: Size = file_size,
    report: Report = ignore,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    accelerator: Any = None,
    loss: Loss = cross_entropy,
    forward: Forward = call_model,
) -> nn.Module:
    """Prune, quantise and fine-tune a trained `model` in place, and return it.

    Weights and biases of all layers of `sws.layers` take part; all of them get values of one float16 codebook, or zero.
    Other parameters and buffers (of normalisation layers) keep training until the fine-tuning and stay floats. The loss
    is that of the task and what `settings` adds: a penalty on groups of weights while they are pruned, the bits of the
    file while they are quantised.

    train_loader : batches as in `sws.batches`, e.g. pairs of inputs and class numbers
    size : bytes of the file of a state_dict, for the rate term and the order of the neurons
    report : called after each epoch
    run_dir : for the CSV logs prune_log.csv and quantize_log.csv and, after every epoch, a checkpoint; with `resume`
        the run goes on from there, to the same result as one that was not interrupted. It is given the dense model
        again, as at the start.
    accelerator : a Hugging Face `Accelerator`, for mixed precision and several processes
    loss : called with the outputs and the targets of a batch, gives its mean loss
    forward : called with the model and a batch, gives the outputs
    Raises `InputError` when there is nothing to compress or the loss is not finite; when `settings` ask for neurons to
    be removed or sorted and the network is no plain chain, before the first epoch.
    """
    settings = settings or Settings()
    run = _Run(model, train_loader, settings, Task(loss, forward), Execution(device, run_dir, resume, accelerator))
    teacher = copy.deepcopy(model) if settings.distillation.weight else None
    run.prune(teacher, report)
    run.quantize(teacher, size, report)
    return model


def prune_network(
    model: nn.Module,
    train_loader: Batches,
    settings: Settings,
    *,
    teacher: nn.Module | None = None,
    device: str | torch.device = "cpu",
    report: Report = ignore,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    accelerator: Any = None,
    loss: Loss = cross_entropy,
    forward: Forward = call_model,
) -> nn.Module:
    """The first half of `compress_network`: pruning and the removal of dead neurons.

    teacher : the dense network, for the distillation
    """
    execution = Execution(device, run_dir, resume, accelerator)
    _Run(model, train_loader, settings, Task(loss, forward), execution).prune(teacher, report)
    return model


def quantize_network(
    model: nn.Module,
    train_loader: Batches,
    settings: Settings,
    *,
    teacher: nn.Module | None = None,
    device: str | torch.device = "cpu",
    size: Size = file_size,
    report: Report = ignore,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    accelerator: Any = None,
    loss: Loss = cross_entropy,
    forward: Forward = call_model,
) -> nn.Module:
    """The second half of `compress_network`: the codebook, the fine-tuning, and the order of the neurons.

    What is zero in `model` stays zero.
    """
    execution = Execution(device, run_dir, resume, accelerator)
    _Run(model, train_loader, settings, Task(loss, forward), execution).quantize(teacher, size, report)
    return model


class _Run:
    """A network with what it is compressed on and how."""

    def __init__(self, model: nn.Module, loader: Batches, settings: Settings, task: Task, execution: Execution) -> None:
        self._parameters = [parameter for _, parameter in layer_parameters(model)]
        if not self._parameters:
            raise InputError("the model has no layer with weights")
        self._layers = _movable_layers(model, settings)
        self._model = model.to(execution.device)
        self._loader = loader
        self._settings = settings
        self._task = task
        self._execution = execution

    def prune(self, teacher: nn.Module | None, report: Report) -> None:
        settings = self._settings.pruning
        phase = PruningPhase(self._parameters, settings, report)
        rate, decay = settings.learning_rate, settings.weight_decay
        optimizer = torch.optim.Adam(self._model.parameters(), rate, weight_decay=decay)
        self._train(phase, optimizer, settings.epochs, teacher)
        phase.finish()
        self._remove_dead()

    def quantize(self, teacher: nn.Module | None, size: Size, report: Report) -> None:
        settings = self._settings.quantization
        phase = QuantizationPhase(self._model, self._parameters, settings, size, report)
        self._train(phase, phase.optimizer(), settings.epochs, teacher)
        phase.fill()
        self._remove_dead()
        if self._settings.order:
            self._replace(order_neurons(self._model.state_dict(), self._layers, size))

    def _train(
        self,
        phase: PruningPhase | QuantizationPhase,
        optimizer: torch.optim.Optimizer,
        epochs: int,
        teacher: nn.Module | None,
    ) -> None:
        task = self._task
        if teacher is not None and self._settings.distillation.weight:
            task = distilled(task, teacher.to(self._execution.device).eval(), self._settings.distillation)
        TrainingLoop(
            self._model, optimizer, self._loader, phase,
            epochs=epochs, name=phase.name, schedule="cosine", task=task, execution=self._execution,
        ).run()  # fmt: skip

    def _remove_dead(self) -> None:
        if self._settings.remove_dead:
            self._replace(remove_dead_neurons(self._model.state_dict(), self._layers))

    def _replace(self, state: dict[str, Tensor]) -> None:
        """Give the model a state in which it computes the same."""
        with check_same_outputs(self._model, self._loader, self._task.forward, self._execution.device):
            self._model.load_state_dict(state)


def _movable_layers(model: nn.Module, settings: Settings) -> tuple[str, ...]:
    """The layers of the chain whose neurons are removed or sorted, if `settings` ask for it."""
    if not (settings.remove_dead or settings.order):
        return ()
    try:
        chain = layer_chain(model)
    except InputError as error:
        raise InputError(
            f"{error}, whose neurons can be removed or sorted; set remove_dead and order to False"
        ) from error
    if settings.remove_dead and not chain.rectified:
        raise InputError("dead neurons can be removed only where a ReLU follows every layer; set remove_dead to False")
    return chain.layers
