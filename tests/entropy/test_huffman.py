"""Code lengths are optimal, complete and deterministic; codewords are those of RFC 1951."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from dahuffman import HuffmanCodec
from hypothesis import given, settings
from hypothesis import strategies as st

from swsfmt.entropy import backend, huffman
from swsfmt.entropy.huffman import KRAFT_ONE, MAX_LENGTH, canonical_codewords, code_lengths, kraft_sum

pytestmark = pytest.mark.usefixtures("each_kernel")

Counts = list[int]
counts_lists = st.lists(st.integers(0, 1000), min_size=2, max_size=60).filter(lambda c: sum(n > 0 for n in c) >= 2)


def lengths_of(counts: Counts) -> np.ndarray:
    return code_lengths(np.array(counts, np.int64))


def total(counts: Counts, lengths: np.ndarray) -> int:
    return int((np.array(counts, np.int64) * lengths.astype(np.int64)).sum())


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1, 1], [1, 1]),
        ([5, 0, 1], [1, 0, 1]),
        ([1, 1, 2], [2, 2, 1]),
        ([8, 4, 2, 1, 1], [1, 2, 3, 4, 4]),
        ([1] * 8, [3] * 8),
        ([0, 0, 7, 0, 9, 0], [0, 0, 1, 0, 1, 0]),
    ],
)
def test_lengths(counts: Counts, expected: list[int]) -> None:
    assert lengths_of(counts).tolist() == expected


@given(counts_lists)
def test_complete_and_as_short_as_dahuffman(counts: Counts) -> None:
    lengths = lengths_of(counts)
    assert [n > 0 for n in lengths] == [n > 0 for n in counts]
    assert kraft_sum(lengths) == KRAFT_ONE
    # dahuffman always has a symbol for the end of the stream; let it be one of ours.
    used = {i: n for i, n in enumerate(counts) if n}
    table = HuffmanCodec.from_frequencies(used, eof=next(iter(used))).get_code_table()
    if max(size for size, _ in table.values()) <= MAX_LENGTH:
        assert total(counts, lengths) == sum(counts[symbol] * size for symbol, (size, _) in table.items())
    else:
        assert total(counts, lengths) >= merged_cost(counts)


def merged_cost(counts: Counts) -> int:
    """Total length of an unlimited Huffman code: the sum of all merges."""
    weights = sorted(n for n in counts if n)
    cost = 0
    while len(weights) > 1:
        first, second, *weights = weights
        cost += first + second
        weights = sorted([*weights, first + second])
    return cost


@given(st.lists(st.integers(1, 300), min_size=2, max_size=40))
def test_optimal_where_the_limit_does_not_matter(counts: Counts) -> None:
    lengths = lengths_of(counts)
    assert total(counts, lengths) >= merged_cost(counts)
    # A depth of 13 needs a sum of counts of at least Fibonacci(15) = 610.
    if sum(counts) < 610:
        assert total(counts, lengths) == merged_cost(counts)


def brute_force(counts: Counts, limit: int) -> int:
    """The cheapest complete code of lengths 1 to `limit`."""
    sizes = [
        sizes
        for sizes in itertools.combinations_with_replacement(range(1, limit + 1), len(counts))
        if sum(1 << (limit - size) for size in sizes) == 1 << limit
    ]
    descending = sorted(counts, reverse=True)
    return min(sum(n * size for n, size in zip(descending, candidate, strict=True)) for candidate in sizes)


@pytest.mark.parametrize("limit", [3, 4, 5])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_optimal_under_a_small_limit(limit: int, data: st.DataObject) -> None:
    """Package-merge against all codes there are, with the limit made small."""
    weights = st.one_of(st.integers(1, 5), st.integers(1, 1000))
    counts = data.draw(st.lists(weights, min_size=2, max_size=min(8, 1 << limit)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huffman, "MAX_LENGTH", limit)
        patch.setattr(huffman, "KRAFT_ONE", 1 << limit)
        lengths = lengths_of(counts)
        assert kraft_sum(lengths) == 1 << limit
    assert int(lengths.max()) <= limit
    assert total(counts, lengths) == brute_force(counts, limit)


def test_fibonacci_counts_meet_the_limit() -> None:
    counts = [1, 1]
    while len(counts) < 40:
        counts.append(counts[-1] + counts[-2])
    lengths = lengths_of(counts)
    assert int(lengths.max()) == MAX_LENGTH
    assert kraft_sum(lengths) == KRAFT_ONE
    assert (np.diff(lengths.astype(int)) <= 0).all()
    assert total(counts, lengths) == cheapest(counts)


def cheapest(counts: Counts) -> int:
    """The least total length with lengths up to 12, symbol by symbol over all Kraft sums."""
    best = np.zeros(KRAFT_ONE + 1)
    for count in counts:
        after = np.full(KRAFT_ONE + 1, np.inf)
        for size in range(1, MAX_LENGTH + 1):
            share = 1 << (MAX_LENGTH - size)
            after[share:] = np.minimum(after[share:], best[:-share] + count * size)
        best = after
    return int(best[-1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 30).map(lambda power: int(2**power)), min_size=2, max_size=40))
def test_optimal_under_the_limit_of_12(counts: Counts) -> None:
    assert total(counts, lengths_of(counts)) == cheapest(counts)


@pytest.mark.parametrize("used", [2, 3, 1000, 4095, 4096])
def test_sizes_of_alphabet(used: int) -> None:
    counts = np.arange(1, used + 1, dtype=np.int64) ** 2
    lengths = code_lengths(counts)
    assert kraft_sum(lengths) == KRAFT_ONE
    assert 1 <= lengths.min() <= lengths.max() <= MAX_LENGTH


@pytest.mark.parametrize("counts", [[0, 0], [3], [0, 5, 0], [1] * 4097], ids=["none", "one", "one used", "4097"])
def test_alphabets_that_have_no_code(counts: Counts) -> None:
    with pytest.raises(ValueError, match="used symbols"):
        lengths_of(counts)


def test_counts_of_billions() -> None:
    assert lengths_of([1 << 40, 1 << 41, 1, 3]).tolist() == [2, 1, 3, 3]


@given(counts_lists)
def test_deterministic_and_ties_broken_by_symbol(counts: Counts) -> None:
    lengths = lengths_of(counts)
    assert lengths.tolist() == lengths_of(list(counts)).tolist()
    by_count: dict[int, list[int]] = {}
    for count, length in zip(counts, lengths.tolist(), strict=True):
        by_count.setdefault(count, []).append(length)
    for same in by_count.values():
        assert same == sorted(same, reverse=True)


def text(lengths: list[int]) -> list[str]:
    """Codewords, first bit first."""
    words = canonical_codewords(np.array(lengths, np.uint8))
    return [f"{word:0{length}b}"[::-1] if length else "" for word, length in zip(words.tolist(), lengths, strict=True)]


def test_the_example_of_rfc_1951() -> None:
    assert text([3, 3, 3, 3, 3, 2, 4, 4]) == ["010", "011", "100", "101", "110", "00", "1110", "1111"]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([1, 1], ["0", "1"]),
        ([2, 1, 3, 3], ["10", "0", "110", "111"]),
        ([2, 2, 1, 0], ["10", "11", "0", ""]),
        ([0, 1, 0, 2, 2], ["", "0", "", "10", "11"]),
    ],
)
def test_codewords(lengths: list[int], expected: list[str]) -> None:
    assert text(lengths) == expected


def rfc_1951(lengths: list[int]) -> list[str]:
    """The algorithm of RFC 1951, section 3.2.2, word for word."""
    count = [0] * (MAX_LENGTH + 2)
    for length in lengths:
        count[length] += length > 0
    code, following = 0, [0] * (MAX_LENGTH + 2)
    for size in range(1, MAX_LENGTH + 1):
        code = (code + (count[size - 1] if size > 1 else 0)) << 1
        following[size] = code
    out = []
    for length in lengths:
        out.append(f"{following[length]:0{length}b}" if length else "")
        following[length] += 1
    return out


@given(counts_lists)
def test_codewords_are_those_of_rfc_1951(counts: Counts) -> None:
    lengths = lengths_of(counts).tolist()
    assert text(lengths) == rfc_1951(lengths)


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@given(st.lists(st.integers(1, 2**40) | st.integers(1, 4), min_size=2, max_size=300))
def test_both_kernels_make_the_same_code(counts: Counts) -> None:
    """Of codes that are equally good there are many."""
    leaves = np.sort(np.array(counts, np.int64))
    native, twin = backend.load(backend.NATIVE), backend.load(backend.BITARRAY)
    assert list(native.code_lengths(leaves, MAX_LENGTH)) == list(twin.code_lengths(leaves, MAX_LENGTH))
