"""Every form that a coding may have, those that the writer does not choose too: files made of their parts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

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
from swsfmt.read.reader import Reader
from swsfmt.tensor import TensorInfo

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
