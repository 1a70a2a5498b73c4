"""Counts what a test must not measure with a clock: calls that Python makes, and memory at its peak."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import Any


def python_calls(function: Callable[[], Any]) -> int:
    """How many functions, of Python and of C, are called from Python while `function` runs. One that is once made for
    good, such as an import, is not to be counted: call the function before.
    """
    count = 0

    def on_event(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def peak_memory(function: Callable[[], Any]) -> int:
    """Bytes that Python and NumPy hold at most while `function` runs, its result included."""
    tracemalloc.start()
    try:
        result = function()
        peak = tracemalloc.get_traced_memory()[1]
        del result
    finally:
        tracemalloc.stop()
    return peak
