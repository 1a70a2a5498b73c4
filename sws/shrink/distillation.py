"""Learning from the outputs of the dense network as well (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..loop import Task
from .settings import Distillation


def distilled(task: Task, teacher: nn.Module, settings: Distillation) -> Task:
    """The task with part of its loss replaced by the cross-entropy with the softened outputs of `teacher`.

    The outputs of both networks are the logits of classes, shape (batch, classes, ...).
    """
    temperature, weight = settings.temperature, settings.weight

    def forward(model: nn.Module, batch: Any) -> tuple[Any, Any]:
        outputs = task.forward(model, batch)
        with torch.no_grad():
            return outputs, task.forward(teacher, batch)

    def loss(outputs: tuple[Any, Any], targets: Any) -> Tensor:
        own, wanted = outputs
        soft = cross_entropy(own / temperature, torch.softmax(wanted / temperature, 1)) * temperature**2
        return (1 - weight) * task.loss(own, targets) + weight * soft

    return Task(loss, forward)
