"""A bar on stderr for work that takes longer than a second, where stderr is a terminal. rich is imported only then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from swsfmt import Limits
from swsfmt.codings.base import Decoded
from swsfmt.inspection import saved_bytes
from swsfmt.read.progress import DecodeCounter
from swsfmt.read.reader import Reader, Record
from swsfmt.read.report import Account, account
from swsfmt.write.file import Step

_DELAY = 1.0


@contextmanager
def bar(what: str, *, as_json: bool) -> Iterator[Step]:
    """Work in this block calls what it is given after each step. Nothing is left of the bar at the end."""
    if not _is_wanted(as_json):
        yield lambda done, total: None
        return
    shown = _Bar(what)
    try:
        yield shown.step
    finally:
        shown.close()


def _is_wanted(as_json: bool) -> bool:
    """Where somebody looks: with --json a program may read, even if stderr goes to a terminal."""
    return _is_terminal(sys.stderr) and (not as_json or _is_terminal(sys.stdout))


def _is_terminal(stream: TextIO | None) -> bool:
    """None stands for a stream that is closed."""
    return stream is not None and stream.isatty()


class _Bar:
    """Appears by itself, so that it is there during the first step too; until then it does not know how far it is."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._done = 0
        self._total: int | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._progress: Any = None
        self._timer = threading.Timer(_DELAY, self._show)
        self._timer.daemon = True
        self._timer.start()

    def step(self, done: int, total: int) -> None:
        with self._lock:
            self._done, self._total = done, total
            if self._progress is not None:
                self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._closed = True
            if self._progress is not None:
                self._progress.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        progress = Progress(
            *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
        )
        with self._lock:
            if self._closed:
                return
            progress.add_task(self._what, total=self._total, completed=self._done)
            progress.start()
            self._progress = progress


def open_reader(
    source: str | bytes,
    limits: Limits,
    step: Step,
    *,
    accounts: dict[str, Account] | None = None,
    every_name_again: bool = False,
    with_spans: bool = False,
) -> Reader:
    """What `Reader.open` does; `step` is called after each tensor that is decoded. Raises what it raises.

    accounts : takes what a report needs of each, by name, so that none is decoded a second time for it.
    with_spans : as for `Reader`: a report will be made.
    every_name_again : after all have been decoded, each will be decoded again under every name that it has.
    """

    def keep(record: Record, decoded: Decoded) -> None:
        if accounts is not None:
            accounts[record.name] = account(record, decoded, saved_bytes)

    counter = DecodeCounter(step, then=keep)
    reader = Reader.open(source, limits, on_decode=counter, with_spans=with_spans)
    counter.expect(reader)
    if every_name_again:
        counter.expect(reader, every_name=True)
    return reader
