"""Where the work on tensors is done: right here, in threads, or wherever an executor does it; and how much at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .. import arguments
from ..parallel import Task, Team, team_of, thread_count
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
        self._threads = 1 if executor is not None and threads is None else thread_count(threads)
        self._is_own = executor is None and self._threads > 1 and sum(sizes) > _SMALL
        self._executor: Executor | Team | None = executor
        self._most = max([_OWN_BYTES if self._is_own else _SENT_BYTES, *sizes])
        self._stack = ExitStack()

    def map(self, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """function(tensor, *more, threads=...) for each task (tensor, *more), in order."""
        if self._executor is None:
            return (function(*task, threads=self._threads) for task in tasks)
        return self._submitted(self._executor, function, tasks)

    def _submitted(
        self, executor: Executor | Team, function: Callable[..., T], tasks: Iterable[tuple[Any, ...]]
    ) -> Iterator[T]:
        waiting: deque[tuple[int, Future[T] | Task[T]]] = deque()
        held = 0
        try:
            for task in tasks:
                cost = self._cost(task[0])
                while waiting and (held + cost > self._most or len(waiting) >= _TASKS):
                    freed, future = waiting.popleft()
                    yield future.result()
                    held -= freed
                waiting.append((cost, self._submit(executor, function, task)))
                held += cost
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()

    def _submit(
        self, executor: Executor | Team, function: Callable[..., T], task: tuple[Any, ...]
    ) -> Future[T] | Task[T]:
        try:
            return executor.submit(function, *task, threads=self._threads)
        except RuntimeError:
            if threading.main_thread().is_alive():
                raise
            # The interpreter is ending, and no executor takes anything any more: it is done here.
            return Team(1).submit(function, *task, threads=self._threads)

    def _cost(self, tensor: Loadable) -> int:
        """Bytes of memory that this process needs for it."""
        return tensor.info.nbytes if self._is_own or isinstance(tensor, Elements) else 0

    def __enter__(self) -> Self:
        if self._is_own:
            self._executor = self._stack.enter_context(team_of(self._threads))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
