"""The adaptive coder: exact bytes, round trips, the same results from both implementations, bytes that are not its."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt.entropy import adaptive, backend, logarithms
from swsfmt.entropy.adaptive import Model, Pairs, Symbols
from swsfmt.entropy.twin import adaptive as twin
from swsfmt.entropy.twin import adaptive_together
from swsfmt.errors import PayloadError

pytestmark = pytest.mark.usefixtures("each_kernel")

EXAMPLE = np.array([[0, 1, 2, 3, 1], [0, 0, 0, 0, 0], [3, 0, 1, 1, 2]], np.uint16)
FORMS = [
    (Model(1, 1, (2, 1)), "0f9fac11"),
    (Model(1, 1, (2, 1), light=True), "0fbf7bf7"),
    (Model(3, 1, (2, 1)), "0669d98c86"),
    (Model(1, 2, (1, 2)), "0e15b038"),
    (Model(1, 1, (3, 0)), "0f9fae0e"),
    (Model(1, 1, (0, 4)), "0f9fc4cc81"),
    (Model(1, 1, (2, 1), pairs=Pairs(bytes(3), bytes(5), 1)), "0f96605e5c"),
    (Model(1, 1, (2, 1), light=True, pairs=Pairs(b"\0\3\0", b"\0\1\2\0\1", 6)), "0fb77ee05e"),
    (Model(3, 1, (1, 2), pairs=Pairs(b"\2\1\0", b"\0\3\0\3\0", 6)), "065f15b8"),
]


@pytest.mark.parametrize(("model", "code"), FORMS, ids=lambda x: x if isinstance(x, str) else "")
def test_exact_bytes(model: Model, code: str) -> None:
    assert adaptive.encode(EXAMPLE, model).hex() == code
    assert np.array_equal(adaptive.decode(bytes.fromhex(code), 3, 5, model), EXAMPLE)


def test_tables() -> None:
    """Both ends and the middle; stretch is the inverse of squash as far as its steps allow."""
    squash, stretched = twin.squash, twin._STRETCHED
    assert [squash(x) for x in (-3071, -256, -1, 0, 1, 256, 3071)] == [1, 17625, 32706, 32768, 32830, 47911, 65535]
    assert [stretched[k] for k in (0, 1, 2047, 2048, 4094, 4095)] == [-2304, -2030, -1, 0, 2038, 2346]
    assert all(squash(x) <= 16 * k + 8 < squash(x + 1) for k, x in enumerate(stretched))
    assert [twin.bucket(n) for n in (0, 3, 5, 199, 200, 10**9)] == [0, 3, 4, 10, 11, 11]


@pytest.mark.parametrize("fill", [0, 1])
def test_of_one_kind_takes_next_to_nothing(fill: int) -> None:
    symbols = np.full((60, 70), fill, np.uint16)
    code = adaptive.encode(symbols, Model(1, 1, (1, 0), zeros=True))
    assert len(code) <= 24
    assert np.array_equal(adaptive.decode(code, 60, 70, Model(1, 1, (1, 0), zeros=True)), symbols)
    if fill:
        assert adaptive.encode(symbols, Model(1, 1, (1, 0), zeros=False)) == b""


@st.composite
def matrices(draw: Callable[[st.SearchStrategy[int]], int]) -> tuple[Symbols, Model]:
    values = draw(st.tuples(st.integers(0, 20), st.integers(0, 20)).filter(any))  # type: ignore[arg-type]
    zeros, light = draw(st.booleans()), draw(st.booleans())
    shape = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    symbols = random.integers(1, sum(values) + 1, shape).astype(np.uint16)
    if zeros:
        symbols[random.random(shape) < draw(st.sampled_from([0.1, 0.5, 0.95]))] = 0  # type: ignore[arg-type]
    strides = draw(st.integers(1, 25)), draw(st.integers(1, 25))
    pairs = None
    if draw(st.booleans()):
        of_lines, of_places = random.integers(0, 8, shape[0]), 8 * random.integers(0, 8, shape[1])
        pairs = Pairs(of_lines.astype(np.uint8).tobytes(), of_places.astype(np.uint8).tobytes(), 64)
    return symbols, Model(*strides, values, bool(zeros), bool(light), pairs)


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_round_trip(case: tuple[Symbols, Model]) -> None:
    symbols, model = case
    code = adaptive.encode(symbols, model)
    assert not code.endswith(b"\0")
    assert np.array_equal(adaptive.decode(code, *symbols.shape, model), symbols)
    assert code == twin.encode(symbols.tolist(), model)[0]


@settings(max_examples=60, deadline=None)
@given(matrices(), st.binary(max_size=40))
def test_any_bytes(case: tuple[Symbols, Model], data: bytes) -> None:
    """They are refused or not, by both implementations. (A line may be called live that holds no entry.)"""
    symbols, model = case
    expected, right = twin.decode(data, *symbols.shape, model)
    if right:
        found = adaptive.decode(data, *symbols.shape, model)
        assert found.tolist() == expected
        assert adaptive.encode(found, model) == data
    else:
        with pytest.raises(PayloadError, match="not the one that an encoder writes"):
            adaptive.decode(data, *symbols.shape, model)


def test_bytes_of_another_length() -> None:
    model = FORMS[0][0]
    code = adaptive.encode(EXAMPLE, model)
    for wrong in (code + b"\0", code + b"\1", code + code):
        with pytest.raises(PayloadError, match="not the one that an encoder writes"):
            adaptive.decode(wrong, 3, 5, model)


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@pytest.mark.parametrize(
    "arguments",
    [
        (0, 5),
        (3, 0),
        (3, 6),
        (-1, 5),
        (3, 5, 0),
        (3, 5, 1, 0),
        (3, 5, 1 << 17),
        (3, 5, 1, 1, 0, 0),
        (3, 5, 1, 1, 4095, 1),
    ],
)
def test_native_kernel_checks_sizes(arguments: tuple[int, ...]) -> None:
    native = backend.load(backend.NATIVE)
    whole = (*arguments, *(3, 5, 1, 1, 2, 1)[len(arguments) :], True, False, b"", b"", 0)
    with pytest.raises(ValueError, match="do not fit"):
        native.adaptive_encode(EXAMPLE, logarithms.TABLE, *whole)
    with pytest.raises(ValueError, match="do not fit"):
        native.adaptive_decode(
            b"",
            np.zeros(2, np.int64),
            3,
            0,
            1,
            np.arange(4, dtype=np.uint16),
            np.zeros(15, np.uint16),
            whole[1],
            1,
            *whole,
        )


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@pytest.mark.parametrize(
    ("values", "elements", "steps"),
    [
        (3, 15, (5, 1)),
        (4, 14, (5, 1)),
        (4, 15, (6, 1)),
        (4, 15, (5, 2)),
        (4, 15, (-1, 1)),
        (4, 15, (1 << 62, 1)),
        (4, 15, (5, 1 << 62)),
        (4, 0, (0, 0)),
    ],
)
def test_native_kernel_checks_where_elements_go(values: int, elements: int, steps: tuple[int, int]) -> None:
    native = backend.load(backend.NATIVE)
    with pytest.raises(ValueError, match="do not fit"):
        native.adaptive_decode(
            b"",
            np.zeros(2, np.int64),
            3,
            0,
            1,
            np.arange(values, dtype=np.uint16),
            np.zeros(elements, np.uint16),
            *steps,
            3,
            5,
            1,
            1,
            2,
            1,
            True,
            False,
            b"",
            b"",
            0,
        )


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<u4", "<u8"])
@pytest.mark.parametrize("by_columns", [False, True])
def test_straight_into_elements(dtype: str, by_columns: bool) -> None:
    """What `decode` gives, each symbol replaced by its element; what lies around is left alone."""
    model = Model(1, 1, (2, 1))
    values = np.array([0, 200, 7, 255], dtype)
    out = np.zeros(3 * 5 + 4, dtype)
    inside = out[2:-2]
    steps = (1, 3) if by_columns else (5, 1)
    code = adaptive.encode(EXAMPLE, model)
    adaptive.decode_elements(code, np.array([0, len(code)]), 3, values, inside, 3, 5, steps, model)
    found = inside.reshape(5, 3).T if by_columns else inside.reshape(3, 5)
    assert found.tolist() == values[EXAMPLE].tolist()
    assert not out[:2].any()
    assert not out[-2:].any()


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@pytest.mark.parametrize(
    "pairs",
    [
        (bytes(2), bytes(5), 1),
        (bytes(4), bytes(5), 1),
        (bytes(3), bytes(4), 1),
        (bytes(3), bytes(6), 1),
        (bytes(3), b"\0\0\0\0\2", 2),
        (b"\0\0\2", bytes(5), 2),
        (b"\0\2\0", b"\0\2\0\0\0", 4),
        (b"\0\xff\0", b"\0\xff\0\0\0", 64),
        (bytes(3), bytes(5), 65),
        (bytes(3), bytes(5), -1),
    ],
    ids=str,
)
def test_native_kernel_checks_pairs(pairs: tuple[bytes, bytes, int]) -> None:
    native = backend.load(backend.NATIVE)
    form = (3, 5, 1, 1, 2, 1, True, False, *pairs)
    with pytest.raises(ValueError, match="do not fit"):
        native.adaptive_encode(EXAMPLE, logarithms.TABLE, *form)
    values, out = np.arange(4, dtype=np.uint16), np.zeros(15, np.uint16)
    with pytest.raises(ValueError, match="do not fit"):
        native.adaptive_decode(b"", np.zeros(2, np.int64), 3, 0, 1, values, out, 5, 1, *form)


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
def test_native_kernel_checks_symbols() -> None:
    native = backend.load(backend.NATIVE)
    for values, zeros in (((1, 1), True), ((2, 1), False)):
        with pytest.raises(ValueError, match="do not fit"):
            native.adaptive_encode(EXAMPLE, logarithms.TABLE, 3, 5, 1, 1, *values, zeros, False, b"", b"", 0)


def test_no_decision_is_made_after_the_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the last byte all decisions are 1, for any number of elements: nothing is computed for each of them."""
    decisions = []
    code = twin.Mixer.code
    monkeypatch.setattr(twin.Mixer, "code", lambda self, *args: (decisions.append(args), code(self, *args))[1])
    for light in (False, True):
        symbols, right = twin.decode(b"", 50, 60, Model(7, 3, (2, 3), light=light))
        assert right
        assert np.all(np.array(symbols) == 5)
    assert not decisions


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("values", [(1, 0), (0, 1), (5, 0), (3, 2), (2000, 2000)])
def test_ones_behind_the_last_byte(values: tuple[int, int], zeros: bool, light: bool) -> None:
    model = Model(3, 2, values, zeros, light)
    last = np.full((31, 43), sum(values), np.uint16)
    assert adaptive.encode(last, model) == b""
    assert np.array_equal(adaptive.decode(b"", 31, 43, model), last)
    # The same from within a line, and from within a matrix whose first lines are dead.
    last[0, 0] = last[4, :20] = 1
    last[9] = last[5, 1] = 0 if zeros else 1
    assert np.array_equal(adaptive.decode(adaptive.encode(last, model), 31, 43, model), last)


