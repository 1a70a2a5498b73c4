"""Names that earlier versions had: they still work, with a `DeprecationWarning` that says the one of today."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

_FORMER = {"Quantisation": "Quantization", "quantise_network": "quantize_network"}


def former_names_of(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of the module of this name: gives what has another name today."""

    def getattr_(name: str) -> Any:
        today = _FORMER.get(name)
        if today is None or not hasattr(sys.modules[module], today):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is called {today} now", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], today)

    return getattr_
