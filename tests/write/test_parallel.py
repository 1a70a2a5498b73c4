"""`in_order`: results in order, a bounded number of them ahead, errors and early ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from swsfmt.parallel import in_order, in_parallel


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
