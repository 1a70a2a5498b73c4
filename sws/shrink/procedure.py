"""`compress_network`: one procedure from a dense network to a small one, quantised, sparse, ready to be written."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import swsfmt.torch
from swsfmt import InputError
from swsfmt.torch import Scaled

from ..batches import Batches, Forward, Loss, call_model
from ..chain import Chain, layer_chain
from ..evaluation import metric_for
from ..former_names import former_names_of
from ..layers import layer_parameters, left_out
from ..loop import Execution, Task, TrainingLoop
from ..neurons import order_neurons, remove_dead_neurons
from ..quality import Quality, alive, emptied
from ..warnings import SkippedWarning, warn
from .distillation import distilled
from .equality import Equality
from .grid_phase import GridPhase
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
    scaled: MutableMapping[str, Tensor | Scaled] | None = None,
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

    Weights and biases of all layers of `sws.layers` take part, if they are not frozen (`requires_grad=False`); all of
    them get values of one float16 codebook, or zero. Other parameters and buffers (of normalisation layers) keep
    training until the fine-tuning and stay floats; those that are matrices, and what is frozen, a `SkippedWarning`
    names. The loss is that of the task and what `settings` adds: a penalty on groups of weights while they are pruned,
    the bits of the file while they are quantised.

    train_loader : batches as in `sws.batches`, e.g. pairs of inputs and class numbers
    scaled : the network as levels and scales, e.g. `QuantizedModel.tensors` of `sws.quantize`: in place of all of the
        above these are trained, with the other parameters (quantisation-aware training, of which `settings` have the
        epochs, rates and distillation). Afterwards the mapping holds what was trained, for `swsfmt.torch.save_file`
    size : bytes of the file of a state_dict, for the rate term and the order of the neurons
    report : called after each epoch
    run_dir : for the CSV logs prune_log.csv and quantize_log.csv and, after every epoch, a checkpoint; with `resume`
        the run goes on from there, to the same result as one that was not interrupted. It is given the dense model
        again, as at the start.
    accelerator : a Hugging Face `Accelerator`, for mixed precision and several processes
    loss : called with the outputs and the targets of a batch, gives its mean loss
    forward : called with the model and a batch, gives the outputs
    Raises `InputError` when there is nothing to compress or the loss is not finite; when `settings` ask for neurons to
    be removed or sorted and the network is no plain chain (`sws.chain`), before the first epoch.
    Warns with a `QualityWarning` when the network lost more than a point of accuracy on the first training examples (of
    another loss than cross-entropy, when that grew by more than a hundredth), or all weights of a layer.
    """
    settings = settings or Settings()
    if scaled is not None:
        # Neurons stay where they are.
        settings = replace(settings, remove_dead=False, order=False)
    run = _Run(model, train_loader, settings, Task(loss, forward), Execution(device, run_dir, resume, accelerator))
    run.check_size(size)
    teacher = copy.deepcopy(model) if settings.distillation.weight else None
    with run.watched():
        if scaled is not None:
            run.train_scaled(scaled, teacher, report)
            return model
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
    run = _Run(model, train_loader, settings, Task(loss, forward), execution)
    with run.watched():
        run.prune(teacher, report)
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
    run = _Run(model, train_loader, settings, Task(loss, forward), execution)
    run.check_size(size)
    with run.watched():
        run.quantize(teacher, size, report)
    return model


