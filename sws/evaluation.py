"""How good a network is on data that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from swsfmt import InputError

from .batches import Forward, Loss, batch_size, call_model, targets_of, to_device

Metric = Callable[[Any, Any], Tensor]
"""(outputs, targets) -> scores, of which the mean counts: one for each example, or a scalar, the mean of the batch."""


def accuracy(outputs: Any, targets: Any) -> Tensor:
    """Whether the class with the greatest output is the right one: bool of shape (batch, ...).

    outputs : shape (batch, classes, ...). targets : class numbers, shape (batch, ...), or probabilities of the classes,
        of the shape of `outputs`, of which the greatest counts
    """
    right: Tensor = outputs.argmax(1) == (targets.argmax(1) if targets.is_floating_point() else targets)
    return right


def metric_for(loss: Loss) -> Metric:
    """What is measured where nobody says what: the accuracy of a classifier, else the loss itself."""
    return accuracy if loss is cross_entropy else loss


class Mean:
    """The mean of scores that come batch by batch."""

    def __init__(self) -> None:
        self._total = 0.0
        self._count = 0

    def add(self, scores: Tensor, examples: int) -> None:
        """scores : of any shape; a scalar counts as that of so many `examples`."""
        if scores.dim() == 0:
            self._total += scores.item() * examples
            self._count += examples
        else:
            self._total += scores.detach().sum().item()
            self._count += scores.numel()

    @property
    def value(self) -> float:
        """Raises `InputError` where nothing was added."""
        if not self._count:
            raise InputError("there is nothing to evaluate on")
        return self._total / self._count


def evaluate(
    model: nn.Module,
    loader: Iterable[Any],
    device: str | torch.device = "cpu",
    *,
    metric: Metric = accuracy,
    forward: Forward = call_model,
) -> float:
    """The mean of `metric` over all examples, by default the part that gets the right class, 0 to 1.

    Leaves the model in the mode in which it was. Raises `InputError` for a loader without batches.
    """
    mean = Mean()
    with evaluating(model):
        for batch in loader:
            batch = to_device(batch, device)
            mean.add(metric(forward(model, batch), targets_of(batch)), batch_size(batch))
    return mean.value


def evaluate_classifier(
    model: nn.Module,
    loader: Iterable[Any],
    classes: int,
    device: str | torch.device = "cpu",
    *,
    title: str = "the data",
) -> float:
    """The accuracy of `model`, as `evaluate` has it.

    title : of the dataset, for messages
    Raises `InputError` where the model does not take these images, or tells apart another number of `classes`.
    """
    images, _ = batch = next(iter(loader))
    shape = tuple(images.shape[1:])
    try:
        with evaluating(model):
            outputs = call_model(model, to_device(batch, device))
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"this network does not take images of shape {shape}, as in {title} ({reason})") from error
    if outputs.shape[1:] != (classes,):
        raise InputError(f"this network tells {outputs.shape[1]} classes apart, and {title} has {classes}")
    return evaluate(model, loader, device)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, without gradients; then each module is again in the mode in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


class Evaluations:
    """The metric on held-out data while a network is trained.

    every : after so many epochs; 0 for after the last one alone
    loader : None for no evaluation; then `latest` is what the training itself saw
    latest : what was found last; NaN before the first epoch
    name : of the column in the log
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any] | None,
        device: str | torch.device,
        every: int,
        metric: Metric,
        forward: Forward,
    ) -> None:
        self.latest = math.nan
        self.name = "accuracy" if metric is accuracy else "metric"
        self._model = model
        self._loader = loader
        self._device = device
        self._every = every
        self._metric = metric
        self._forward = forward

    def after(self, epoch: int, epochs: int, seen: float) -> float | None:
        """The metric if it is due after this of the `epochs`. seen : its mean over the epoch, in training."""
        self.latest = seen
        if self._loader is None or not due(epoch, self._every, epochs):
            return None
        self.latest = self._now(self._loader)
        return self.latest

    def final(self) -> float:
        """The latest, or that of now where no epoch was left to train."""
        if math.isnan(self.latest) and self._loader is not None:
            self.latest = self._now(self._loader)
        return self.latest

    def _now(self, loader: Iterable[Any]) -> float:
        return evaluate(self._model, loader, self._device, metric=self._metric, forward=self._forward)


def due(epoch: int, every: int, last: int) -> bool:
    """Whether something is done after this epoch that is done after every so many, and after the last one."""
    return epoch == last or (every > 0 and epoch % every == 0)
