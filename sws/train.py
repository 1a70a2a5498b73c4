"""Standard training, and by their customary place retraining and evaluation."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from swsfmt import InputError

from .batches import Batches, Forward, Loss, call_model
from .evaluation import Evaluations, Metric, accuracy, evaluate, metric_for
from .loop import EpochRecord, Execution, Phase, Position, Task, TrainingLoop
from .retrain import COMPLEXITY_MODES, Visualizer, retrain_soft_weight_sharing
from .settings import Pretrain

__all__ = [
    "COMPLEXITY_MODES",
    "Visualizer",
    "accuracy",
    "evaluate",
    "retrain_soft_weight_sharing",
    "train_standard",
]


def train_standard(
    model: nn.Module,
    train_loader: Batches,
    test_loader: Iterable[Any] | None,
    device: str | torch.device = "cpu",
    epochs: int = Pretrain.epochs,
    lr: float = Pretrain.lr,
    wd: float = Pretrain.wd,
    optim_name: str = Pretrain.optim_name,
    eval_every: int = 1,
    desc: str = "train",
    *,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    schedule: str = Pretrain.schedule,
    accelerator: Any = None,
    loss: Loss = cross_entropy,
    forward: Forward = call_model,
    metric: Metric | None = None,
) -> float:
    """Train in place; returns the metric on `test_loader` at the end, or over the last epoch without one.

    train_loader : batches as in `sws.batches`, e.g. pairs of inputs and class numbers
    wd : weight decay, as the optimizer means it
    optim_name : "adam", "adamw", "sgd" (momentum 0.9, Nesterov)
    eval_every : evaluate after every so many epochs; 0 for at the end alone
    schedule : "constant", or "cosine", which falls to a fiftieth
    run_dir : for a CSV log and, after every epoch, a checkpoint; with `resume` the run goes on from it, to the same
        result as one that was not interrupted
    accelerator : a Hugging Face `Accelerator`, for mixed precision and several processes
    loss : called with the outputs and the targets of a batch, gives its mean loss
    forward : called with the model and a batch, gives the outputs
    metric : as in `evaluate`; by default the accuracy, where the loss is another than cross-entropy that loss
    Raises `InputError` when the loss is not finite; the last checkpoint stays.
    """
    execution = Execution(device, run_dir, resume, accelerator)
    metric = metric or metric_for(loss)
    evaluations = Evaluations(model, test_loader, execution.device, eval_every, metric, forward)
    optimizer = _optimizer(optim_name, model.parameters(), lr, wd)
    task = Task(loss, forward, metric)
    phase = Standard(evaluations)
    TrainingLoop(
        model, optimizer, train_loader, phase,
        epochs=epochs, name=desc, schedule=schedule, task=task, execution=execution,
    ).run()  # fmt: skip
    return evaluations.final()


class Standard(Phase):
    """Training on the loss alone, with an evaluation from time to time."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        value = self._evaluations.after(at.epoch, at.epochs, metric)
        return EpochRecord({self._evaluations.name: "" if value is None else value})


def _optimizer(name: str, parameters: Iterable[nn.Parameter], lr: float, wd: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(parameters, lr, weight_decay=wd)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr, weight_decay=wd)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=wd)
    raise InputError(f"optim_name is {name!r}; use 'adam', 'adamw' or 'sgd'")
