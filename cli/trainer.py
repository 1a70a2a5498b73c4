"""What the commands that train have in common."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from swsfmt import InputError

_NEEDED = ("torch", "tqdm", "pooch", "sklearn", "matplotlib", "PIL", "pydantic")


def require() -> None:
    """Raise `InputError` where the packages of the trainer are not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"this needs {', '.join(missing)}; install them with: pip install 'swsfmt[train]'")


def accelerator() -> Any:
    """An `Accelerator` where `accelerate launch` has started this program, else None."""
    if "ACCELERATE_MIXED_PRECISION" not in os.environ:
        return None
    from accelerate import Accelerator

    return Accelerator()
