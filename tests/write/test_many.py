"""The work for a file grows with the number of its tensors, and for one of them not with its shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt import dtypes
from swsfmt.codings.base import Profile
from swsfmt.entropy import backend
from swsfmt.format.codebook import MAX_VALUES, Codebook
from swsfmt.write import codebook_groups
from swsfmt.write.codebook_groups import share

Arrays = dict[str, np.ndarray[Any, Any]]


class Counting:
    """The kernels, and how often each is called; and how many symbols are looked through for gaps."""

    def __init__(self) -> None:
        self.kernels = backend.kernels
        self.calls: Counter[str] = Counter()
        self.looked_through = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.calls[name] += 1
            if name == "line_gaps":
                top, bottom, left, right = arguments[2]
                self.looked_through += (bottom - top) * (right - left)
            elif name == "matrix_gaps":
                self.looked_through += arguments[0].size
            return getattr(self.kernels, name)(*arguments)

        return call


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Counting]:
    """Saves tensors, and tells what that took."""

    def save(tensors: Arrays, **options: Any) -> Counting:
        found = Counting()
        monkeypatch.setattr(backend, "kernels", found)
        swsfmt.save(tensors, threads=1, **options)
        monkeypatch.setattr(backend, "kernels", found.kernels)
        return found

    return save


def with_one_and_minus_one(count: int) -> Arrays:
    """Codebooks of their own, as normalised quantisation has them, with two values that all of them have."""
    rng = np.random.default_rng(0)
    books = [np.concatenate([[1, -1], rng.normal(size=14)]).astype(np.float32) for _ in range(count)]
    return {f"l{i}": book[rng.integers(0, 16, 400)].reshape(20, 20) for i, book in enumerate(books)}


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray[Any, Any]]] = {
    "few values": lambda rng: (np.rint(rng.normal(0, 2, 100)) / 8).astype(np.float32),
    "sparse": lambda rng: (rng.integers(1, 9, (10, 10)) * (rng.random((10, 10)) < 0.1)).astype(np.float32),
    "random": lambda rng: rng.random((8, 4)).astype(np.float32),
    "constant": lambda rng: np.full((8, 4), rng.integers(5), np.float32),
    "any constant": lambda rng: np.full((8, 4), rng.random(), np.float32),
    "bool": lambda rng: rng.random((3, 30)) < 0.3,
    "int64": lambda rng: rng.integers(0, 300, 100),
    "float64": lambda rng: rng.integers(0, 9, (5, 1, 1, 7)).astype(np.float64),
}


@pytest.mark.parametrize("profile", ["fast", "small"])
@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_many_tensors_are_twice_the_work(kind: str, profile: str, counting: Callable[..., Counting]) -> None:
    rng = np.random.default_rng(1)
    tensors = {f"{i}.w": KINDS[kind](rng) for i in range(160)}
    half = counting(dict(list(tensors.items())[:80]), profile=profile).calls
    whole = counting(tensors, profile=profile).calls
    assert whole.total() <= 2.2 * half.total()


@pytest.mark.parametrize("kind", KINDS)
def test_how_much_is_done_for_a_small_tensor(kind: str, counting: Callable[..., Counting]) -> None:
    """A hundred elements are encoded with so few calls; each costs a microsecond or two."""
    rng = np.random.default_rng(1)
    assert counting({f"{i}.w": KINDS[kind](rng) for i in range(50)}).calls.total() <= 75 * 50


def test_values_that_all_codebooks_have(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    of_group = codebook_groups._Group.least_cost

    def least_cost(*arguments: Any) -> int:
        looked_at.append(arguments)
        return of_group(*arguments)

    monkeypatch.setattr(codebook_groups._Group, "least_cost", least_cost)
    counts = []
    for count in (200, 400, 800):
        looked_at.clear()
        swsfmt.save(with_one_and_minus_one(count), threads=1)
        counts.append(len(looked_at))
    assert counts[2] - counts[1] <= 2.2 * (counts[1] - counts[0])
    assert counts[2] <= 2 * 2 * codebook_groups._FIRST_AND_LAST * 800


def test_where_a_value_is_in_no_codebook_there_is_none_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random floats of which one is 1 are not worth a codebook; with those that have a 1 they are not compared."""
    rng = np.random.default_rng(0)
    tensors = {f"book{i}": np.repeat(np.float32([1, 2 + i]), 99) for i in range(100)}
    tensors |= {f"{i}": np.append(rng.random(31), 1).astype(np.float32) for i in range(100)}
    of_group = codebook_groups._Group.least_cost
    sizes = set()

    def least_cost(group: codebook_groups._Group, own: Codebook, shared: int) -> int:
        sizes.add(own.count)
        return of_group(group, own, shared)

    monkeypatch.setattr(codebook_groups._Group, "least_cost", least_cost)
    swsfmt.save(tensors, threads=1)
    assert sizes == {2}


