"""Interleaved rANS with classes: C with and without vector instructions, and the twin, have one result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swsfmt.entropy import backend, rans
from swsfmt.entropy.bits import BitReader, BitWriter
from swsfmt.entropy.frequencies import frequencies_of, levels_of, read_frequencies, write_levels
from swsfmt.entropy.rans import Classes
from swsfmt.errors import ChangedError, PayloadError

NATIVE = backend.active() == backend.NATIVE
WAYS = ["vectors", "portable", "twin"] if NATIVE else ["twin"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """All of a test, three times."""
    with ExitStack() as stack:
        enter(stack, request.param)
        yield request.param


def enter(stack: ExitStack, way: str) -> None:
    stack.enter_context(backend.use(backend.BITARRAY if way == "twin" else backend.NATIVE))
    if way == "portable":
        stack.enter_context(backend.without_vectors())


def example(
    shape: tuple[int, int] = (40, 50), alphabet: int = 20, classes: tuple[int, int] = (3, 4), seed: int = 0
) -> tuple[npt.NDArray[np.uint16], Classes]:
    """Symbols whose spread depends on the classes of row and column."""
    rng = np.random.default_rng(seed)
    labels = [
        rng.permutation(np.arange(count) % most).astype(np.uint8) for count, most in zip(shape, classes, strict=True)
    ]
    spread = 1.0 + labels[0][:, None] + 2 * labels[1]
    symbols = np.minimum(rng.geometric(1 / spread) - 1, alphabet - 1).astype(np.uint16)
    return symbols, Classes(*labels, *(min(pair) for pair in zip(shape, classes, strict=True)))  # type: ignore[arg-type]


def tables(symbols: npt.NDArray[np.uint16], classes: Classes, alphabet: int, bits: int = 12) -> npt.NDArray[np.uint16]:
    return frequencies_of(levels_of(rans.counts(symbols, classes, alphabet)), bits)


def coded(
    symbols: npt.NDArray[np.uint16], classes: Classes, frequencies: Any, bits: int, lanes: int, chunk: int
) -> Any:
    """The code of all chunks, and where each starts."""
    parts = rans.encode(symbols, chunk, classes, frequencies, bits, lanes)
    return b"".join(parts), np.cumsum([0, *map(len, parts)])


def decoded(
    data: bytes, starts: Any, chunk: int, classes: Classes, frequencies: Any, bits: int, lanes: int, elements: Any
) -> Any:
    out = np.zeros(len(classes.rows) * len(classes.columns), elements.dtype)
    rans.decode(data, starts, chunk, classes, frequencies, bits, lanes, elements, out)
    return out


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("shape", [(40, 50), (3, 700), (700, 3), (2000, 1), (1, 2000), (9, 256), (5, 130)], ids=str)
def test_all_ways_have_one_result(dtype: str, lanes: int, shape: tuple[int, int]) -> None:
    alphabet, bits, chunk = 20, 10 + lanes % 3, max(1, shape[0] // 3)
    symbols, classes = example(shape)
    elements = (np.arange(alphabet) * 11 + 3).astype(dtype)
    frequencies = tables(symbols, classes, alphabet, bits)
    codes = set()
    for way in WAYS:
        with ExitStack() as stack:
            enter(stack, way)
            data, starts = coded(symbols, classes, frequencies, bits, lanes, chunk)
            codes.add(data)
            out = decoded(data, starts, chunk, classes, frequencies, bits, lanes, elements)
            assert np.array_equal(out, elements[symbols].ravel())
    assert len(codes) == 1


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("lanes", [1, 8, 32, 64])
@pytest.mark.parametrize("shape", [(40, 50), (3, 700), (700, 3), (1, 3000), (9, 256), (5, 130)], ids=str)
@pytest.mark.parametrize("classes", [(3, 4), (1, 1), (8, 8)], ids=str)
def test_two_symbols(dtype: str, lanes: int, shape: tuple[int, int], classes: tuple[int, int]) -> None:
    """They are decoded without tables. One pair of classes has the first symbol alone, one the second."""
    bits, chunk = 10 + lanes % 3, max(1, shape[0] // 2)
    symbols, found = example(shape, 2, classes)
    symbols[np.ix_(found.rows == 0, found.columns == 0)] = shape[1] % 2
    elements = np.array([0, 1] if shape[0] == 9 else [7, 250], dtype)
    frequencies = tables(symbols, found, 2, bits)
    data, starts = coded(symbols, found, frequencies, bits, lanes, chunk)
    for way in WAYS:
        with ExitStack() as stack:
            enter(stack, way)
            out = decoded(data, starts, chunk, found, frequencies, bits, lanes, elements)
            assert np.array_equal(out, elements[symbols].ravel())


@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    shape = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 60))
    classes = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    alphabet = data.draw(st.sampled_from([1, 2, 3, 7, 64, 1024]))
    bits, lanes = data.draw(st.integers(10, 12)), 1 << data.draw(st.integers(0, 6))
    chunk = data.draw(st.integers(1, shape[0]))
    symbols, found = example(shape, alphabet, classes, data.draw(st.integers(0, 99)))
    frequencies = tables(symbols, found, alphabet, bits)
    assert (frequencies.sum(axis=-1) == 1 << bits).all()
    code, starts = coded(symbols, found, frequencies, bits, lanes, chunk)
    out = decoded(code, starts, chunk, found, frequencies, bits, lanes, np.arange(alphabet, dtype=np.uint16))
    assert np.array_equal(out, symbols.ravel())


def test_the_size_is_that_of_the_frequencies() -> None:
    """Three bytes a lane, and what the frequencies say."""
    symbols, classes = example((300, 400))
    frequencies = tables(symbols, classes, 20)
    pair = classes.rows[:, None], classes.columns, symbols
    ideal = (12 - np.log2(frequencies.astype(float)[pair])).sum() / 8
    for lanes in (1, 8, 64):
        assert len(coded(symbols, classes, frequencies, 12, lanes, 300)[0]) == pytest.approx(
            ideal + 3 * lanes, rel=3e-4, abs=40
        )


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("lanes", [1, 8, 32])
@pytest.mark.parametrize("alphabet", [2, 20])
def test_every_flipped_bit_is_refused_or_changes_elements(lanes: int, alphabet: int) -> None:
    symbols, classes = example((12, 40), alphabet)
    frequencies = tables(symbols, classes, alphabet)
    data, starts = coded(symbols, classes, frequencies, 12, lanes, 12)
    elements = np.arange(alphabet, dtype=np.uint32)
    for bit in range(0, 8 * len(data), 1 if lanes == 8 else 5):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            out = decoded(bytes(damaged), starts, 12, classes, frequencies, 12, lanes, elements)
        except PayloadError:
            continue
        assert not np.array_equal(out, symbols.ravel())


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("lanes", [1, 8, 32])
@pytest.mark.parametrize("alphabet", [2, 20])
def test_other_lengths_are_refused(lanes: int, alphabet: int) -> None:
    symbols, classes = example((12, 400), alphabet)
    frequencies = tables(symbols, classes, alphabet)
    data, _ = coded(symbols, classes, frequencies, 12, lanes, 12)
    elements = np.arange(alphabet, dtype=np.uint32)
    for wrong in [data[:cut] for cut in (0, 1, 4 * lanes - 1, 4 * lanes, len(data) - 2, len(data) - 1)] + [
        data + bytes(more) for more in (1, 2, 64)
    ]:
        with pytest.raises(PayloadError, match="chunk 0"):
            decoded(wrong, np.array([0, len(wrong)]), 12, classes, frequencies, 12, lanes, elements)


@pytest.mark.usefixtures("way")
def test_states_are_looked_at() -> None:
    """One below 2**16, and one that no element changes and that is not 2**16."""
    symbols, classes = np.zeros((1, 3), np.uint16), Classes(np.zeros(1, np.uint8), np.zeros(3, np.uint8), 1, 1)
    frequencies = np.array([4096], np.uint16).reshape(1, 1, 1)
    elements = np.arange(1, dtype=np.uint32)
    good = np.full(64, 1 << 16, "<u4")
    assert coded(symbols, classes, frequencies, 12, 64, 1)[0] == good.tobytes()
    for lane in (0, 2, 3, 63):
        for state in (0, (1 << 16) - 1, (1 << 16) + 1, (1 << 32) - 1):
            bad = good.copy()
            bad[lane] = state
            with pytest.raises(PayloadError):
                decoded(bad.tobytes(), np.array([0, 256]), 1, classes, frequencies, 12, 64, elements)


@pytest.mark.usefixtures("way")
def test_a_symbol_without_frequency() -> None:
    symbols, classes = example()
    frequencies = tables(np.minimum(symbols, 3), classes, 20)
    with pytest.raises(ChangedError):
        rans.encode(symbols, 40, classes, frequencies, 12, 4)


@pytest.mark.skipif(not NATIVE, reason="C was not built")
@pytest.mark.parametrize(
    "change",
    [
        {"lanes": 3}, {"lanes": 0}, {"lanes": 128}, {"bits": 9}, {"bits": 13}, {"bits": 11}, {"chunk": 0},
        {"starts": np.array([0, 10**9])}, {"starts": np.array([5, 1])}, {"starts": np.array([0])},
        {"out": np.zeros(1999, np.uint32)}, {"elements": np.arange(19, dtype=np.uint32)},
        {"elements": np.zeros(1025, np.uint32)}, {"classes": {"rows": np.full(40, 3, np.uint8)}},
        {"classes": {"columns": np.zeros(0, np.uint8)}},
        {"classes": {"row_classes": 9}}, {"classes": {"row_classes": 0}},
        {"classes": {"column_classes": 3}}, {"last": 2}, {"first": -1},
    ],
    ids=lambda change: str(next(iter(change))),
)  # fmt: skip
def test_the_kernel_trusts_no_size(change: dict[str, Any]) -> None:
    symbols, classes = example()
    frequencies = tables(symbols, classes, 20)
    data, starts = coded(symbols, classes, frequencies, 12, 4, 40)
    given = {
        "data": data, "starts": starts, "chunk": 40, "first": 0, "last": 1, "classes": classes,
        "frequencies": frequencies, "bits": 12, "lanes": 4,
        "elements": np.arange(20, dtype=np.uint32), "itemsize": 4, "vectors": True, "out": np.zeros(2000, np.uint32),
    }  # fmt: skip
    kernel: Any = backend.kernels.rans_decode
    assert kernel(*given.values()) == -1
    if isinstance(change.get("classes"), dict):
        change = {"classes": classes._replace(**change["classes"])}
    with pytest.raises((ValueError, TypeError)):
        kernel(*(given | change).values())


@pytest.mark.parametrize("of_rows", [1, 3, 8])
@pytest.mark.parametrize("of_columns", [1, 2, 8])
@pytest.mark.parametrize("alphabet", [1, 5, 300])
def test_tables_of_frequencies(of_rows: int, of_columns: int, alphabet: int) -> None:
    """Written and read; every way reads the same, and refuses the same."""
    rng = np.random.default_rng(alphabet)
    counts = rng.integers(0, 5, (of_rows, of_columns, alphabet)) * rng.integers(0, 1 << 40, (of_rows, 1, alphabet))
    counts[..., 0] += 1
    levels = levels_of(counts)
    writer = BitWriter()
    write_levels(writer, levels)
    size, data = len(writer.bits), writer.to_bytes()
    rng.shuffle(damaged := bytearray(data[:50]))
    results = set()
    for way in WAYS:
        with ExitStack() as stack:
            enter(stack, way)
            reader = BitReader(data, PayloadError)
            read = read_frequencies(reader, of_rows, of_columns, alphabet, 11)
            assert reader.position == size
            assert np.array_equal(read, frequencies_of(levels, 11))
            try:
                results.add(read_frequencies(BitReader(bytes(damaged), PayloadError), 1, 1, 20, 12).tobytes())
            except PayloadError:
                results.add(b"")
            with pytest.raises(PayloadError):
                read_frequencies(BitReader(data[: size // 8 - 1], PayloadError), of_rows, of_columns, alphabet, 11)
    assert len(results) == 1


@given(st.lists(st.integers(0, 48), min_size=1, max_size=1024), st.integers(10, 12))
def test_frequencies_add_up(levels: list[int], bits: int) -> None:
    table = np.array(levels, np.uint8)
    frequencies = frequencies_of(table, bits)
    assert int(frequencies.sum()) == (1 << bits if any(levels) else 0)
    assert np.array_equal(frequencies > 0, table > 0)


@pytest.mark.parametrize("shape", [(1, 1), (40, 50), (3, 70_001), (70_001, 3)], ids=str)
def test_counts_and_costs(shape: tuple[int, int]) -> None:
    symbols, classes = example(shape)
    costs = np.random.default_rng(1).integers(0, rans.MAX_COST, (8, 20, 8)).astype(np.int32)
    wanted = costs[classes.columns, symbols].sum(axis=1, dtype=np.int64)
    counted = np.zeros((classes.row_classes, classes.column_classes, 20), np.int64)
    np.add.at(counted, (classes.rows[:, None], classes.columns, symbols), 1)
    for way in WAYS:
        with ExitStack() as stack:
            enter(stack, way)
            for threads in (1, 3):
                assert np.array_equal(rans.counts(symbols, classes, 20, threads), counted)
                assert np.array_equal(rans.row_costs(symbols, classes.columns, costs, threads), wanted)
