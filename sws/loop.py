"""The training loop: epochs, steps, learning rates, checks, progress bar, log and checkpoints.

What a kind of training does besides, e.g. the mixture prior, pruning or a codebook, is a `Phase`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from swsfmt import InputError

from .batches import Batches, Forward, Loss, batch_size, call_model, targets_of, to_device
from .evaluation import Mean, Metric
from .log import RunLog
from .schedule import check_schedule, rate_factor
from .substitution import substituted

Backward = Callable[[Tensor], None]


@dataclass(frozen=True)
class Task:
    """What is learned. metric : its mean over each epoch is taken along the way; None for none."""

    loss: Loss = cross_entropy
    forward: Forward = call_model
    metric: Metric | None = None


@dataclass
class Execution:
    """Where a loop runs. device : of the model and the batches; that of the accelerator where there is one.

    run_dir : for the CSV log and, after every epoch, the checkpoint; None for neither
    resume : go on from the checkpoint, where there is one
    accelerator : a Hugging Face `Accelerator`, for mixed precision and several processes
    """

    device: str | torch.device = "cpu"
    run_dir: str | os.PathLike[str] | None = None
    resume: bool = False
    accelerator: Any = None

    def __post_init__(self) -> None:
        if self.accelerator is not None:
            self.device = self.accelerator.device

    @property
    def leads(self) -> bool:
        """Whether this process, of several, writes the files."""
        return self.accelerator is None or bool(self.accelerator.is_main_process)


@dataclass(frozen=True)
class Position:
    """Where a loop is. epoch : from 1 on, of `epochs`; step : how many are done; steps : in an epoch, of a process."""

    epoch: int
    epochs: int
    step: int
    steps: int

    @property
    def progress(self) -> float:
        """The part of all steps that is done, 0 to 1."""
        return self.step / (self.epochs * self.steps)


@dataclass(frozen=True)
class EpochRecord:
    """What is kept of an epoch. columns : of the CSV log, besides epoch and loss; mixture : its snapshot, if due."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    mixture: dict[str, Any] | None = None


