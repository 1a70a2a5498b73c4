"""Coding 2: a tensor that is another one, same memory (spec 5.3)."""

from __future__ import annotations

from dataclasses import dataclass

ID = 2
NAME = "alias"


@dataclass(frozen=True)
class Params:
    """target : number of an earlier record that is not an alias."""

    target: int
