"""What the commands that train have in common."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from swsfmt import InputError

from . import console

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


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Within it, what the trainer warns of is a line on stderr; other warnings are shown as ever."""
    from sws.warnings import SwsWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", SwsWarning)
        show = warnings.showwarning

        def as_line(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, SwsWarning):
                console.line(f"sws: warning: {message}", err=True)
            else:
                show(message, category, *place)

        warnings.showwarning = as_line  # type: ignore[assignment]
        yield
