"""The same function of many arguments, in threads. It pays where the function lets other threads run, as kernels do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from . import arguments

T = TypeVar("T")

# For work whose results wait in memory for those before them: more threads would hold more than they save time.
MOST_THREADS = 16


def thread_count(threads: int | None) -> int:
    """`threads`, or as many as there are processors."""
    return arguments.threads(threads) or os.cpu_count() or 1


def in_order(function: Callable[..., T], *arguments: Iterable[Any], threads: int) -> Iterator[T]:
    """`map` with at most `threads` threads; no more than two calls for each thread are under way or done ahead."""
    if threads <= 1:
        yield from map(function, *arguments)
        return
    # Not at the top: small files are decoded before this would be imported.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        waiting = deque[Any]()
        try:
            for argument in zip(*arguments, strict=True):
                waiting.append(pool.submit(function, *argument))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_parallel(function: Callable[..., T], *arguments: Sequence[Any], threads: int) -> list[T]:
    """All results of `in_order`, in no more threads than there are arguments."""
    threads = min(threads, len(arguments[0]))
    return list(in_order(function, *arguments, threads=threads) if threads > 1 else map(function, *arguments))
