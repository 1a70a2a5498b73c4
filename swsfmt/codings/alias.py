"""Coding 2: a tensor that is another one, same memory (spec 5.3). The index itself holds the number of the other."""

from __future__ import annotations

from .base import Placeholder
from .registry import register


class AliasCoding(Placeholder):
    """Its records are references."""

    id = 2
    name = "alias"
    is_reference = True


ALIAS = AliasCoding()
register(ALIAS)
