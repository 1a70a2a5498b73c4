"""`in_order`: results in order, a bounded number of them ahead, errors and early ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.parallel import in_order, in_parallel, team_of, thread_count
from swsfmt.processors import cgroup_quota


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_in_order(threads: int) -> None:
    assert list(in_order(lambda a, b: a * b, range(50), range(50), threads=threads)) == [i * i for i in range(50)]
    assert in_parallel(pow, [2, 3], [5, 7], threads=threads) == [32, 2187]
    assert in_parallel(pow, [], [], threads=threads) == []


def test_calls_run_side_by_side() -> None:
    """Each waits for the other: one after the other they would wait forever."""
    both = threading.Barrier(2, timeout=60)
    assert sorted(in_parallel(lambda number: both.wait() * 0 + number, [1, 2], threads=2)) == [1, 2]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_than_two_for_each_thread_are_ahead(threads: int) -> None:
    taken = 0

    def arguments() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    for number in in_order(lambda number: number, arguments(), threads=threads):
        assert taken <= number + 2 * threads


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_error_is_raised(threads: int) -> None:
    def call(number: int) -> int:
        if number >= 5:
            raise ValueError(f"number {number}")
        return number

    results = in_order(call, range(20), threads=threads)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="number 5"):
        next(results)


def test_nothing_runs_on_when_the_results_are_not_wanted() -> None:
    results = in_order(lambda number: number, range(1000), threads=2)
    assert next(results) == 0
    before = threading.active_count()
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() < before


def test_a_team_has_no_more_threads_than_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks within tasks within tasks are done by the same few."""
    started = 0
    start = threading.Thread.start

    def counted(self: threading.Thread) -> None:
        nonlocal started
        started += 1
        start(self)

    monkeypatch.setattr(threading.Thread, "start", counted)

    def nested(depth: int) -> int:
        return 1 if depth == 0 else sum(in_parallel(nested, [depth - 1] * 4, threads=3))

    with team_of(3):
        assert nested(4) == 4**4
        assert nested(3) == 4**3
        assert list(in_order(nested, [1] * 20, threads=3)) == [4] * 20
    assert 1 <= started <= 2


def test_the_caller_works_where_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    assert in_parallel(pow, [2, 3, 4], [5, 7, 1], threads=3) == [32, 2187, 4]
    array = (np.arange(1 << 21) % 7).astype(np.float32)
    data = swsfmt.save({"a": array, "b": array + 1}, threads=4)
    assert np.array_equal(swsfmt.load(data, threads=4)["b"], array + 1)


def test_an_error_within_a_task_of_a_task_comes_up() -> None:
    def fails(number: int) -> int:
        return sum(in_parallel(lambda i: i // (number - 3), [1, 2, 3], threads=2))

    with pytest.raises(ZeroDivisionError), team_of(2):
        in_parallel(fails, [1, 2, 3, 4], threads=2)
    assert all(thread.name != "swsfmt" for thread in threading.enumerate())


def test_an_interrupt_ends_the_call() -> None:
    def call(number: int) -> int:
        if number == 3 and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        # Without another thread, the main one does them all.
        list(in_order(call, range(10), threads=1))
    with pytest.raises(KeyboardInterrupt), team_of(1):
        list(in_order(call, range(10), threads=2))


def test_one_team_loads_many_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one encodes them: a thread is not started for each large tensor."""
    random = np.random.default_rng(0)
    arrays = {f"t{i}": random.integers(0, 9, (1536, 1000)).astype(np.float32) for i in range(6)}
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def counted(self: threading.Thread) -> None:
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", counted)
    data = swsfmt.save(arrays, threads=2)
    assert len(started) <= 1
    started.clear()
    swsfmt.load(data, threads=2)
    assert len(started) <= 1
    started.clear()
    swsfmt.load(swsfmt.save({f"t{i}": np.arange(100.0) for i in range(100)}), threads=8)
    assert started == []


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_numbers_of_threads_that_are_none(threads: Any) -> None:
    with pytest.raises(swsfmt.InputError, match="threads is"):
        swsfmt.save({"a": np.ones(3)}, threads=threads)
    with pytest.raises(swsfmt.InputError, match="threads is"):
        swsfmt.load(swsfmt.save({"a": np.ones(3)}), threads=threads)


# ---- how many processors there are ----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
def test_affinity_counts() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert thread_count(None) == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert thread_count(3) == 3


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "50000 100000\n"}, 1),
        ("0::/../../x\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/of/the/host\n", {"cpu.max": "100000 100000\n"}, 1),
        (
            "4:memory:/m\n1:cpu,cpuacct:/c\n0::/\n",
            {"cpu,cpuacct/c/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/c/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("1:cpu:/c\n", {"cpu/c/cpu.cfs_quota_us": "-1\n", "cpu/c/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("1:memory:/c\n", {}, None),
        ("", {}, None),
    ],
)
def test_control_groups_count(groups: str, files: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    contents = {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup_quota(tmp_path) == expected


# ---- at the end of the interpreter ----------------------------------------------------------------------------------

PROGRAM = """
import atexit, concurrent.futures, os, sys, threading, time
import numpy as np
import swsfmt
a = (np.arange(1 << 20) % 7).astype(np.float32)
path = sys.argv[1]
pool = concurrent.futures.ThreadPoolExecutor(2)
pool.submit(int).result()
def last():
    swsfmt.save_file({'a': a, 'b': a + 1}, path, threads=2)
    swsfmt.save_file({'a': a, 'b': a + 1}, path, executor=pool)
    with swsfmt.safe_open(path, threads=2) as handle:
        handle.get_tensors()
    swsfmt.verify(path, threads=2)
    assert np.array_equal(swsfmt.load_file(path, threads=2)['b'], a + 1)
    print('fine')
def outlives():
    threading.main_thread().join()
    last()
"""


@pytest.mark.parametrize("end", ["atexit.register(last)", "threading.Thread(target=outlives).start()"])
def test_saving_and_loading_while_the_interpreter_ends(end: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + end, str(tmp_path / "m.sws")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("fine\n", "", 0)
