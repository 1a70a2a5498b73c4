"""The same function of many arguments, in threads. It pays where the function lets other threads run, as kernels do.

A call of the library has one team of threads, itself one of them. Whatever is cut into tasks within it, tensors and
parts of tensors, goes to that team. The team has no more threads than were asked for, and fewer where the system has no
more to give, as when the interpreter is about to end.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from . import arguments
from .processors import processors

T = TypeVar("T")

# For work whose results wait in memory for those before them: more threads would hold more than they save time.
MOST_THREADS = 16


def thread_count(threads: int | None) -> int:
    """`threads`, or as many as there are processors that this process may use. Raises `InputError`."""
    return arguments.threads(threads) or processors()


class Task(Generic[T]):
    """A call that some thread of a team makes, with the interface of `concurrent.futures.Future`."""

    def __init__(self, team: Team, call: Callable[[], T], depth: int) -> None:
        self._team = team
        self._call: Callable[[], T] | None = call
        self._value: T
        self._error: BaseException | None = None
        self.depth = depth
        self.is_done = False

    def run(self) -> None:
        """In this thread. What it calls may submit tasks that are one deeper."""
        assert self._call is not None
        before = _here.team, _here.depth
        _here.team, _here.depth = self._team, self.depth + 1
        try:
            self._value = self._call()
        except BaseException as error:
            self._error = error
        finally:
            self._call = None
            _here.team, _here.depth = before

    def result(self) -> T:
        """What the call gave, or raised. Until that is there this thread works on tasks, too."""
        self._team.work_until_done(self)
        if self._error is not None:
            raise self._error
        return self._value

    def raise_interrupt(self) -> None:
        """An interrupt is meant for the thread that it came to, whatever it did there."""
        if isinstance(self._error, KeyboardInterrupt):
            raise self._error

    def cancel(self) -> None:
        """It is not begun, or over, after this."""
        self._team.drop(self)


class Team:
    """The threads of a call. The one that makes it works, too: while it waits for a result.

    Tasks may submit tasks. A thread that waits for one takes on none that is less deep: so none waits for its own end.
    """

    def __init__(self, threads: int) -> None:
        self.process = os.getpid()
        # Threads that may still be started.
        self._free = threads - 1
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        # By depth, each in the order in which they came.
        self._queued: list[deque[Task[Any]]] = []
        self._changed = threading.Condition(threading.Lock())

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Task[T]:
        task = Task(self, lambda: function(*args, **kwargs), _here.depth)
        with self._changed:
            while len(self._queued) <= task.depth:
                self._queued.append(deque())
            self._queued[task.depth].append(task)
            wanted = sum(map(len, self._queued)) > self._idle and self._free > 0
            self._free -= wanted
            # Not one alone: it might be one that waits for something deeper.
            self._changed.notify_all()
        if wanted:
            self._add_thread()
        return task

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="swsfmt")
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            # The system gives no more, or the interpreter is ending: those that are there do.
            self._free = 0
            return
        self._threads.append(thread)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._closed and (task := self._next(0)) is None:
                    self._changed.wait()
                self._idle -= 1
                if self._closed:
                    return
            assert task is not None
            self._do(task)

    def _next(self, least_depth: int) -> Task[Any] | None:
        """The first of the deepest tasks that wait: others wait for those."""
        for queued in reversed(self._queued[least_depth:]):
            if queued:
                task: Task[Any] = queued.popleft()
                return task
        return None

    def _do(self, task: Task[Any]) -> None:
        task.run()
        with self._changed:
            task.is_done = True
            self._changed.notify_all()

    def work_until_done(self, wanted: Task[Any]) -> None:
        while True:
            with self._changed:
                while not wanted.is_done and (task := self._next(wanted.depth)) is None:
                    self._changed.wait()
                if wanted.is_done:
                    return
            assert task is not None
            self._do(task)
            task.raise_interrupt()

    def drop(self, task: Task[Any]) -> None:
        with self._changed:
            if task in self._queued[task.depth]:
                self._queued[task.depth].remove(task)
                return
            while not task.is_done:
                self._changed.wait()

    def close(self) -> None:
        """What has not been begun is left to those who ask for its result."""
        if self.process != os.getpid():
            # A process that was forked within the call has none of its threads, and maybe its lock as taken.
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()


class _Here(threading.local):
    """What this thread works for."""

    team: Team | None = None
    depth: int = 0


_here = _Here()


def _current_team() -> Team | None:
    """That of the call which this thread is in."""
    team = _here.team
    # A process that was forked within a call has no threads but its own.
    return team if team is not None and team.process == os.getpid() else None


@contextmanager
def team_of(threads: int) -> Iterator[Team]:
    """A team of `threads` for all that this thread does within the `with` statement; the one it is in, if there is."""
    team = _current_team()
    if team is not None:
        yield team
        return
    before = _here.team, _here.depth
    team = Team(threads)
    _here.team, _here.depth = team, 0
    try:
        yield team
    finally:
        _here.team, _here.depth = before
        team.close()


def in_order(
    function: Callable[..., T], *arguments: Iterable[Any], threads: int, ahead: int | None = None
) -> Iterator[T]:
    """`map` with at most `threads` threads; no more than `ahead` calls are under way or done ahead.

    ahead : None for two for each thread
    """
    if threads <= 1:
        yield from map(function, *arguments)
        return
    most = 2 * threads - 1 if ahead is None else ahead
    current = _current_team()
    # Not `team_of`: between two results this thread does what it likes.
    team = Team(threads) if current is None else current
    waiting = deque[Task[T]]()
    try:
        for argument in zip(*arguments, strict=True):
            waiting.append(team.submit(function, *argument))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for task in waiting:
            task.cancel()
        if current is None:
            team.close()


def in_parallel(function: Callable[..., T], *arguments: Sequence[Any], threads: int) -> list[T]:
    """All results of `in_order`, in no more threads than there are arguments."""
    threads = min(threads, len(arguments[0]))
    return list(in_order(function, *arguments, threads=threads) if threads > 1 else map(function, *arguments))
