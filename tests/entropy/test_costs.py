"""What a writer measures before it chooses: codes, earlier tables, runs and masks of bitmaps, gaps."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swsfmt.entropy import backend
from swsfmt.entropy.bitmap import Form, Kind, cheapest_form, write_bitmap
from swsfmt.entropy.bits import BitWriter
from swsfmt.entropy.code_table import cheapest_code, write_table
from swsfmt.entropy.logarithms import TABLE
from swsfmt.entropy.prefix_code import PrefixCode
from swsfmt.entropy.protocol import Table
from swsfmt.entropy.twin.cheapest_gaps import gap_estimates

pytestmark = pytest.mark.usefixtures("each_kernel")
native = pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")

counts_of_symbols = st.lists(st.one_of(st.just(0), st.integers(0, 5000)), min_size=1, max_size=300).filter(any)
bitmaps = st.one_of(
    st.lists(st.booleans(), min_size=1, max_size=300),
    st.builds(lambda period, times: (period * times)[:700], st.lists(st.booleans(), min_size=1), st.integers(1, 50)),
    st.builds(lambda runs: [i % 2 > 0 for i, run in enumerate(runs) for _ in range(run)], st.lists(st.integers(1, 99))),
).filter(any)


@pytest.mark.parametrize(
    ("counts", "lengths", "single", "size"),
    [
        ([0, 7, 0], [0, 0, 0], 1, 1 + 2),
        ([3], [0], 0, 1),
        # Flag, first length, three tokens, of which the second is longer by one; then 2 + 2 * 1 + 2 * 1 bits.
        ([2, 1, 1], [1, 2, 2], -1, 1 + 4 + 1 + 3 + 1 + 6),
        # A hole of three: token and gamma code.
        ([5, 0, 0, 0, 5], [1, 0, 0, 0, 1], -1, 1 + 4 + 1 + 3 + 3 + 1 + 10),
    ],
)
def test_codes_by_hand(counts: list[int], lengths: list[int], single: int, size: int) -> None:
    found, symbol, bits = backend.kernels.cheapest_code(np.array(counts, np.int64), b"")
    assert (np.frombuffer(found, np.uint8).tolist(), symbol, bits) == (lengths, single, size)


@given(counts_of_symbols, st.lists(st.tuples(counts_of_symbols, st.sampled_from([8, 16])), max_size=5))
@settings(deadline=None)
def test_the_cheapest_earlier_table(counts: list[int], others: list[tuple[list[int], int]]) -> None:
    array = np.array(counts, np.int64)
    codes = [(PrefixCode.optimal(np.resize(np.array(other, np.int64) + 1, len(array))), bits) for other, bits in others]
    codes += [(PrefixCode.one_symbol(int(array.argmax()), len(array)), 8), (PrefixCode.optimal(array), 16)]
    tables = [(code.lengths.tobytes(), -1 if code.single is None else code.single, bits) for code, bits in codes]
    sizes = [bits + code.cost(array) if code.covers(array) else math.inf for code, bits in codes]
    assert backend.kernels.cheapest_table(array, tables) == (int(np.argmin(sizes)), min(sizes))
    longer = (bytes([1] * (len(counts) + 1)), -1, 8)
    assert backend.kernels.cheapest_table(array, [longer, *tables]) == (1 + int(np.argmin(sizes)), min(sizes))
    assert backend.kernels.cheapest_table(array, [longer]) is None


def written(live: np.ndarray, form: Form, earlier: list[np.ndarray]) -> int:
    writer = BitWriter()
    write_bitmap(writer, live, form, earlier)
    return len(writer.bits) + 8 * form.kind.has_argument


@given(bitmaps, st.lists(bitmaps, max_size=3))
@settings(deadline=None)
def test_the_cheapest_form_of_a_bitmap(values: list[bool], others: list[list[bool]]) -> None:
    """Of all forms, written; of those that are equally short the first."""
    live = np.array(values)
    earlier = [np.array(other) for other in others]
    for step in (1, 2, 3):
        if len(live) % step == 0:
            earlier.append(live.reshape(-1, step).any(axis=1))
    forms = [Form(Kind.RAW), Form(Kind.RUNS)]
    forms += [Form(Kind.STRIDE_RUNS, stride) for stride in range(2, 65) if stride < len(live)]
    for number, other in enumerate(earlier):
        if len(live) % len(other):
            continue
        mask = np.repeat(other, len(live) // len(other))
        if np.array_equal(mask, live):
            forms.append(Form(Kind.COPY, number))
        elif mask.any() and not (live & ~mask).any():
            forms += [Form(Kind.MASKED_RAW, number), Form(Kind.MASKED_RUNS, number)]
    size, kind, argument = min((written(live, form, earlier), form.kind, form.argument) for form in forms)
    wanted = (Form(kind, argument), size) if not live.all() else (Form(Kind.ALL_LIVE), 0)
    assert cheapest_form(live, earlier) == wanted


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40), st.integers(0, 64), st.integers(0, 2**32))
@settings(deadline=None)
def test_runs_of_long_bitmaps(runs: list[int], stride: int, seed: int) -> None:
    """Longer than what is counted at once."""
    live = np.repeat(np.arange(len(runs)) % 2 > 0, runs)
    live[np.random.default_rng(seed).random(len(live)) < 0.01] ^= True
    if stride:
        live = np.resize(live[:stride], len(live))
    sizes = [(written(live, Form(Kind.STRIDE_RUNS, s), []), s) for s in (2, 3, 64) if s < len(live)]
    sizes.append((written(live, Form(Kind.RUNS), []), 0))
    found = backend.kernels.cheapest_runs(live, 1 << 40)
    assert found is not None
    assert found[::-1] <= min(sizes)
    chosen = Form(Kind.STRIDE_RUNS, found[0]) if found[0] else Form(Kind.RUNS)
    assert written(live, chosen, []) == found[1]
    assert backend.kernels.cheapest_runs(live, found[1]) is None
    assert backend.kernels.cheapest_runs(live, found[1] + 1) == found


gaps_and_counts = st.dictionaries(st.integers(0, 9000), st.integers(1, 10**6), min_size=1, max_size=60).map(
    lambda counts: (np.array(sorted(counts)), np.array([counts[gap] for gap in sorted(counts)]))
)


@given(gaps_and_counts, st.integers(1, 12))
def test_counts_of_gap_symbols(gaps: tuple[np.ndarray, np.ndarray], pbits: int) -> None:
    skip = 2**pbits - 1
    wanted = [0] * 2**pbits
    for gap, count in zip(*map(np.ndarray.tolist, gaps), strict=True):
        wanted[gap % skip] += count
        wanted[skip] += gap // skip * count
    assert np.frombuffer(backend.kernels.gap_counts(*gaps, pbits), np.int64).tolist() == wanted


@given(gaps_and_counts, st.booleans())
def test_estimates_are_about_the_entropy(gaps: tuple[np.ndarray, np.ndarray], huffman: bool) -> None:
    """But for what a code of whole bits cannot have: a symbol of less than one."""
    for pbits, estimate in enumerate(gap_estimates(*gaps, TABLE, 4, huffman).tolist(), 1):
        counts = np.frombuffer(backend.kernels.gap_counts(*gaps, pbits), np.int64)
        used = counts[counts > 0].astype(float)
        total = used.sum()
        bits = total * pbits
        if huffman:
            coded = float((used * np.log2(total / used)).sum())
            most = float(used.max())
            if total / 2 < most < total:
                rest = np.delete(used, used.argmax())
                coded = total + float((rest * np.log2((total - most) / rest)).sum())
            bits = min(bits, coded + 4 * len(used))
        assert estimate / 4096 == pytest.approx(bits, abs=0.01 * total + 1)


forms_of_gaps = st.lists(
    st.tuples(gaps_and_counts, st.integers(0, 300), st.sampled_from([6, 63])).map(lambda form: (*form[0], *form[1:])),
    min_size=1,
    max_size=6,
)
some_tables = st.lists(
    st.tuples(st.integers(1, 12), st.lists(st.integers(1, 99), min_size=2, max_size=40), st.sampled_from([8, 16])),
    max_size=5,
).map(
    lambda tables: [
        (PrefixCode.optimal(np.resize(np.array(counts), 1 << pbits)).lengths.tobytes(), -1, bits)
        for pbits, counts, bits in tables
    ]
)
WINDOWS = bytes([1, 4, 12, 25])


@given(forms_of_gaps, some_tables, st.booleans())
@example([(np.array([0, 1, 2, 514, 1161, 2043]), np.array([1, 1085, 583426, 261, 42, 36312]), 300, 63)], [], False)
@settings(deadline=None)
def test_the_cheapest_gaps(
    forms: list[tuple[np.ndarray, np.ndarray, int, int]], tables: list[Table], tabled: bool
) -> None:
    """Where all are finalists, the smallest of all."""
    which, pbits = backend.kernels.cheapest_gaps(
        forms, (1, 12), TABLE, 4, 12 * len(forms), True, tabled, WINDOWS, tables
    )
    ranks = {}
    for form, (gaps, of_gaps, bits, shift) in enumerate(forms):
        for width in range(1, 13):
            if gaps[-1] < 2 ** (width - 1) - 1:
                continue
            counts = np.frombuffer(backend.kernels.gap_counts(gaps, of_gaps, width), np.int64)
            sizes = [int(counts.sum()) * width]
            if tabled:
                sizes.append(backend.kernels.cheapest_code(counts, WINDOWS)[2])
                own = backend.kernels.cheapest_table(counts, tables)
                sizes += [own[1]] if own else []
            size = bits + min(sizes)
            ranks[form, width] = size + (size >> shift)
            if of_gaps.sum() >= 1 << 15:
                # Of many entries skips cost time to decode.
                ranks[form, width] += int(counts[-1]) >> 6
    assert ranks[which, pbits] == min(ranks.values())


def both(name: str, *arguments: Any) -> list[Any]:
    """The results of both kernels, with what they fill."""
    results = []
    for kernels in (backend.load(backend.NATIVE), backend.load(backend.BITARRAY)):
        own = [np.copy(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
        result = getattr(kernels, name)(*own)
        filled = [argument.tolist() for argument in own if isinstance(argument, np.ndarray)]
        results.append((result, filled))
    return results


@native
@given(counts_of_symbols, st.sampled_from([b"", bytes([1, 4, 12, 25])]))
@settings(deadline=None)
def test_both_find_the_same_code(counts: list[int], windows: bytes) -> None:
    array = np.array(counts, np.int64)
    (one, _), (other, _) = both("cheapest_code", array, windows)
    assert (bytes(one[0]), *one[1:]) == (bytes(other[0]), *other[1:])
    code, size = cheapest_code(array, bool(windows))
    writer = BitWriter()
    write_table(writer, code)
    assert size == len(writer.bits) + code.cost(array)


@native
@given(counts_of_symbols)
def test_both_have_the_same_codewords(counts: list[int]) -> None:
    lengths = PrefixCode.optimal(np.array(counts, np.int64)).lengths
    (one, _), (other, _) = both("codewords", lengths)
    assert bytes(one) == bytes(other)


@native
@given(forms_of_gaps, some_tables, st.booleans(), st.booleans(), st.integers(1, 30), st.integers(1, 12))
@settings(deadline=None)
def test_both_choose_the_same_gaps(
    forms: list[tuple[np.ndarray, np.ndarray, int, int]],
    tables: list[Table],
    huffman: bool,
    tabled: bool,
    finalists: int,
    first: int,
) -> None:
    for widths in ((1, 12), (first, first)):
        # The first form once more: the same gaps may be those of several.
        arguments = ([*forms, forms[0]], widths, TABLE, 4, finalists, huffman, tabled, WINDOWS, tables)
        one, other = both("cheapest_gaps", *arguments)
        assert one == other


def heads_by_hand(lines: list[tuple[int, int, int]], start: int, length: int) -> list[list[int]]:
    """The gaps before the first entries, in the three ways."""
    fresh, every, living = [], [], []
    ends = [0, 0]
    rank = 0
    for number, (first, last, entries) in enumerate(lines, start):
        if not entries:
            continue
        fresh.append(first)
        every.append(number * length + first - ends[0])
        living.append(rank * length + first - ends[1])
        ends = [number * length + last + 1, rank * length + last + 1]
        rank += 1
    return [fresh, every, living]


@given(st.lists(st.lists(st.integers(0, 19), max_size=4).map(sorted), min_size=1, max_size=20), st.integers(0, 20))
def test_gaps_before_lines(places: list[list[int]], cut: int) -> None:
    """In two parts; gaps from 8 on are listed."""
    lines = [(p[0], p[-1], len(p)) if p else (-1, -1, 0) for p in places]
    state, counts, others = np.zeros(8, np.int64), np.zeros((3, 8), np.int64), np.zeros((3, 60), np.int64)
    live = np.ones(len(lines), np.bool_)
    cut = min(cut, len(lines))
    for first, last in ((0, cut), (cut, len(lines))):
        part = np.array(lines[first:last], np.int64).reshape(-1, 3).T.copy()
        backend.kernels.head_gaps(part, first, 20, state, live[first:last], counts, others)
    assert live.tolist() == [len(p) > 0 for p in places]
    assert state[3:5].tolist() == [sum(map(bool, places)), max(map(len, places))]
    for way, gaps in enumerate(heads_by_hand(lines, 0, 20)):
        assert counts[way].tolist() == [gaps.count(gap) for gap in range(8)]
        assert others[way, : state[5 + way]].tolist() == [gap for gap in gaps if gap >= 8]


small_matrices = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32)).map(
    lambda m: (np.random.default_rng(m[2]).random(m[:2]) < 0.3).astype(np.uint16)
)


@given(small_matrices, st.booleans(), st.booleans())
def test_gaps_of_a_small_matrix(matrix: np.ndarray, by_columns: bool, compact: bool) -> None:
    """As the gaps within lines and those before lines, counted one by one."""
    lines = matrix.T if by_columns else matrix
    counted = lines.any(axis=0) if compact else np.ones(lines.shape[1], np.bool_)
    places = [np.flatnonzero(line[counted]).tolist() for line in lines]
    live = np.ones(len(lines), np.bool_)
    most, *ways = backend.kernels.matrix_gaps(
        matrix, matrix.shape[1], by_columns, counted if compact else counted[:0], live
    )
    assert live.tolist() == [len(p) > 0 for p in places]
    assert most == max(map(len, places))
    within = [after - before - 1 for p in places for before, after in pairwise(p)]
    ends = [(p[0], p[-1], len(p)) if p else (-1, -1, 0) for p in places]
    for heads, (gaps, counts) in zip(heads_by_hand(ends, 0, int(counted.sum())), ways, strict=True):
        wanted = sorted(Counter([*within, *heads]).items())
        assert list(zip(*(np.frombuffer(part, np.int64).tolist() for part in (gaps, counts)), strict=True)) == wanted


I64 = np.int64
ONE, NONE = np.ones(1, I64), np.zeros(0, I64)
LINES = np.array([[0], [0], [1]])


@native
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cheapest_code", (NONE, b"")),
        ("cheapest_code", (np.zeros(3, I64), b"")),
        ("cheapest_code", (np.array([-1, 2]), b"")),
        ("cheapest_code", (np.ones(4097, I64), b"")),
        ("cheapest_table", (ONE, ())),
        ("codewords", (bytes(4097),)),
        ("codewords", (b"\1\1\1",)),
        ("codewords", (b"\15",)),
        ("cheapest_runs", (b"", 1)),
        ("cheapest_runs", (b"\1", -1)),
        ("cheapest_mask", (b"", [], 0)),
        ("cheapest_mask", (b"\1", (), 0)),
        *(("gap_counts", changed) for changed in ((ONE, NONE, 3), (-ONE, ONE, 3), (ONE, ONE, 0), (ONE, ONE, 13))),
        *(
            ("matrix_gaps", (np.ones(size, np.uint16), columns, False, bytes(places), bytearray(lines)))
            for size, columns, places, lines in ((0, 1, 0, 0), (6, 0, 0, 2), (6, 4, 0, 2), (6, 3, 0, 3), (6, 3, 2, 2))
        ),
        *(
            ("cheapest_gaps", (forms, widths, logarithms, 4, finalists, True, True, b"", tables))
            for forms, widths, logarithms, finalists, tables in (
                ((), (1, 12), TABLE, 24, []),
                ([], (1, 12), TABLE, 24, []),
                ([(ONE, NONE, 0, 6)], (1, 12), TABLE, 24, []),
                ([(NONE, NONE, 0, 6)], (1, 12), TABLE, 24, []),
                ([(-ONE, ONE, 0, 6)], (1, 12), TABLE, 24, []),
                ([(ONE, -ONE, 0, 6)], (1, 12), TABLE, 24, []),
                ([(ONE, ONE, -1, 6)], (1, 12), TABLE, 24, []),
                ([(ONE, ONE, 0, 64)], (1, 12), TABLE, 24, []),
                ([(ONE, ONE, 0, 6)], (0, 12), TABLE, 24, []),
                ([(ONE, ONE, 0, 6)], (3, 2), TABLE, 24, []),
                ([(ONE, ONE, 0, 6)], (1, 13), TABLE, 24, []),
                ([(ONE, ONE, 0, 6)], (1, 12), TABLE[1:], 24, []),
                ([(ONE, ONE, 0, 6)], (1, 12), TABLE, 0, []),
                ([(ONE, ONE, 0, 6)], (1, 12), TABLE, 24, ()),
            )
        ),
        *(
            ("head_gaps", changed)
            for changed in (
                (NONE, 0, 1, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
                (LINES, 0, 1, bytearray(56), bytearray(1), bytearray(24), bytearray(0)),
                (LINES, 0, 1, bytearray(64), bytearray(1), bytearray(25), bytearray(0)),
                (LINES, -1, 1, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
                (LINES, 0, -1, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
                (LINES, 1 << 62, 4, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
                # A place past the end of the line, one before the last entry, and a gap for which there is no room.
                (LINES, 0, 0, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
                (LINES[[1, 0, 2]] - [[0], [1], [0]], 0, 9, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
                (LINES, 0, 1, np.array([0, 9, 0, 0, 0, 0, 0, 0]), bytearray(1), bytearray(24), bytearray(0)),
                (np.array([[5], [5], [1]]), 0, 9, bytearray(64), bytearray(1), bytearray(24), bytearray(0)),
            )
        ),
    ],
)
def test_native_kernels_check_sizes(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=f"{name}: sizes do not fit"):
        getattr(backend.load(backend.NATIVE), name)(*arguments)