class _Run:
    """A network with what it is compressed on and how."""

    def __init__(self, model: nn.Module, loader: Batches, settings: Settings, task: Task, execution: Execution) -> None:
        self._model = model
        self._loader = loader
        self._settings = settings
        self._task = task
        self._execution = execution
        every = layer_parameters(model)
        self._named = [(name, parameter) for name, parameter in every if parameter.requires_grad]
        self._parameters = [parameter for _, parameter in self._named]
        self._check()
        self._chain = _movable(model, settings)
        if self._chain.layers and len(self._named) < len(every):
            raise InputError("neurons of frozen layers stay where they are; set remove_dead and order to False")
        model.to(execution.device)
        self._equality = Equality(model, loader, task.forward, execution.device)
        self._equality.check_movable(self._chain, removes=settings.remove_dead, sorts=settings.order)
        skipped = [*(name for name, parameter in every if not parameter.requires_grad), *left_out(model)]
        if skipped and execution.leads:
            message = f"{', '.join(skipped)} will be left as they are: frozen, or of no layer that is compressed"
            warn(message, SkippedWarning, execution.run_dir)

    def _check(self) -> None:
        """Raises `InputError` for what would fail only after many epochs."""
        if not self._parameters:
            raise InputError("the model has no layer with weights, or all of them are frozen (requires_grad=False)")
        for name, parameter in self._named:
            if not parameter.is_floating_point():
                raise InputError(
                    f"the weights {name!r} are {parameter.dtype}, they must be real floating-point numbers"
                )
            if not bool(torch.isfinite(parameter).all()):
                raise InputError(f"the weights {name!r} are not finite")

    def check_size(self, size: Size) -> None:
        """Raises what `size` raises for a network that cannot be written."""
        size(self._model.state_dict())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Warn at its end of what the network has lost within it."""
        task, execution = self._task, self._execution
        quality = Quality(self._loader, execution.device, metric_for(task.loss), task.forward, execution.run_dir)
        before, living = quality.measure(self._model), alive(self._named)
        yield
        after, message = quality.measure(self._model), emptied(living, self._named)
        if execution.leads:
            quality.compare("compression", before, after)
            if message is not None:
                quality.warn(message)

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
            chain = self._chain
            state = order_neurons(self._model.state_dict(), chain.layers, size, between=chain.between)
            self._equality.replace(state)

    def train_scaled(
        self, scaled: MutableMapping[str, Tensor | Scaled], teacher: nn.Module | None, report: Report
    ) -> None:
        """Levels and scales, and all other parameters."""
        names = {name for name, _ in self._model.named_parameters()}
        levels = {name: value for name, value in scaled.items() if isinstance(value, Scaled) and name in names}
        if not levels:
            raise InputError("none of the parameters of the network is given as levels and scales")
        phase = GridPhase(
            self._model, levels, self._settings.quantization, lambda state: len(swsfmt.torch.save(state)), report
        )
        self._train(phase, phase.optimizer(), self._settings.quantization.epochs, teacher)
        trained = phase.fill()
        first: dict[int, Scaled] = {}
        state = self._model.state_dict()
        for name, value in scaled.items():
            if isinstance(value, Scaled):
                # Tied ones stay one.
                scaled[name] = first.setdefault(id(value), trained.get(name, value))
            elif name in state:
                scaled[name] = _as_exact(state[name], value)
        self._model.load_state_dict(
            {name: v.dequantize() if isinstance(v, Scaled) else v for name, v in scaled.items()}, strict=False
        )

    def _train(
        self,
        phase: PruningPhase | QuantizationPhase | GridPhase,
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
            chain = self._chain
            self._equality.replace(remove_dead_neurons(self._model.state_dict(), chain.layers, chain.between))


def _as_exact(tensor: Tensor, before: Tensor) -> Tensor:
    """Rounded to float16 where it was so before."""
    was_half = before.is_floating_point() and bool((before.half().to(before.dtype) == before).all())
    return (tensor.half().to(tensor.dtype) if was_half else tensor).detach().cpu().clone()


def _movable(model: nn.Module, settings: Settings) -> Chain:
    """The chain whose neurons are removed or sorted, if `settings` ask for it."""
    if not (settings.remove_dead or settings.order):
        return Chain((), rectified=True)
    try:
        chain = layer_chain(model)
    except InputError as error:
        raise InputError(
            f"{error}, whose neurons can be removed or sorted; set remove_dead and order to False"
        ) from error
    if settings.remove_dead and not chain.rectified:
        raise InputError("dead neurons can be removed only where a ReLU follows every layer; set remove_dead to False")
    return chain


if not TYPE_CHECKING:
    __getattr__ = former_names_of(__name__)
