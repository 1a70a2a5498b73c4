"""How the learning rate changes over a run."""

from __future__ import annotations

import math
from typing import Literal, get_args

from swsfmt import InputError

Schedule = Literal["constant", "cosine"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)
# Of the learning rate at the start: what a cosine falls to.
_LAST = 0.02


def check_schedule(schedule: str) -> None:
    """Raise `InputError` for a name that is not one of `SCHEDULES`."""
    if schedule not in SCHEDULES:
        raise InputError(f"schedule is {schedule!r}; use 'constant' or 'cosine'")


def rate_factor(schedule: str, progress: float) -> float:
    """What the learning rate at the start is multiplied with after `progress` (0 to 1) of all steps.

    "constant", always 1; "cosine", along half a cosine from 1 down to a fiftieth (Loshchilov & Hutter 2017, "SGDR",
    equation 5, without restarts)
    """
    if schedule == "constant":
        return 1.0
    return _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * progress))