@pytest.mark.parametrize("stride", [4, 5, 6, 7, 1 << 16])
def test_strides_beyond_the_matrix(stride: int) -> None:
    """They are all the same: there are no neighbours."""
    model = Model(stride, max(1, stride - 2), (2, 1))
    expected, _ = twin.encode(EXAMPLE.tolist(), model)
    assert adaptive.encode(EXAMPLE, model) == expected
    assert np.array_equal(adaptive.decode(expected, 3, 5, model), EXAMPLE)


@settings(deadline=None)
@given(matrices(), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans()), min_size=1, max_size=3))
def test_several_at_once(case: tuple[Symbols, Model], forms: list[tuple[int, int, bool]]) -> None:
    """The same bytes as one by one, of a matrix and of its transpose, whatever the number that are coded together."""
    symbols, model = case
    pairs = [
        (matrix, Model(stride, line_stride, model.values, model.zeros, light, classes))
        for stride, line_stride, light in forms
        for matrix, classes in ((symbols, model.pairs), (symbols.T, None), (symbols, None))
    ]
    wanted = [adaptive.encode(matrix, own) for matrix, own in pairs]
    for together in (1, 1 << 16):
        with patch.object(adaptive_together, "_TOGETHER", together):
            codes = adaptive_together.encode_all(*zip(*pairs, strict=True))
        assert [code.to_bytes() for code in codes] == wanted
        each = adaptive.encode_each(*zip(*pairs, strict=True))
        assert [code.to_bytes() for code in each] == wanted
        assert [code.cost for code in each] == [code.cost for code in codes]


def test_a_cost_is_about_the_length() -> None:
    symbols = np.random.default_rng(1).integers(0, 4, (30, 40)).astype(np.uint16)
    (code,) = adaptive.encode_each([symbols], [Model(1, 1, (2, 1))])
    assert abs(code.cost / logarithms.UNIT - 8 * len(code.to_bytes())) < 24


def test_weights_that_reach_their_bound() -> None:
    with patch.object(twin, "_MAX_WEIGHT", 20_000), backend.use(backend.BITARRAY):
        symbols = np.random.default_rng(0).integers(0, 4, (12, 30)).astype(np.uint16)
        wanted = adaptive.encode(symbols, Model(1, 1, (2, 1)))
        assert adaptive_together.encode_all([symbols], [Model(1, 1, (2, 1))])[0].to_bytes() == wanted
    assert wanted != adaptive.encode(symbols, Model(1, 1, (2, 1)))


def test_the_search_of_the_twin_codes_small_matrices_together() -> None:
    symbols = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.float32)
    data = swsfmt.save({"a": symbols}, profile="small")
    with backend.use(backend.BITARRAY), patch.object(twin.Mixer, "code", side_effect=AssertionError):
        assert swsfmt.save({"a": symbols}, profile="small") == data
