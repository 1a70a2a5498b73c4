"""What is saved comes back bit for bit, in order, whatever the dtype, the shape, the values and the options."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt.numpy import _MAX_RANK

Arrays = Mapping[str, np.ndarray[Any, Any]]
ML = [
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fnuz,
    ml_dtypes.float8_e5m2fnuz,
    ml_dtypes.float8_e8m0fnu,
]
DTYPES = [np.dtype(t) for t in ["?", *"bBhHiIqQ", "e", "f", "d", "F", "D", *ML]]
# -0.0, infinities, quiet and signalling NaNs with payloads, the smallest and largest numbers.
F32_BITS = [
    0,
    1 << 31,
    0x7F800000,
    0xFF800000,
    0x7FC00000,
    0x7FC00123,
    0x7F800001,
    0xFFFFFFFF,
    1,
    0x7F7FFFFF,
    0x3F800000,
]
SETTINGS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def check(arrays: Arrays, **options: Any) -> swsfmt.Report:
    """Save twice, load, compare, account for every byte."""
    data = swsfmt.save(arrays, **options)
    assert swsfmt.save(arrays, **options) == data
    loaded = swsfmt.load(data)
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        same_bits(loaded[name], array)
        assert loaded[name].flags.writeable
    report = swsfmt.verify(data)
    assert sum(report.sections.values()) == report.file_bytes == len(data)
    for tensor in report.tensors:
        assert sum(tensor.sections.values()) == tensor.file_bytes
    return report


def same_bits(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


def from_bits(rng: np.random.Generator, dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
    """`count` elements of any bit pattern that the dtype allows."""
    if dtype == np.bool_:
        return rng.integers(0, 2, count).astype(bool)
    return np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).copy()


@st.composite
def arrays_of_any_kind(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    dtype = draw(st.sampled_from(DTYPES))
    shape = tuple(draw(st.lists(st.integers(0, 12), max_size=5)))
    if np.prod(shape, dtype=int) > 20_000:
        shape = shape[:3]
    count = int(np.prod(shape, dtype=int))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    style = draw(st.sampled_from(["random", "few", "sparse", "zeros", "dead"]))
    if style == "random":
        return from_bits(rng, dtype, count).reshape(shape)
    palette = from_bits(rng, dtype, draw(st.integers(1, 40)))
    if dtype == np.float32 and draw(st.booleans()):
        palette = np.array(F32_BITS, np.uint32).view(np.float32)
    out = palette[rng.integers(0, len(palette), count)]
    if style == "zeros":
        out[:] = np.zeros((), dtype)
    if style in ("sparse", "dead"):
        out[rng.random(count) < draw(st.sampled_from([0.5, 0.9, 0.99]))] = np.zeros((), dtype)
    out = out.reshape(shape)
    if style == "dead" and out.ndim >= 2:
        out[rng.random(shape[0]) < 0.5] = np.zeros((), dtype)
        out[:, rng.random(shape[1]) < 0.5] = np.zeros((), dtype)
    return out


names = st.text(st.characters(codec="utf-8"), max_size=12)
options = st.fixed_dictionaries(
    {},
    optional={
        "pbits": st.none() | st.integers(1, 12),
        "pbits_fc": st.integers(1, 12),
        "pbits_conv": st.integers(1, 12),
        "huffman": st.booleans(),
        "scan": st.sampled_from(["auto", "rows", "columns"]),
        "compact": st.sampled_from(["auto", "off"]),
    },
)


@SETTINGS
@given(st.dictionaries(names, arrays_of_any_kind(), max_size=4), options)
def test_any_arrays(arrays: dict[str, np.ndarray[Any, Any]], options: dict[str, Any]) -> None:
    check(arrays, **options)


@SETTINGS
@given(st.lists(names, unique=True, max_size=12), st.dictionaries(names, st.text(st.characters(codec="utf-8"))))
def test_any_names_and_metadata(keys: list[str], metadata: dict[str, str]) -> None:
    data = swsfmt.save({key: np.uint8(i) for i, key in enumerate(keys)}, metadata)
    assert {key: int(value) for key, value in swsfmt.load(data).items()} == {key: i for i, key in enumerate(keys)}
    assert list(swsfmt.load(data)) == keys
    with swsfmt.safe_open(data) as file:
        assert file.metadata() == metadata
    assert data == swsfmt.save({key: np.uint8(i) for i, key in enumerate(keys)}, dict(reversed(metadata.items())))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(dtype: np.dtype[Any]) -> None:
    """All patterns of the small dtypes, many of the large ones; few values; a single value; a scalar."""
    rng = np.random.default_rng(7)
    if dtype.itemsize <= 2 and dtype != np.bool_:
        every = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype)
    else:
        every = from_bits(rng, dtype, 5000)
    palette = from_bits(rng, dtype, 7)
    few = palette[rng.integers(0, 7, 600)].reshape(20, 30)
    thin = few.copy()
    thin[rng.random(thin.shape) < 0.9] = np.zeros((), dtype)
    check(
        {"every": every, "few": few, "thin": thin, "one": np.repeat(palette[:1], 300), "scalar": palette[0].reshape(())}
    )


@pytest.mark.parametrize("bits", F32_BITS, ids=hex)
def test_special_floats(bits: int) -> None:
    special = np.array(bits, np.uint32).view(np.float32)
    thin = np.zeros((16, 16), np.float32)
    thin[3, 4] = thin[9, 1] = special
    check({"scalar": special, "all": np.full((9, 9), special), "thin": thin, "wide": np.full(1000, special)})


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (0,),
        (1,),
        (0, 3),
        (3, 0),
        (2, 0, 4),
        (1, 1),
        (1, 1, 1, 1, 1, 1, 1),
        (1,) * _MAX_RANK,
        (3, 1, 5),
        (1000,),
        (1, 1000),
    ],
    ids=str,
)
def test_shapes(shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape, dtype=int))
    check(
        {
            "zeros": np.zeros(shape, np.float32),
            "ones": np.ones(shape, np.float32),
            "range": np.arange(count, dtype=np.int64).reshape(shape),
            "few": (np.arange(count) % 11 == 3).astype(np.float32).reshape(shape),
        }
    )


def test_no_tensors() -> None:
    check({})


def thin(rng: np.random.Generator, shape: tuple[int, ...], density: float, values: int = 15) -> np.ndarray[Any, Any]:
    palette = rng.normal(size=values).astype(np.float32)
    array = palette[np.minimum(rng.geometric(0.3, shape), values) - 1]
    array[rng.random(shape) >= density] = 0
    return array


def layers() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    conv = thin(rng, (8, 4, 3, 3), 0.3)
    fc = thin(rng, (40, 72), 0.08)
    fc[::3] = 0
    fc[:, np.repeat(rng.random(8) < 0.5, 9)] = 0
    return {"conv": conv, "fc": fc, "next": thin(rng, (10, 40), 0.1), "bias": rng.normal(size=10).astype(np.float32)}


OPTIONS: list[dict[str, Any]] = [
    *({"pbits": pbits} for pbits in range(1, 13)),
    *({"pbits": pbits, "huffman": False} for pbits in range(1, 13)),
    {"pbits_fc": 2, "pbits_conv": 9},
    {"pbits": 3, "pbits_conv": 5},
    *({"scan": scan, "compact": compact} for scan in ("rows", "columns") for compact in ("auto", "off")),
    {"huffman": False, "compact": "off", "scan": "columns"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items()))
def test_every_option(options: dict[str, Any]) -> None:
    report = check(layers(), **options)
    for tensor in report.tensors:
        if tensor.pbits is not None:
            own = options.get("pbits_conv" if len(tensor.shape) >= 3 else "pbits_fc")
            assert tensor.pbits == (own or options.get("pbits") or tensor.pbits)
            assert tensor.scan == (options.get("scan") or tensor.scan)
        if options.get("compact") == "off":
            assert tensor.sections["row_bitmaps"] == tensor.sections["column_bitmaps"] == 0
        if options.get("huffman") is False:
            assert tensor.sections["code_tables"] == 0


def test_options_only_make_the_file_longer() -> None:
    best = len(swsfmt.save(layers()))
    for options in OPTIONS:
        assert len(swsfmt.save(layers(), **options)) >= best


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize(("density", "coding"), [(1.0, "dense"), (0.15, "sparse")])
@pytest.mark.parametrize("entries", [32_767, 32_768, 70_001])
def test_large_tensors_and_chunk_tables(entries: int, density: float, coding: str, huffman: bool) -> None:
    rng = np.random.default_rng(entries)
    numel = int(entries / density)
    array = np.zeros(numel, np.float32)
    places = rng.choice(numel, entries, replace=False)
    array[places] = (0.5 * np.minimum(rng.geometric(0.4, entries), 12)).astype(np.float32)
    report = check({"a": array, "small": array[:100].copy()}, huffman=huffman, profile="fast")
    tensor = report.tensors[0]
    assert tensor.coding == coding
    expected = entries >= 32_768 and (huffman or coding == "sparse")
    assert (tensor.sections["chunk_tables"] > 1) is expected


@pytest.mark.parametrize("scan", ["rows", "columns"])
def test_line_ends_are_chosen_where_they_pay(scan: str) -> None:
    """Lines whose entries all lie at their start: with line ends every gap is 0 and takes no bit."""
    rng = np.random.default_rng(1)
    array = np.zeros((60, 900), np.float32)
    for line in array:
        line[: rng.integers(1, 16)] = 0.5
    if scan == "columns":
        array = np.ascontiguousarray(array.T)
    tensor = check({"a": array}).tensors[0]
    assert tensor.scan == scan
    assert tensor.sections["row_ends"] > 0
    assert tensor.sections["column_indices"] == 0


def test_ties_and_views() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {"a": array, "tied": array, "view": array[:], "flipped": array.T, "part": array[:, 1:]}
    report = check(arrays)
    assert [tensor.alias_of for tensor in report.tensors] == [None, "a", "a", None, None]
    loaded = swsfmt.load(swsfmt.save(arrays))
    assert loaded["tied"] is loaded["a"]
    loaded["a"][0, 0] = 99
    assert loaded["view"][0, 0] == 99
    assert loaded["part"][0, 0] == 1


class Lazy(Mapping[str, np.ndarray[Any, Any]]):
    """Makes its arrays when it is asked for them, as `np.load` of an .npz file does; nobody else keeps them."""

    def __init__(self, count: int, size: int) -> None:
        self.names = [str(i) for i in range(count)]
        self.size = size

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return np.full((2, self.size), int(name), np.float32)[:, ::2]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@pytest.mark.parametrize("size", [10, 1000, 100_000])
def test_temporary_arrays_at_the_same_address_are_not_ties(size: int) -> None:
    loaded = swsfmt.load(swsfmt.save(Lazy(20, size)))
    assert [int(array.max()) for array in loaded.values()] == list(range(20))


def test_many_tensors_that_share_codebooks() -> None:
    """Groups of values that overlap more or less; the second and third group grow after others were founded."""
    rng = np.random.default_rng(5)
    palettes = [np.arange(1, 200), np.arange(300, 310), np.arange(305, 320), np.arange(1000, 1400), np.arange(250, 312)]
    arrays = {}
    for i in range(15):
        palette = palettes[i % 5]
        arrays[f"{i}"] = palette[rng.integers(0, len(palette), 3000)].astype(np.int32)
    check(arrays)


@pytest.mark.parametrize("value", [1e300, 1e39, 3.5e38, 1e-300, np.inf])
def test_no_warnings(value: float) -> None:
    """A look whether a value fits into a narrower type is no reason for a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check({"a": np.array([value, 2.0, 0.1] * 100), "b": np.array([value])})
