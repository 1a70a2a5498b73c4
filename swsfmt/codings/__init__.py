"""One module per coding id of spec/registry.md. Each has

ID, NAME     as in the registry
Params       what its record holds besides name, dtype and shape
parse        index bytes -> Params
write        Params -> index bytes
decode       Params and payload -> elements

and those that choose among forms have a `plan` that finds the cheapest one and an `encode` that writes its payload.
Raw, narrow and alias have nothing to choose.
"""

from __future__ import annotations

from types import ModuleType

from . import alias, dense, narrow, raw
from .adaptive import params as adaptive
from .sparse import params as sparse

BY_ID: dict[int, ModuleType] = {module.ID: module for module in (raw, narrow, alias, dense, sparse, adaptive)}


def name(coding: int) -> str:
    """The registered name of a coding id."""
    return str(BY_ID[coding].NAME) if coding in BY_ID else f"unknown ({coding})"
