"""What is told of a network on its way to a small one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """What is told after each epoch.

    phase : "prune" or "quantize"
    loss : mean of the task's loss over the epoch
    nonzero : weights and biases that are not zero
    bytes : of the file, where it was made
    """

    phase: str
    epoch: int
    epochs: int
    loss: float
    nonzero: int
    bytes: int | None = None


Report = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """The `Report` of those who do not want to know."""