def shared_by_trying_all(
    own: dict[int, Codebook], founders: set[int], limits: dict[int, int]
) -> tuple[list[list[int]], dict[int, int]]:
    """What `share` does, group by group."""
    groups: list[tuple[Codebook, list[int]]] = []
    for number, book in sorted(own.items(), key=lambda item: item[0] not in founders):
        best: tuple[float, int, Codebook] = (float("inf"), -1, book)
        if number in founders:
            best = (8 * book.stored.nbytes + 24, len(groups), book)
        for i, (group, members) in enumerate(groups):
            union = Codebook.of(book.dtype, np.union1d(group.values, book.values))
            if not set(group.values.tolist()) & set(book.values.tolist()) or union.count > MAX_VALUES:
                continue
            if union.count > group.count and number not in founders:
                continue
            if number in founders and union.count > min(limits[one] for one in [number, *members] if one in founders):
                continue
            unused = union.count - book.count + len(members) * (union.count - group.count)
            cost = 8 * (union.stored.nbytes - group.stored.nbytes) + 2 * unused
            if cost < best[0]:
                best = (cost, i, union)
        if best[1] == len(groups):
            groups.append((book, [number]))
        elif best[1] >= 0:
            groups[best[1]] = (best[2], [*groups[best[1]][1], number])
    owners = {member: i for i, (_, members) in enumerate(groups) for member in members}
    return [group.values.tolist() for group, _ in groups], owners


@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from([3, 20, 200]), st.sampled_from(["F32", "I16"]))
@settings(deadline=None)
def test_codebooks_are_shared_where_that_costs_least(seed: int, count: int, pool: int, dtype: str) -> None:
    """As if all groups had been tried, where a value is not in too many of them."""
    rng = np.random.default_rng(seed)
    of = dtypes.BY_NAME[dtype]
    values = np.unique(rng.integers(1, 2 ** (8 * of.itemsize - 1), pool).astype(of.bits))
    if dtype == "F32" and seed % 2:
        values = np.unique(rng.integers(-99, 99, pool).astype(np.float32)).view(of.bits)
        values = np.sort(values[values > 0])
    own = {
        number: Codebook.of(of, np.sort(rng.permutation(values)[: rng.integers(1, min(12, len(values)) + 1)]))
        for number in range(count)
    }
    founders = {number for number in own if rng.random() < 0.8}
    limits = {number: MAX_VALUES if rng.random() < 0.5 else max(book.count, 15) for number, book in own.items()}
    books, owners = share(own, founders, limits)
    assert ([book.values.tolist() for book in books], owners) == shared_by_trying_all(own, founders, limits)


@pytest.mark.parametrize("profile", ["default", "small"])
def test_no_tensor_is_larger_for_the_values_of_another_one(profile: Profile) -> None:
    """Codings have limits to their codebooks, which a shared one could be beyond."""
    rng = np.random.default_rng(0)
    wide = rng.normal(0, 1, (700, 600)) * np.geomspace(1, 400, 600)
    few = rng.integers(-300, 300, (500, 400))
    few.flat[:40] = np.arange(1000, 1040)
    tensors = {"wide": np.clip(np.rint(wide), -509, 509).astype(np.int16), "few": few.astype(np.int16)}
    alone = [len(swsfmt.save({name: tensor}, profile=profile)) for name, tensor in tensors.items()]
    assert len(swsfmt.save(tensors, profile=profile)) <= sum(alone)


@pytest.mark.parametrize("shape", [(1, 10_000), (10_000, 1), (10_000,), (1, 1, 10_000), (10_000, 1, 1, 1)])
def test_a_vector_is_looked_through_once(shape: tuple[int, ...], counting: Callable[..., Counting]) -> None:
    rng = np.random.default_rng(0)
    elements = (rng.integers(1, 9, 10_000) * (rng.random(10_000) < 0.05)).astype(np.float32)
    square = counting({"a": elements.reshape(100, 100)})
    vector = counting({"a": elements.reshape(shape)})
    assert vector.looked_through == 10_000 <= square.looked_through
    # The square has no dead lines, and so no bitmaps.
    bitmaps = Counter({"cheapest_runs": 1, "cheapest_mask": 1})
    assert (vector.calls - bitmaps).total() <= square.calls.total()
