"""The levels and scales of a tensor that comes as floats."""

from __future__ import annotations

from ...tensor import Elements
from .params import Params


def search(elements: Elements) -> tuple[Params, int] | None:
    """None where there are none."""
    return None
