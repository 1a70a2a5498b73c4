"""What is saved comes back bit for bit, in order, whatever the dtype, the shape, the values and the options."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swsfmt
from swsfmt.codings import dense
from swsfmt.codings.base import Scan
from swsfmt.codings.chunks import Chunks
from swsfmt.codings.sparse import SPARSE
from swsfmt.codings.sparse.compact_matrix import CompactMatrix
from swsfmt.codings.sparse.encode import encode as encode_sparse
from swsfmt.codings.sparse.entries import read_entries
from swsfmt.codings.sparse.params import Coded, Params
from swsfmt.codings.streams import Stream, StreamKind
from swsfmt.dtypes import BY_NAME
from swsfmt.entropy import kernels
from swsfmt.entropy.bitmap import Form, Kind
from swsfmt.entropy.huffman import code_lengths
from swsfmt.entropy.prefix_code import PrefixCode
from swsfmt.format.codebook import Codebook
from swsfmt.format.index import build
from swsfmt.format.records import MAX_INLINE, Draft
from swsfmt.numpy import _MAX_RANK
from swsfmt.read.reader import Reader
from swsfmt.tensor import TensorInfo

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


# ---- every form ------------------------------------------------------------------------------------------------------

VALUES = np.array([-0.5, -0.25, 0.25, 0.5, 1.0], np.float32)
BOOK = Codebook.of(BY_NAME["F32"], np.sort(VALUES.view("<u4")))
F32 = BY_NAME["F32"]
PBITS = 2
# Bitmaps 0 and 1 of the file, stretched by 2 and by 3 to the lines of the tensor that is tried.
EARLY_ROWS = np.array([1, 0, 1, 1, 0, 1], bool)
EARLY_COLUMNS = np.array([0, 1, 1, 0, 1], bool)
ROWS, COLUMNS = 12, 15


def full_code(alphabet: int) -> PrefixCode:
    """A Huffman code that has every symbol."""
    return PrefixCode.canonical(code_lengths(np.arange(1, alphabet + 1, dtype=np.int64)))


GAP_TABLE, VALUE_TABLE = full_code(1 << PBITS), full_code(BOOK.count)


def coded_draft(name: str, symbols: np.ndarray[Any, Any], coded: Coded) -> Draft:
    """A sparse draft of these symbols in the form `coded`, whose streams are made here."""
    ((found, ids),) = read_entries(symbols, coded.matrix, coded.scan, coded.line_ends)
    gaps = kernels.gap_symbols(found, coded.pbits)
    made = []
    for (kind, early), used, number in zip(
        ((coded.gaps.kind, GAP_TABLE), (coded.values.kind, VALUE_TABLE)), (gaps, ids), (0, 1), strict=True
    ):
        counts = np.bincount(used, minlength=early.alphabet)
        code = [PrefixCode.fixed(early.alphabet), PrefixCode.optimal(counts), early][kind]
        made.append(Stream(StreamKind(kind), code, number))
    if name == "early":
        made = [Stream(StreamKind.NEW_TABLE, GAP_TABLE), Stream(StreamKind.NEW_TABLE, VALUE_TABLE)]
    coded = replace(coded, gaps=made[0], values=made[1])
    params, payload = encode_sparse(Params(len(ids), coded), symbols)
    return Draft(name, SPARSE, TensorInfo(F32, symbols.shape), params, payload)


def form_of(kind: int, number: int) -> Form:
    return Form(Kind(kind), {Kind.STRIDE_RUNS: 3}.get(Kind(kind), number if kind >= Kind.COPY else 0))


def blank(kind: int) -> Stream:
    return Stream(StreamKind(kind), GAP_TABLE)


def build_file(drafts: list[Draft]) -> bytes:
    prefix = build({}, [BOOK], drafts)
    return prefix + b"".join(d.payload for d in drafts if len(d.payload) > MAX_INLINE)


def tried_symbols(row_kind: int, column_kind: int) -> tuple[np.ndarray[Any, Any], Any, Any]:
    """Symbols with exactly the live rows and columns that these bitmap kinds can tell."""
    rng = np.random.default_rng(10 * row_kind + column_kind)
    live_rows, live_columns = np.repeat(EARLY_ROWS, 2), np.repeat(EARLY_COLUMNS, 3)
    if row_kind != Kind.COPY:
        live_rows[[1, 4]] = False
    if column_kind != Kind.COPY:
        live_columns[[3, 7, 12]] = False
    symbols = rng.integers(0, BOOK.count + 1, (ROWS, COLUMNS)).astype(np.uint16)
    symbols[rng.random(symbols.shape) < 0.5] = 0
    symbols[~live_rows] = 0
    symbols[:, ~live_columns] = 0
    symbols[live_rows, np.flatnonzero(live_columns)[0]] = 2
    symbols[np.flatnonzero(live_rows)[0], live_columns] = 3
    return symbols, live_rows if row_kind else None, live_columns if column_kind else None


def early_draft() -> Draft:
    symbols = np.outer(EARLY_ROWS, EARLY_COLUMNS).astype(np.uint16)
    raw = Form(Kind.RAW)
    matrix = CompactMatrix(*symbols.shape, EARLY_ROWS, EARLY_COLUMNS)
    return coded_draft("early", symbols, Coded(0, BOOK, Scan.ROWS, PBITS, blank(1), blank(1), raw, raw, matrix))


@pytest.mark.slow
@pytest.mark.parametrize("line_width", [0, 4, 32])
@pytest.mark.parametrize("scan", list(Scan))
@pytest.mark.parametrize("row_kind", list(Kind), ids=lambda k: f"rows_{k.name.lower()}")
def test_every_sparse_form(scan: Scan, line_width: int, row_kind: Kind) -> None:
    early = early_draft()
    for column_kind, gap_kind, value_kind in itertools.product(Kind, StreamKind, StreamKind):
        symbols, live_rows, live_columns = tried_symbols(row_kind, column_kind)
        matrix = CompactMatrix(ROWS, COLUMNS, live_rows, live_columns)
        forms = form_of(row_kind, 0), form_of(column_kind, 1)
        coded = Coded(0, BOOK, scan, PBITS, blank(gap_kind), blank(value_kind), *forms, matrix, line_width)
        data = build_file([early, coded_draft("a", symbols, coded)])
        swsfmt.verify(data)
        np.testing.assert_array_equal(swsfmt.load(data)["a"].view("<u4"), BOOK.symbols[symbols])
        with Reader.open(data) as reader:
            found = reader.record("a").params.coded
        assert (found.scan, found.pbits, found.line_width) == (scan, PBITS, line_width)
        assert (found.row_form, found.column_form) == forms
        assert (found.gaps.kind, found.values.kind) == (gap_kind, value_kind)


@pytest.mark.usefixtures("each_kernel")
@pytest.mark.parametrize("pbits", [1, 2, 7])
def test_every_chunked_sparse_form(pbits: int) -> None:
    """Chunks of 1024 to 4096 entries, with skips between them."""
    rng = np.random.default_rng(pbits)
    symbols = rng.integers(1, BOOK.count + 1, (200, 160)).astype(np.uint16)
    symbols[rng.random(symbols.shape) < 0.7] = 0
    symbols[30:50] = 0
    matrix = CompactMatrix(*symbols.shape, None, None)
    live = Form(Kind.ALL_LIVE)
    assert np.count_nonzero(symbols) > 4096
    kinds = StreamKind.FIXED, StreamKind.NEW_TABLE
    for chunk, gap_kind, value_kind, scan in itertools.product((1, 2, 3), kinds, kinds, Scan):
        ((found, ids),) = read_entries(symbols, matrix, scan, False)
        gaps = kernels.gap_symbols(found, pbits)
        streams = []
        for kind, used, alphabet in ((gap_kind, gaps, 1 << pbits), (value_kind, ids, BOOK.count)):
            counts = np.bincount(used, minlength=alphabet)
            code = PrefixCode.fixed(alphabet) if kind == StreamKind.FIXED else PrefixCode.optimal(counts)
            streams.append(Stream(StreamKind(kind), code))
        coded = Coded(0, BOOK, scan, pbits, *streams, live, live, matrix, 0, Chunks(chunk))
        params, payload = encode_sparse(Params(len(ids), coded), symbols)
        data = build_file([Draft("a", SPARSE, TensorInfo(F32, symbols.shape), params, payload)])
        swsfmt.verify(data)
        np.testing.assert_array_equal(swsfmt.load(data)["a"].view("<u4"), BOOK.symbols[symbols])


@pytest.mark.usefixtures("each_kernel")
@pytest.mark.parametrize(
    ("kind", "chunk"), [(kind, chunk) for kind in StreamKind for chunk in (0, 1, 2) if kind or not chunk]
)
def test_every_dense_form(kind: StreamKind, chunk: int) -> None:
    rng = np.random.default_rng(0)
    code = full_code(BOOK.count + 1)
    if kind == StreamKind.FIXED:
        code = PrefixCode.fixed(BOOK.count + 1)
    symbols = rng.integers(0, BOOK.count + 1, 5000).astype(np.uint16)
    drafts = []
    for name, used in (("early", StreamKind.NEW_TABLE), ("a", kind)):
        own = code if name == "a" else full_code(BOOK.count + 1)
        params, payload = dense.encode(dense.Params(0, BOOK, Stream(used, own, 0), Chunks(chunk)), symbols)
        drafts.append(Draft(name, dense.DENSE, TensorInfo(F32, (50, 100)), params, payload))
    data = build_file(drafts)
    swsfmt.verify(data)
    for array in swsfmt.load(data).values():
        np.testing.assert_array_equal(array.view("<u4").reshape(-1), BOOK.symbols[symbols])


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


@pytest.mark.usefixtures("each_kernel")
@pytest.mark.parametrize("dtype", ["F16", "F32", "F64"])
@pytest.mark.parametrize("symbol", [0, 5000, 8191, 8192, 29_999])
@pytest.mark.parametrize("threads", [1, 3])
def test_fixed_width_pattern_without_a_symbol(dtype: str, symbol: int, threads: int) -> None:
    """18 symbols of 5 bits leave 14 patterns, wherever they are met; without them the same payload is fine."""
    info = TensorInfo(BY_NAME[dtype], (30_000,))
    book = Codebook.of(info.dtype, np.arange(1, 18).astype(f"f{info.dtype.itemsize}").view(info.dtype.bits))
    params = dense.Params(0, book, Stream(StreamKind.FIXED, PrefixCode.fixed(18)))
    symbols = np.random.default_rng(symbol).integers(0, 18, info.numel).astype(np.uint16)
    params, payload = dense.encode(params, symbols)

    def file(payload: bytes) -> bytes:
        return build({}, [book], [Draft("a", dense.DENSE, info, params, payload)]) + payload

    found = swsfmt.load(file(payload), threads=threads)["a"]
    np.testing.assert_array_equal(found.view(info.dtype.bits), book.symbols[symbols])
    bits = int.from_bytes(payload, "little") | 0b11111 << 5 * symbol
    damaged = bits.to_bytes(len(payload), "little")
    with pytest.raises(swsfmt.PayloadError, match="symbol 31 is outside of the alphabet of 18"):
        swsfmt.load(file(damaged), threads=threads)
    with swsfmt.safe_open(file(damaged)) as f, pytest.raises(swsfmt.PayloadError):
        f.get_slice("a")[symbol]
    with swsfmt.safe_open(file(payload)) as f:
        assert np.array_equal(f.get_slice("a")[symbol : symbol + 9], found[symbol : symbol + 9])