class Phase:
    """What one kind of training adds to the loop. Here every hook does nothing: training on the loss alone."""

    def start_epoch(self, at: Position) -> None:
        """Before the first step of an epoch."""

    def before_step(self, at: Position) -> None:
        """Before the forward pass of a step."""

    def substitutes(self) -> Mapping[nn.Parameter, Tensor]:
        """Values that the network computes with in this step in place of those of its parameters."""
        return {}

    def after_backward(self, at: Position, backward: Backward) -> float:
        """After the backward pass of the task's loss, when the parameters have their own values again: change
        gradients, and call `backward` on further terms of the loss. Returns the value of these.
        """
        return 0.0

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        """After the last step of an epoch. loss, metric : means over the epoch; metric is NaN where there is none."""
        return EpochRecord()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs besides model and optimizer: tensors, numbers, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. Raises `KeyError`, `RuntimeError` or `ValueError` for the state of another run."""


class TrainingLoop:
    """Trains `model` for a number of epochs in one phase.

    The loop goes on from the checkpoint of its name in the folder of the run, if it is told to: with the same model,
    data and seeds as before it comes to the same result as without the stop.

    name : of the phase in the progress bar and, before the names of its files, in the folder
    schedule : of the learning rates of all groups of `optimizer`, one of `sws.schedule.SCHEDULES`
    Raises `InputError` for another schedule and a checkpoint that is damaged or of another run.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loader: Batches,
        phase: Phase,
        *,
        epochs: int,
        name: str,
        schedule: str = "constant",
        task: Task | None = None,
        execution: Execution | None = None,
    ) -> None:
        check_schedule(schedule)
        self._task = task or Task()
        self._execution = execution or Execution()
        self._model = self._network = model
        self._optimizer = optimizer
        self._loader = loader
        self._phase = phase
        self._epochs = epochs
        self._name = name
        self._schedule = schedule
        self._rates = [group["lr"] for group in optimizer.param_groups]
        generator = getattr(loader, "generator", None)
        self._generator = generator if isinstance(generator, torch.Generator) else None
        self._log = RunLog(self._execution.run_dir, name)
        self._epoch = self._step = 0
        model.to(self._execution.device)
        state = self._log.load() if self._execution.resume else None
        if state is not None:
            self._restore(state)
        if self._execution.leads:
            if state is None:
                self._log.start()
            else:
                self._log.cut(self._epoch)
        accelerator = self._execution.accelerator
        if accelerator is not None:
            self._network, self._optimizer, self._loader = accelerator.prepare(model, optimizer, loader)

    @property
    def position(self) -> Position:
        """Where the loop is."""
        return Position(self._epoch, self._epochs, self._step, len(self._loader))

    def run(self) -> None:
        """The epochs that are left. Raises `InputError` when the loss is not finite; the last checkpoint stays."""
        if not len(self._loader):
            raise InputError("there are no batches to train on")
        for epoch in range(self._epoch + 1, self._epochs + 1):
            self._epoch = epoch
            self._phase.start_epoch(self.position)
            loss, metric = self._pass()
            self._keep(loss, self._phase.end_epoch(self.position, loss, metric))

    def _pass(self) -> tuple[float, float]:
        """One pass over the data; the means of the task's loss and of the metric."""
        self._network.train()
        losses, scores = Mean(), Mean()
        for batch in self._bar():
            batch = to_device(batch, self._execution.device)
            examples, targets = batch_size(batch), targets_of(batch)
            at = self.position
            self._set_rates(at)
            self._phase.before_step(at)
            self._optimizer.zero_grad()
            self._model.zero_grad()
            with substituted(self._phase.substitutes()):
                outputs = self._task.forward(self._network, batch)
                loss = self._task.loss(outputs, targets)
                self._check(loss.item())
                self._backward(loss)
            self._check(self._phase.after_backward(at, self._backward))
            self._optimizer.step()
            self._step += 1
            losses.add(loss.detach(), examples)
            if self._task.metric is not None:
                with torch.no_grad():
                    scores.add(self._task.metric(outputs, targets), examples)
        return losses.value, math.nan if self._task.metric is None else scores.value

    def _backward(self, loss: Tensor) -> None:
        accelerator = self._execution.accelerator
        if accelerator is None:
            loss.backward()
        else:
            accelerator.backward(loss)

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise InputError(
                f"the loss is {loss} in epoch {self._epoch}; lower the learning rate or the weight of the penalty "
                "(tau): from a loss that is not finite nothing is learned"
            )

    def _keep(self, loss: float, record: EpochRecord) -> None:
        """Log the epoch and write the checkpoint, in one process of several."""
        if not self._execution.leads:
            return
        if record.mixture is not None:
            self._log.mixture(self._epoch, record.mixture)
        self._log.row({"epoch": self._epoch, "loss": loss, **record.columns})
        state = {
            "epoch": self._epoch,
            "step": self._step,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "phase": self._phase.state_dict(),
        }
        if self._generator is not None:
            state["loader"] = self._generator.get_state()
        self._log.save(state)

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self._model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._phase.load_state_dict(state["phase"])
            if self._generator is not None:
                self._generator.set_state(state["loader"])
            self._epoch, self._step = state["epoch"], state["step"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(f"the checkpoint is of another run: {error}") from error

    def _set_rates(self, at: Position) -> None:
        if self._schedule == "constant":
            return
        factor = rate_factor(self._schedule, at.progress)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _bar(self) -> Iterable[Any]:
        shown = None if self._execution.leads else True
        title = f"{self._name} {self._epoch}/{self._epochs}"
        bar: Iterable[Any] = tqdm(self._loader, title, len(self._loader), leave=False, disable=shown)
        return bar
