"""The same function of many arguments, in threads. It pays where the function lets other threads run, as kernels do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def in_parallel(function: Callable[..., T], *arguments: Sequence[Any], threads: int) -> list[T]:
    """`map` with at most `threads` threads; the results are in order."""
    workers = min(threads, len(arguments[0]))
    if workers <= 1:
        return list(map(function, *arguments))
    # Not at the top: small files are decoded before this would be imported.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, *arguments))
