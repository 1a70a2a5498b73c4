"""Memory that a thread uses again."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from swsfmt.entropy.scratch import Scratch


def test_is_used_again() -> None:
    with Scratch() as scratch:
        first = scratch.take(1000, np.uint16)
    with Scratch() as scratch:
        assert np.shares_memory(first, scratch.take(1000, np.uint16))


def test_arrays_that_are_in_use_at_once_are_apart() -> None:
    with Scratch() as outer:
        arrays = [outer.take(999, np.uint8), outer.take(500, np.uint64)]
        with Scratch() as inner:
            arrays.append(inner.take(1000, np.uint32))
        arrays.append(outer.take(7, np.uint32))
        for number, array in enumerate(arrays):
            array[:] = number
        assert [set(array.tolist()) for array in arrays] == [{0}, {1}, {2}, {3}]
        assert all(array.flags.aligned for array in arrays)


def test_threads_do_not_share() -> None:
    shared = []
    with Scratch() as scratch:
        own = scratch.take(1000, np.uint8)

        def other() -> None:
            with Scratch() as scratch:
                shared.append(np.shares_memory(own, scratch.take(1000, np.uint8)))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert shared == [False]


@pytest.mark.parametrize("count", [1 << 22, (1 << 22) + 1, 1 << 24])
def test_what_is_large_is_not_kept(count: int) -> None:
    with Scratch() as scratch:
        small, large = scratch.take(1, np.uint8), scratch.take(count, np.uint8)
    with Scratch() as scratch:
        again = scratch.take(1, np.uint8), scratch.take(count, np.uint8)
        assert not np.shares_memory(large, again[1])
        assert np.shares_memory(small, again[0])


def test_memory_is_given_back_after_an_error() -> None:
    taken = []

    def fail() -> None:
        with Scratch() as scratch:
            taken.append(scratch.take(10, np.uint8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with Scratch() as scratch:
        assert np.shares_memory(taken[0], scratch.take(10, np.uint8))
