"""Where the work on tensors is done: right here, in threads, or wherever an executor does it; and how much at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .. import arguments
from ..tensor import Elements, Loadable

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

T = TypeVar("T")

# Tensors of fewer bytes in all are done before threads have started.
_SMALL = 1 << 20
# What is worked on at once in this process takes no more bytes than this, or than the largest tensor.
_OWN_BYTES = 1 << 24
# The same for what is on its way to an executor.
_SENT_BYTES = 1 << 28
_TASKS = 256


class Workers:
    """Runs functions of tensors and gives the results in order; for use in a `with` statement.

    sizes : of the tensors, in bytes.
    threads : of this process, None for as many as there are processors; or, with an executor, of each of its tasks,
        None for one.
    executor : any of `concurrent.futures`, and what is made like them. All that it is given can be pickled.
    """

    def __init__(self, sizes: Sequence[int], threads: int | None = None, executor: Executor | None = None) -> None:
        executor = arguments.executor(executor)
        self._threads = arguments.threads(threads) or (os.cpu_count() or 1 if executor is None else 1)
        self._own: Executor | None = None
        if executor is None and self._threads > 1 and sum(sizes) > _SMALL:
            # Not at the top: small files are written before this would be imported.
            from concurrent.futures import ThreadPoolExecutor

            executor = self._own = ThreadPoolExecutor(self._threads)
        self._executor = executor
        self._most = max([_SENT_BYTES if self._own is None else _OWN_BYTES, *sizes])

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """function(tensor, *more, threads=...) for each task (tensor, *more), in order."""
        if self._executor is None:
            return (function(*task, threads=self._threads) for task in tasks)
        return self._submitted(self._executor, function, tasks)

    def _submitted(
        self, executor: Executor, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[T]:
        waiting: deque[tuple[int, Future[T]]] = deque()
        held = 0
        try:
            for task in tasks:
                cost = self._cost(task[0])
                while waiting and (held + cost > self._most or len(waiting) >= _TASKS):
                    freed, future = waiting.popleft()
                    yield future.result()
                    held -= freed
                waiting.append((cost, executor.submit(function, *task, threads=self._threads)))
                held += cost
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()

    def _cost(self, tensor: Loadable) -> int:
        """Bytes of memory that this process needs for it."""
        return tensor.info.nbytes if self._own is not None or isinstance(tensor, Elements) else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            self._own.shutdown(cancel_futures=True)
