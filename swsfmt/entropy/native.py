"""Finds the modules in C, which are optional: without them, slower code in Python has the same results.

The environment variable SWS_KERNELS=bitarray does without them; =native insists on them.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def load(name: str) -> Any:
    """The C module of that name, or None."""
    wish = os.environ.get("SWS_KERNELS", "")
    if wish == "bitarray":
        return None
    try:
        return import_module(name)
    except ImportError:
        if wish == "native":
            raise
        return None
