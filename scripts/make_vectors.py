"""Write the valid vectors of the specification: `python scripts/make_vectors.py [FOLDER]`.

Each vector forces one form of the format, also those that the encoder would not choose, so that a reader that agrees on
all of them has met every branch of the specification. The files and the manifest are committed; a change of theirs is a
change of the format. Tests check that they are what this script makes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from swsfmt import dtypes
from swsfmt.codings import dense, escape, lookup, narrow, planes
from swsfmt.codings.adaptive import ADAPTIVE
from swsfmt.codings.adaptive import params as adaptive
from swsfmt.codings.adaptive.chunks import encode as encode_adaptive
from swsfmt.codings.alias import ALIAS
from swsfmt.codings.base import Coding, Scan
from swsfmt.codings.chunks import Chunks
from swsfmt.codings.classes import CLASSES
from swsfmt.codings.classes import params as classes
from swsfmt.codings.classes.payload import encode as encode_classes
from swsfmt.codings.escape import ESCAPE
from swsfmt.codings.matrix import matrix_shape
from swsfmt.codings.planes import PLANES
from swsfmt.codings.raw import RAW
from swsfmt.codings.scaled import SCALED
from swsfmt.codings.scaled import params as scaled
from swsfmt.codings.scaled.params import Form as ScaledForm
from swsfmt.codings.scaled.params import Shift
from swsfmt.codings.sparse import SPARSE
from swsfmt.codings.sparse import params as sparse
from swsfmt.codings.sparse.compact_matrix import CompactMatrix
from swsfmt.codings.sparse.encode import encode as encode_sparse
from swsfmt.codings.sparse.entries import read_entries
from swsfmt.codings.streams import Stream, StreamKind
from swsfmt.dtypes import DType
from swsfmt.entropy import kernels
from swsfmt.entropy.bitmap import Form, Kind
from swsfmt.entropy.frequencies import levels_of
from swsfmt.entropy.prefix_code import PrefixCode
from swsfmt.entropy.rans import Classes
from swsfmt.entropy.rans import counts as count_symbols
from swsfmt.format.codebook import Codebook
from swsfmt.format.cursor import varint
from swsfmt.format.index import SIGNATURE, build
from swsfmt.format.records import MAX_INLINE, Draft
from swsfmt.numpy import from_array
from swsfmt.read.reader import Reader
from swsfmt.tensor import TensorInfo

HERE = Path(__file__).resolve().parent.parent / "spec" / "vectors"
ALL_LIVE = Form(Kind.ALL_LIVE)


@dataclass
class Builder:
    """Collects drafts; gives codebooks, tables and bitmaps their numbers."""

    metadata: dict[str, str] = field(default_factory=dict)
    codebooks: list[Codebook] = field(default_factory=list)
    tables: list[PrefixCode] = field(default_factory=list)
    drafts: list[Draft[Coding[Any]]] = field(default_factory=list)

    def codebook(self, values: Sequence[float], dtype: str = "F32", storage: str | None = None) -> int:
        bits = from_array(np.array(sorted(values), _NUMPY[dtype])).bits
        bits = np.sort(bits[bits > 0])
        book = Codebook.of(dtypes.BY_NAME[dtype], bits)
        if storage == dtype:
            book = Codebook(book.dtype, bits, book.dtype, bits)
        self.codebooks.append(book)
        return len(self.codebooks) - 1

    def raw(self, name: str, array: np.ndarray[Any, Any]) -> None:
        elements = from_array(array)
        self.drafts.append(Draft(name, RAW, elements.info, None, elements.bits.tobytes()))

    def raw_bytes(self, name: str, dtype: DType, shape: tuple[int, ...], data: bytes) -> None:
        self.drafts.append(Draft(name, RAW, TensorInfo(dtype, shape), None, data))

    def narrow(self, name: str, array: np.ndarray[Any, Any], storage: str) -> None:
        elements = from_array(array)
        kind = dtypes.BY_NAME[storage]
        stored = b"".join(block.tobytes() for block in dtypes.narrowed(elements.bits, elements.info.dtype, kind))
        self.drafts.append(Draft(name, narrow.NARROW, elements.info, narrow.Params(kind), stored))

    def alias(self, name: str, target: int) -> None:
        self.drafts.append(Draft(name, ALIAS, None, None, target=target))

    def _stream(self, kind: StreamKind, counts: np.ndarray[Any, Any]) -> Stream:
        if kind == StreamKind.FIXED:
            return Stream(kind, PrefixCode.fixed(len(counts)))
        if kind == StreamKind.NEW_TABLE:
            code = PrefixCode.optimal(counts)
            self.tables.append(code)
            return Stream(kind, code)
        number = next(i for i, t in enumerate(self.tables) if t.alphabet == len(counts) and t.covers(counts))
        return Stream(kind, self.tables[number], number)

    def dense(
        self, name: str, array: np.ndarray[Any, Any], book: int, kind: int = StreamKind.NEW_TABLE, chunk: int = 0
    ) -> None:
        elements = from_array(array)
        codebook = self.codebooks[book]
        symbols, _ = codebook.symbols_of(elements.bits)
        stream = self._stream(StreamKind(kind), np.bincount(symbols, minlength=codebook.count + 1))
        params, payload = dense.encode(dense.Params(book, codebook, stream, Chunks(chunk)), symbols)
        self.drafts.append(Draft(name, dense.DENSE, elements.info, params, payload))

    def sparse(
        self,
        name: str,
        array: np.ndarray[Any, Any],
        book: int = 0,
        *,
        scan: Scan = Scan.ROWS,
        pbits: int = 3,
        gaps: int = StreamKind.NEW_TABLE,
        values: int = StreamKind.NEW_TABLE,
        rows: Form = ALL_LIVE,
        columns: Form = ALL_LIVE,
        line_width: int = 0,
        chunk: int = 0,
    ) -> None:
        elements = from_array(array)
        symbols = self.codebooks[book].symbols_of(elements.bits)[0].reshape(matrix_shape(array.shape))
        row, column = np.nonzero(symbols)
        if len(row) == 0:
            self.drafts.append(Draft(name, SPARSE, elements.info, sparse.Params(0)))
            return
        live_rows = np.isin(np.arange(symbols.shape[0]), row) if rows.kind else None
        live_columns = np.isin(np.arange(symbols.shape[1]), column) if columns.kind else None
        matrix = CompactMatrix(*symbols.shape, live_rows, live_columns)
        ((entry_gaps, ids),) = read_entries(symbols, matrix, scan, line_width > 0)
        stream = kernels.gap_symbols(entry_gaps, pbits)
        coded = sparse.Coded(
            book,
            self.codebooks[book],
            scan,
            pbits,
            self._stream(StreamKind(gaps), np.bincount(stream, minlength=1 << pbits)),
            self._stream(StreamKind(values), np.bincount(ids, minlength=self.codebooks[book].count)),
            rows,
            columns,
            matrix,
            line_width,
            Chunks(chunk),
        )
        params, payload = encode_sparse(sparse.Params(len(row), coded), symbols)
        self.drafts.append(Draft(name, SPARSE, elements.info, params, payload))

    def adaptive(
        self,
        name: str,
        array: np.ndarray[Any, Any],
        book: int = 0,
        classes: tuple[Any, Any] | None = None,
        **form: Any,
    ) -> None:
        """classes : of the rows and of the columns, as contexts; every class up to the last one has a row or column"""
        elements = from_array(array)
        symbols = self.codebooks[book].symbols_of(elements.bits)[0].reshape(matrix_shape(array.shape))
        params = adaptive.Params(book, self.codebooks[book], zeros=bool((symbols == 0).any()), **form)
        if classes is not None:
            numbers = [int(labels.max()) + 1 for labels in classes]
            params = params.with_classes(Classes(*classes, *numbers))
        payload = encode_adaptive(params, symbols)
        self.drafts.append(Draft(name, ADAPTIVE, elements.info, params, payload))

    def classes(
        self,
        name: str,
        array: np.ndarray[Any, Any],
        book: int = 0,
        *,
        rows: Sequence[int] = (0,),
        columns: Sequence[int] = (0,),
        lanes: int = 1,
        bits: int = 12,
        chunk_rows: int = 0,
        levels: Any = None,
    ) -> None:
        """rows, columns : classes, repeated to the end. levels : those of the counts where None is given."""
        elements, codebook = from_array(array), self.codebooks[book]
        shape = matrix_shape(array.shape)
        symbols = codebook.symbols_of(elements.bits)[0].reshape(shape)
        labels = [np.resize(np.array(own, np.uint8), count) for own, count in zip((rows, columns), shape, strict=True)]
        model = Classes(*labels, max(rows) + 1, max(columns) + 1)
        if levels is None:
            levels = levels_of(count_symbols(symbols, model, codebook.count + 1))
        numbers = model.row_classes, model.column_classes
        own = np.asarray(levels, np.uint8).reshape(*numbers, -1)
        params = classes.Params(book, codebook, lanes, *numbers, bits, chunk_rows, classes.Model(model, own))
        self.drafts.append(Draft(name, CLASSES, elements.info, params, encode_classes(params, symbols)))

    def file(self) -> bytes:
        prefix = build(self.metadata, self.codebooks, self.drafts)
        leaves = (leaf for draft in self.drafts for leaf in draft.leaves())
        return b"".join([prefix, *(leaf.payload for leaf in leaves if len(leaf.payload) > MAX_INLINE)])


_NUMPY = {"BOOL": np.bool_, "U8": np.uint8, "F32": "f4", "I8": "i1", "I16": "i2", "I64": "i8"}


def _pattern(shape: tuple[int, ...], density: float, values: Sequence[float], seed: int) -> np.ndarray[Any, Any]:
    """A sparse float32 tensor from a fixed integer generator that no library version changes."""
    count = int(np.prod(shape))
    state, out = seed, np.zeros(count, np.float32)
    for i in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        if state / 2**31 < density:
            state = (state * 1103515245 + 12345) % 2**31
            out[i] = values[min(state * len(values) >> 31, (state * 3 * len(values) >> 31) % len(values))]
    return out.reshape(shape)


VALUES = (-0.5, -0.25, 0.25, 0.5, 1.0)


def empty(b: Builder) -> None:
    """No tensors, no metadata: the shortest file."""


def metadata(b: Builder) -> None:
    """Metadata in byte order, text outside of ASCII."""
    b.metadata = {"license": "CC0-1.0", "größe": "klein ✓", "": "empty key"}


def worked_example(b: Builder) -> None:
    """The example of section 11 of the specification."""
    book = b.codebook([-0.5, 0.25, 1.0])
    weight = np.array([[0, 0.25, 0, 0, 0.25], [0, 0, 0, 0, 0], [-0.5, 0, 0, 0.25, 0]], np.float32)
    b.sparse("fc.weight", weight, book, pbits=2, rows=Form(Kind.RAW))
    b.raw("fc.bias", np.array([0.1, -0.2, 0.3], np.float32))


def raw_dtypes(b: Builder) -> None:
    """Every dtype, raw."""
    for dtype in dtypes.BY_ID.values():
        data = bytes(range(1, 2 * dtype.itemsize + 1)) if dtype.name != "BOOL" else b"\x01\x00"
        b.raw_bytes(dtype.name.lower(), dtype, (2,), data)


def shapes(b: Builder) -> None:
    """0-dimensional, empty, rank 6, 7 and 8."""
    b.raw("scalar", np.float32(1.5).reshape(()))
    b.raw("empty", np.zeros((3, 0, 2), np.float32))
    b.raw("rank6", np.arange(2, dtype=np.float32).reshape(1, 1, 1, 1, 1, 2))
    b.raw("rank7", np.arange(2, dtype=np.float32).reshape(1, 1, 1, 1, 1, 1, 2))
    b.raw("rank8", np.arange(4, dtype=np.int8).reshape(1, 1, 2, 1, 1, 1, 2, 1))
    b.sparse("zero scalar", np.float32(0).reshape(()), b.codebook([1.0]))


def narrow_storage(b: Builder) -> None:
    """Floats and integers in narrower types."""
    b.narrow("f32 f16", np.array([0.5, -0.0, np.inf, 6e-8], np.float32).astype(np.float16).astype(np.float32), "F16")
    b.narrow("f32 bf16", np.array([2.0**100, -np.inf, 2.0**-133], np.float32), "BF16")
    b.narrow("f64 f32", np.array([np.float32(0.1), -np.float32(3e38)], np.float64), "F32")
    b.narrow("f64 f16", np.array([0.5, 65504.0], np.float64), "F16")
    b.narrow("f64 bf16", np.array([2.0**100, -1.0], np.float64), "BF16")
    b.narrow("i64 u8", np.array([0, 255], np.int64), "U8")
    b.narrow("i64 i8", np.array([-128, 127], np.int64), "I8")
    b.narrow("u32 u16", np.array([65535, 0], np.uint32), "U16")


def aliases(b: Builder) -> None:
    """Two tied tensors; the dtype of the record before an alias is the one before it."""
    b.raw("embed", np.arange(4, dtype=np.int16))
    b.alias("head", 0)
    b.raw("next", np.array([7], np.int16))
    b.alias("third", 0)


def names(b: Builder) -> None:
    """Shared prefixes, copied suffixes, an empty name, a prefix that ends within a character."""
    for name in ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "", "ä", "ö", "conv3.bias"):
        b.raw(name, np.array([len(name)], np.uint8))


def inline_boundary(b: Builder) -> None:
    """Payloads of 0, 255 and 256 bytes: the last one lies behind the index."""
    for size in (0, 255, 256):
        b.raw(f"u{size}", (np.arange(size) % 256).astype(np.uint8))


def codebooks(b: Builder) -> None:
    """Full-width and narrowed codebooks, negative zero and a NaN as values, two dtypes."""
    plain = b.codebook([0.1, -0.1, -0.0])
    full = b.codebook([0.5, np.nan, -0.5], storage="F32")
    integers = b.codebook([-3, 300], "I16")
    b.dense("plain", np.array([0.1, 0, -0.0, -0.1] * 3, np.float32), plain, StreamKind.FIXED)
    b.dense("nan", np.array([0.5, np.nan, 0, -0.5], np.float32), full, StreamKind.FIXED)
    b.dense("integers", np.array([[-3, 300], [0, 300]], np.int16), integers)


def dense_forms(b: Builder) -> None:
    """Fixed, Huffman, an earlier table, one symbol; zero as the one symbol and another."""
    book = b.codebook(VALUES)
    mixed = _pattern((6, 7), 0.6, VALUES, 1)
    b.dense("fixed", mixed, book, StreamKind.FIXED)
    b.dense("huffman", mixed, book)
    b.dense("again", mixed[::-1].copy(), book, StreamKind.EARLIER_TABLE)
    b.dense("zeros", np.zeros(1000, np.float32), book)
    b.dense("ones", np.ones((2, 3), np.float32), book)
    single = b.codebook([3.0])
    b.dense("bits", np.array([3, 0, 0, 3, 3], np.float32), single, StreamKind.FIXED)


def dense_chunks(b: Builder) -> None:
    """Restart points in a dense stream, also from an earlier table."""
    book = b.codebook(VALUES)
    b.dense("a", _pattern((50, 50), 0.7, VALUES, 2), book, chunk=1)
    b.dense("b", _pattern((1025,), 0.7, VALUES, 3), book, StreamKind.EARLIER_TABLE, chunk=1)


def sparse_forms(b: Builder) -> None:
    """Every scan, with and without line ends, fixed and Huffman, new and earlier tables, skips, pbits from 1 to 12."""
    book = b.codebook(VALUES)
    matrix = _pattern((9, 31), 0.12, VALUES, 4)
    for scan in Scan:
        for ends in (0, 4):
            for kind in (StreamKind.FIXED, StreamKind.NEW_TABLE):
                name = f"{scan.name.lower()} {'ends' if ends else 'flat'} {kind.name.lower()}"
                b.sparse(name, matrix, book, scan=scan, line_width=ends, gaps=kind, values=kind)
    b.sparse("earlier", matrix, book, gaps=StreamKind.EARLIER_TABLE, values=StreamKind.EARLIER_TABLE)
    for pbits in (1, 2, 5, 8, 12):
        b.sparse(f"pbits {pbits}", matrix, book, pbits=pbits, gaps=StreamKind.FIXED)
    b.sparse("no entries", np.zeros((4, 5), np.float32), book)
    b.sparse("vector", np.array([0, 0, 1, 0, 0.5], np.float32), book, gaps=StreamKind.FIXED)
    b.sparse("scalar", np.float32(1).reshape(()), book, gaps=StreamKind.FIXED, values=StreamKind.FIXED)
    b.sparse("tensor", _pattern((3, 2, 2, 5), 0.2, VALUES, 5), book)


def sparse_one_symbol(b: Builder) -> None:
    """Codes without bits: one gap and one value; a codebook of one value, fixed."""
    book = b.codebook([2.0])
    every = np.zeros(40, np.float32)
    every[3::4] = 2
    b.sparse("one symbol", every, book)
    b.sparse("fixed", every, book, gaps=StreamKind.FIXED, values=StreamKind.FIXED)


def bitmaps(b: Builder) -> None:
    """Every kind of bitmap, stretched references, one that refers to the row bitmap of its own record."""
    book = b.codebook(VALUES)
    base = np.zeros((8, 12), np.float32)
    base[np.ix_([0, 1, 5], [0, 1, 2, 6, 7, 8])] = _pattern((3, 6), 0.9, VALUES, 6)
    base[[0, 1, 5], [0, 1, 2]] = 1
    base[0, [0, 1, 2, 6, 7, 8]] = 0.5
    b.sparse("raw, runs", base, book, rows=Form(Kind.RAW), columns=Form(Kind.RUNS))
    b.sparse("stride", base, book, rows=Form(Kind.RUNS), columns=Form(Kind.STRIDE_RUNS, 3))
    wide = np.zeros((2, 16), np.float32)
    wide[:, [0, 1, 2, 3, 10, 11]] = 0.25
    b.sparse("copy, stretched by two", wide, book, columns=Form(Kind.COPY, 0))
    wide[:, [1, 10]] = 0
    b.sparse("masked raw", wide, book, columns=Form(Kind.MASKED_RAW, 0))
    b.sparse("masked runs", wide, book, columns=Form(Kind.MASKED_RUNS, 0))
    square = np.diag(np.array([0.5, 0, 0.25, 0], np.float32))
    b.sparse("own rows", square, book, rows=Form(Kind.RAW), columns=Form(Kind.COPY, 7))
    b.sparse("copied rows", base.T[:, :8].copy(), book, rows=Form(Kind.COPY, 1), scan=Scan.COLUMNS)


def sparse_chunks(b: Builder) -> None:
    """Restart points in sparse streams: Huffman and fixed values, rows and columns, compacted."""
    book = b.codebook(VALUES)
    matrix = _pattern((90, 200), 0.3, VALUES, 7)
    matrix[::7] = 0
    b.sparse("rows", matrix, book, rows=Form(Kind.RAW), chunk=1)
    b.sparse("columns", matrix, book, scan=Scan.COLUMNS, values=StreamKind.FIXED, chunk=2)
    b.sparse("whole", matrix, book, gaps=StreamKind.FIXED, chunk=0)


def adaptive_forms(b: Builder) -> None:
    """Every form of the adaptive coding: scans, strides, both sets of contexts, no zeros, chunks, one or no value."""
    book = b.codebook(VALUES)
    matrix = _pattern((30, 40), 0.3, VALUES, 8)
    matrix[[3, 4, 20]] = 0
    matrix[:, [0, 1, 9, 10, 19, 20, 39]] = 0
    for scan in Scan:
        for light in (False, True):
            name = f"{scan.name.lower()} {'light' if light else 'full'}"
            b.adaptive(name, matrix, book, scan=scan, light=light)
            b.adaptive(f"{name}, stride", matrix, book, scan=scan, light=light, stride=10)
    b.adaptive("chunks", matrix, book, chunk_lines=7, stride=5)
    b.adaptive("chunks of columns", matrix, book, scan=Scan.COLUMNS, chunk_lines=1)
    b.adaptive("no zeros", _pattern((11, 13), 2, VALUES, 9), book)
    b.adaptive("zeros alone", np.zeros((40, 50), np.float32), book)
    b.adaptive("vector", np.array([0, 0, 1, 0, 0.5], np.float32), book, scan=Scan.COLUMNS)
    b.adaptive("scalar", np.float32(1).reshape(()), book)
    b.adaptive("tensor", _pattern((6, 5, 3, 3), 0.4, VALUES, 10), book, stride=9)
    b.adaptive("integers", np.array([[-3, 300, 0], [0, 300, -1]], np.int16), b.codebook([-3, -1, 300], "I16"))
    many = [float(n) for n in range(-40, 90) if n]
    b.adaptive("many values", _pattern((25, 30), 0.5, many, 11), b.codebook(many))
    b.adaptive("one sign", _pattern((9, 9), 0.5, (-1.0, -2.0, -3.0), 12), b.codebook([-1.0, -2.0, -3.0]))


def _leaf(coding: Coding[Any], dtype: str, shape: tuple[int, ...], params: Any, payload: bytes) -> Draft[Coding[Any]]:
    return Draft("", coding, TensorInfo(dtypes.BY_NAME[dtype], shape), params, payload)


def _planes(array: np.ndarray[Any, Any], widths: planes.Widths) -> planes.Params:
    """All planes as they are."""
    elements, params = from_array(array), planes.Params(widths)
    parts = []
    for number, info in enumerate(PLANES.part_infos(params, elements.info)):
        parts.append(Draft("", RAW, info, None, PLANES.part(params, elements, number).bits.tobytes()))
    return planes.Params(widths, parts)


def planes_forms(b: Builder) -> None:
    """Fields of every element size, rotated and not; planes raw, inline and behind the index, dense and sparse."""
    book = b.codebook(range(256), "U8")
    for dtype in ("float16", "float32", "float64", "uint16", "int32", "int64"):
        array = (np.arange(1, 61) * 2654435761 % 977 - 488).astype(dtype).reshape(3, 20)
        if dtype.startswith("float"):
            array = np.ldexp(array, -7).astype(dtype)
            array[0, :3] = [-0.0, np.inf, 0]
        parts = list(_planes(array, (8,) * array.itemsize).parts)
        codebook = b.codebooks[book]
        stream = Stream(StreamKind.FIXED, PrefixCode.fixed(codebook.count + 1))
        symbols, counts = codebook.symbols_of(np.frombuffer(parts[0].payload, np.uint8))
        params, payload = dense.encode(dense.Params(book, codebook, stream), symbols)
        parts[0] = _leaf(dense.DENSE, "U8", (3, 20), params, payload)
        stream = Stream(StreamKind.NEW_TABLE, PrefixCode.optimal(counts))
        params, payload = dense.encode(dense.Params(book, codebook, stream), symbols)
        if array.itemsize > 2:
            parts[0] = _leaf(dense.DENSE, "U8", (3, 20), params, payload)
        b.drafts.append(Draft(dtype, PLANES, from_array(array).info, planes.Params((8,) * array.itemsize, parts)))
    array = np.arange(300, dtype=np.uint16) * 219
    b.drafts.append(Draft("behind", PLANES, from_array(array).info, _planes(array, (8, 8))))
    for dtype, *widths in (
        ("float16", 9, 7),
        ("float32", 1, 16, 15),
        ("float64", 11, 5, *[8] * 6),
        ("uint16", 15, 1),
        ("int32", *[4] * 8),
        ("uint64", *[1] * 64),
        ("uint8", 4, 4),
        ("int8", 1, 5, 2),
    ):
        array = (np.arange(1, 21) * 2654435761 * 40503 % 65521 - 32760).astype(np.int64).astype(dtype).reshape(2, 10)
        name = f"{dtype} of fields of {widths[0]} and {widths[1]} bits"
        b.drafts.append(Draft(name, PLANES, from_array(array).info, _planes(array, tuple(widths))))
    b.raw("after", np.arange(300, dtype=np.uint8))


def _noise(count: int, seed: int) -> np.ndarray[Any, Any]:
    """Bytes as good as random ones."""
    state, out = seed * 2 + 1, bytearray()
    while len(out) < count:
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        out += (state >> 32).to_bytes(4, "little")
    return np.frombuffer(bytes(out[:count]), np.uint8)


def _scaled(dtype: str, shape: tuple[int, ...], form: ScaledForm, parts: Sequence[Any], blocks: Any = ()) -> Any:
    """A draft of a scaled tensor. parts : of levels and factors, drafts or (dtype, seed) for random bytes."""
    shapes = [shape, *(scaled.factor_shape(shape, own) for own in blocks)]
    drafts = []
    for part, own in zip(parts, shapes, strict=True):
        if isinstance(part, Draft):
            drafts.append(part)
            continue
        data = _noise(int(np.prod(own)) * dtypes.BY_NAME[part[0]].itemsize, part[1]).tobytes()
        drafts.append(_leaf(RAW, part[0], own, None, data))
    return _leaf(SCALED, dtype, shape, scaled.Params(form, blocks, drafts), b"")


def _named(name: str, draft: Any) -> Any:
    return dataclasses.replace(draft, name=name)


def scaled_forms(b: Builder) -> None:
    """Scaled tensors of every form, dtype and rank; blocks of every kind; random bits, so that all is rounded."""
    number = 0
    for dtype in ("F16", "BF16", "F32", "F64"):
        for shift in Shift:
            for scales in (1, 2):
                for each in (False, True)[: 2 if dtype.endswith("16") else 1]:
                    form = ScaledForm(scales, shift, each)
                    blocks = [(5, 1), (1, 4), (2, 7)][number % 2 :][: len(form.operations)]
                    parts = [("I8", number), *(("BF16", 99 + number), ("F32", number), ("F16", number))]
                    blocks += [(5, 7)] * (len(form.operations) - len(blocks))
                    own = _scaled(dtype, (5, 7), form, parts[: 1 + len(blocks)], blocks)
                    b.drafts.append(_named(f"{dtype}.{shift.name.lower()}.{scales}.{each}", own))
                    number += 1
    one = ScaledForm()
    b.drafts.append(_named("scalar", _scaled("F32", (), one, [("I8", 3), ("F32", 4)], [()])))
    b.drafts.append(_named("vector", _scaled("F32", (11,), one, [("I8", 3), ("F16", 4)], [(4,)])))
    b.drafts.append(_named("ones", _scaled("F32", (1, 3, 1), one, [("I8", 3), ("F16", 4)], [(1, 1, 1)])))
    b.drafts.append(_named("tiles", _scaled("BF16", (4, 3, 5), one, [("I8", 5), ("BF16", 6)], [(3, 3, 2)])))
    # Levels of a codebook, and a scale that has a scale.
    book = b.codebook([-1.0, -0.5, 0.25, 0.5, 1.0])
    levels = np.array([-1.0, -0.5, 0.25, 0.5, 1.0], np.float32)[np.arange(300) * 7 % 5].reshape(3, 100)
    symbols, counts = b.codebooks[book].symbols_of(from_array(levels).bits)
    stream = Stream(StreamKind.NEW_TABLE, PrefixCode.optimal(counts))
    params, payload = dense.encode(dense.Params(book, b.codebooks[book], stream), symbols)
    own = _leaf(dense.DENSE, "F32", (3, 100), params, payload)
    inner = _scaled("F32", (3, 7), one, [("U8", 1), ("F16", 2)], [(1, 7)])
    b.drafts.append(_named("nested", _scaled("F32", (3, 100), one, [own, inner], [(1, 16)])))
    b.raw("after", np.arange(3, dtype=np.uint8))


def scaled_numbers(b: Builder) -> None:
    """Every number of one byte and many of more as levels, factors that overflow, underflow and are no numbers."""
    for dtype in ("U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"):
        levels = _leaf(RAW, dtype, (2, 128), None, bytes(range(256)))
        for kind in ("F16", "F32"):
            own = _scaled(kind, (2, 128), ScaledForm(), [levels, (dtype, 7)], [(2, 1)])
            b.drafts.append(_named(f"{dtype}.{kind}", own))
    for dtype in ("U16", "I16", "U32", "I32", "F16", "BF16", "F32"):
        for kind in ("F16", "BF16", "F32", "F64"):
            own = _scaled(kind, (256,), ScaledForm(), [(dtype, 5), _leaf(RAW, "F32", (1,), None, _F32(1.0))], [(256,)])
            b.drafts.append(_named(f"{dtype}.{kind}", own))
    wide = _scaled("F64", (64,), ScaledForm(1, Shift.ZERO), [("F64", 1), ("F64", 2), ("F64", 3)], [(1,), (1,)])
    b.drafts.append(_named("wide", wide))
    # Ties, and what lies around them; the largest and the smallest numbers of 16 bits.
    steps = np.concatenate([np.arange(2048, 2112) * 2 + 1, np.arange(2048, 2112) * 4 + 2, [65519, 65520, 65521, 65504]])
    values = np.concatenate([steps, -steps]).astype(np.float32)
    for kind in ("F16", "BF16"):
        for scale in (1.0, 2.0**-14, 2.0**-27, 2.0**-38, 2.0**-135, 2.0**112):
            levels = _leaf(RAW, "F32", values.shape, None, values.tobytes())
            scales = _leaf(RAW, "F32", (1,), None, _F32(scale))
            own = _scaled(kind, values.shape, ScaledForm(), [levels, scales], [values.shape])
            b.drafts.append(_named(f"{kind}.{scale}", own))
    zeros = _leaf(RAW, "I8", (4,), None, bytes([0, 1, 0, 255]))
    for bits in (0x80000001, 0x80000000, 0x7F800000, 0xFFC00001, 1):
        scales = _leaf(RAW, "F32", (1,), None, bits.to_bytes(4, "little"))
        b.drafts.append(_named(f"zeros.{bits:08x}", _scaled("F32", (4,), ScaledForm(), [zeros, scales], [(4,)])))


def _F32(value: float) -> bytes:  # noqa: N802
    return np.float32(value).tobytes()


def _escape(b: Builder, name: str, shape: tuple[int, ...], dtype: str, mark: float | None = None) -> None:
    """Of the last two drafts the main part and the values."""
    parts = [b.drafts.pop() for _ in range(2)][::-1]
    info, pattern = parts[1].info, None
    assert info is not None
    if mark is not None:
        pattern = int(from_array(np.array([mark], dtype)).bits[0])
    params = escape.Params(info.numel, pattern, parts=parts)
    b.drafts.append(Draft(name, ESCAPE, TensorInfo(info.dtype, shape), params))


def escape_forms(b: Builder) -> None:
    """Values that stand apart: of masks in several codings, of main parts with a mark; in memory, behind the index."""
    book = b.codebook([1], "BOOL")
    mask = _pattern((6, 50), 0.3, (1.0,), 13) != 0
    count = int(mask.sum())
    for number, dtype in enumerate(("float32", "float16", "int64", "uint8", "float64", "int32")):
        values = (np.arange(count) * 2654435761 % 977 % 250 + 1).astype(dtype)
        if number == 0:
            b.dense("main", mask, book)
        elif number == 1:
            b.raw("main", mask)
        elif number == 2:
            b.adaptive("main", mask, book)
        else:
            b.sparse("main", mask, book, scan=Scan(number % 2), values=number % 2, pbits=number)
        b.raw("values", -values if dtype.startswith("float") else values)
        _escape(b, f"{dtype} of a mask", mask.shape, dtype)
    frequent = b.codebook([-0.0, 1.5, 2.0, 9.0])
    matrix = _pattern((4, 30), 0.8, (-0.0, 1.5, 2.0, 9.0), 14)
    for mark in (9.0, 0.0, -0.0):
        bits = np.array(mark, np.float32).view(np.uint32)
        count = int((matrix.view(np.uint32) == bits).sum())
        if mark == 9:
            b.dense("main", matrix, frequent)
        else:
            b.sparse("main", matrix, frequent)
        # The mark and what the main part has may be values.
        b.raw("values", np.resize(np.array([0, 9, -0.0, 1.5, 3, np.inf], np.float32), count))
        _escape(b, f"marks of {mark}", matrix.shape, "float32", mark)
    b.raw("main", np.ones(3, np.bool_))
    b.raw("values", np.array([-0.0, np.inf, 1], np.float32))
    _escape(b, "all", (3,), "float32")
    b.raw("main", np.array(5, np.int32))
    b.raw("values", np.array([5], np.int32))
    _escape(b, "scalar", (), "int32", 5)
    # Values that have values in turn, 4 deep; with a mark, a main part is another one that has some.
    for length in (9, 8, 7, 6):
        b.raw("main", np.where(np.arange(length) != 4, 300, length).astype(np.uint16))
    b.raw("values", np.array([1, 2, 3, 4, 300], np.uint16))
    for length in (6, 7, 8, 9):
        _escape(b, "values in values", (length,), "uint16", 300)
    b.raw("main", np.array([True, False, True]))
    b.raw("values", np.array([7, 8], np.uint16))
    _escape(b, "main", (3,), "uint16")
    b.raw("values", np.array([9], np.uint16))
    _escape(b, "main with a main part", (3,), "uint16", 8)
    many = _pattern((40, 50), 0.9, VALUES, 15)
    b.dense("main", many != 0, book, chunk=1)
    b.raw("values", np.arange(1, 1 + int((many != 0).sum()), dtype=np.float32))
    _escape(b, "behind", many.shape, "float32")
    b.raw("after", np.arange(300, dtype=np.uint8))


def lookup_forms(b: Builder) -> None:
    """Tables of 1, 2, 300 and 65,536 values; of 2, 4 and 8 bytes; indices raw, and as planes: parts of parts."""
    values = np.array([0, 0x80000000, 0xFFFFFFFF], np.uint32)
    _lookup(b, "three", values, np.arange(12, dtype=np.uint16).reshape(3, 4) % 3, "F32")
    _lookup(b, "one", np.array([0x3FF0000000000000], np.uint64), np.zeros(2, np.uint16), "F64")
    _lookup(b, "most", np.array([0, 2**64 - 1], np.uint64), np.array([1, 0, 1], np.uint16), "I64")
    _lookup(b, "long", np.arange(300, dtype=np.uint16) * 218 + 7, np.arange(600, dtype=np.uint16) % 300, "BF16")
    _lookup(b, "all", np.arange(65536, dtype=np.uint16), (np.arange(65536) * 40503 % 65536).astype(np.uint16), "F16")


def _lookup(b: Builder, name: str, values: Any, indices: np.ndarray[Any, Any], dtype: str) -> None:
    differences = np.diff(values, prepend=values.dtype.type(0))
    table = _leaf(RAW, f"U{8 * values.itemsize}", values.shape, None, differences.tobytes())
    numbers = _leaf(RAW, "U16", indices.shape, None, indices.tobytes())
    if len(values) > 2:
        numbers = Draft("", PLANES, TensorInfo(dtypes.BY_NAME["U16"], indices.shape), _planes(indices, (8, 8)))
    params = lookup.Params(len(values), None, [table, numbers])
    b.drafts.append(Draft(name, lookup.LOOKUP, TensorInfo(dtypes.BY_NAME[dtype], indices.shape), params))


def unknown_part() -> bytes:
    """A plane of an unknown coding: its tensor fails alone, the payloads behind it are where they should be."""
    index = b"\x00\x00" + varint(2) + b"\x00\x02a" + bytes([6 | 1 << 4 | 0x80, 3]) + varint(300)
    index += b"\b\b" + bytes([13]) + varint(2) + b"xy" + varint(256) + _crc(b"p" * 256) + bytes([0]) + _crc(bytes(300))
    index += b"\x00\x02b" + bytes([0x10 | 0x80, 1]) + varint(300) + _crc(b"q" * 300)
    head = SIGNATURE + b"\x01\x01" + varint(len(index)) + index
    return head + _crc(head) + b"p" * 256 + bytes(300) + b"q" * 300


def text(b: Builder) -> None:
    """Byte order marks are characters as all others; keys in byte order, which is not that of UTF-16."""
    b.metadata = {key: f"\ufeff{key}" for key in ("", "\ufeff", "\ufeffa", "a", "\uff5e", "\U0001f600", "a\ufeff", "A")}
    for number, name in enumerate(("w", "\ufeffw", "w\ufeff", "\ufeff", "\uff5e", "\U0001f600", "e\u0301", "\u00e9")):
        b.raw(name, np.array([number], np.uint8))


def alias_between(b: Builder) -> None:
    """An alias of a tensor of another dtype and shape changes nothing for the records behind it."""
    b.raw("table", np.arange(6, dtype=np.int16).reshape(2, 3))
    b.raw("bias", np.array([0.5, -0.5], np.float32))
    b.alias("table.tied", 0)
    b.raw("table.scale", np.array([1.5], np.float32))
    b.alias("bias.tied", 1)
    b.raw("step", np.array([7], np.int64))
    b.alias("bias.again", 1)
    b.raw("step.again", np.array([8], np.int64))


def edges(b: Builder) -> None:
    """Codebooks of 1, 2, 4 and 8 bytes, BOOL too; rank 64; rows as bitmaps of each kind; chunks of no bytes."""
    for name, dtype, values in (
        ("bool", dtypes.BY_NAME["BOOL"], [1]),
        ("u8", dtypes.BY_NAME["U8"], [7, 255]),
        ("f16", dtypes.BY_NAME["F16"], [0x3C00, 0xBC00]),
        ("f32", dtypes.BY_NAME["F32"], [0x3F800000]),
        ("f64", dtypes.BY_NAME["F64"], [0x3FF0000000000000, 0xBFF0000000000001]),
    ):
        bits = np.array(values, dtype.bits)
        b.codebooks.append(Codebook.of(dtype, bits))
        elements = np.array([0, *values, 0, values[0]], dtype.bits)
        symbols, _ = b.codebooks[-1].symbols_of(elements)
        stream = b._stream(StreamKind.FIXED, np.bincount(symbols, minlength=len(values) + 1))
        params, payload = dense.encode(dense.Params(len(b.codebooks) - 1, b.codebooks[-1], stream), symbols)
        b.drafts.append(Draft(name, dense.DENSE, TensorInfo(dtype, (len(elements),)), params, payload))
    b.raw_bytes("rank 64", dtypes.BY_NAME["U8"], (1,) * 63 + (2,), b"\x01\x02")
    book = b.codebook([1.0])
    row = np.zeros((1, 9), np.float32)
    row[0, [1, 4, 5]] = 1
    b.sparse("one row", row, book, gaps=StreamKind.FIXED, columns=Form(Kind.RAW))
    b.sparse("one row, no bitmap", row, book, gaps=StreamKind.FIXED)
    b.sparse("a bitmap without dead rows", row.T.repeat(2, 1)[[1, 4]], book, gaps=StreamKind.FIXED, rows=Form(Kind.RAW))
    tall = np.zeros((9, 2), np.float32)
    tall[[1, 4, 5]] = 1
    for name, form in (
        ("copy", Form(Kind.COPY, 0)),
        ("runs", Form(Kind.RUNS)),
        ("stride", Form(Kind.STRIDE_RUNS, 3)),
    ):
        b.sparse(f"rows {name}", tall, book, gaps=StreamKind.FIXED, rows=form)
    tall[4] = 0
    b.sparse("rows masked raw", tall, book, gaps=StreamKind.FIXED, rows=Form(Kind.MASKED_RAW, 0))
    b.sparse("rows masked runs", tall, book, gaps=StreamKind.FIXED, rows=Form(Kind.MASKED_RUNS, 0))
    b.adaptive("no bytes", np.ones((5, 3), np.float32), book, chunk_lines=2)


def adaptive_long_lines(b: Builder) -> None:
    """Counts at and around every step of the buckets, 200 among them, along lines and down columns."""
    book = b.codebook(VALUES)
    long = _pattern((4, 460), 0.55, VALUES, 13)
    long[1] = long[0]
    b.adaptive("along", long, book)
    b.adaptive("across", long.T.copy(), book)
    b.adaptive("stride", long, book, stride=201)
    b.adaptive("gaps", _pattern((5, 900), 0.008, VALUES, 14), book)
    b.adaptive("predictable", _pattern((12, 420), 0.998, (1.0,), 18), book)


def adaptive_neighbours(b: Builder) -> None:
    """Six neighbours that are all of one sign, and five against one: their sum is clamped on both sides."""
    for name, signs, seed in (("positive", 0.93, 15), ("negative", 0.07, 16)):
        values = (-0.5, -0.25, 0.25, 0.5)
        book = b.codebook(values) if name == "positive" else 0
        magnitude = np.abs(_pattern((24, 40), 2, values, seed))
        is_positive = _pattern((24, 40), signs, (1.0,), seed + 10) > 0
        matrix = np.where(is_positive, magnitude, -magnitude)
        b.adaptive(name, matrix, book, stride=5)
        b.adaptive(f"{name}, stride 1", matrix, book)


def adaptive_classes(b: Builder) -> None:
    """Classes as contexts: scans, strides, both sets of contexts, numbers of classes, chunks, signs, dtypes."""
    book = b.codebook(VALUES)
    matrix = _pattern((24, 30), 0.5, VALUES, 30)
    matrix[[3, 20]] = 0
    matrix[:, [0, 19]] = 0
    rows, columns = np.arange(24, dtype=np.uint8), np.arange(30, dtype=np.uint8)
    for scan in Scan:
        for light in (False, True):
            name = f"{scan.name.lower()} {'light' if light else 'full'}"
            b.adaptive(name, matrix, book, classes=(rows // 8, columns % 5), scan=scan, light=light, stride=4)
    for number in (1, 2, 8):
        b.adaptive(f"{number} classes of rows", matrix, book, classes=(rows % number, 0 * columns))
        b.adaptive(f"{number} classes of columns", matrix, book, classes=(0 * rows, columns * number // 30))
    b.adaptive("8 x 8", matrix, book, classes=(rows * 8 // 24, columns % 8), stride=5)
    b.adaptive("chunks", matrix, book, classes=(rows // 8, columns % 4), chunk_lines=7)
    b.adaptive("chunks of columns", matrix, book, classes=(rows % 3, columns % 4), scan=Scan.COLUMNS, chunk_lines=9)
    b.adaptive("no zeros", _pattern((11, 13), 2, VALUES, 31), book, classes=(rows[:11] % 2, columns[:13] % 3))
    b.adaptive("scalar", np.float32(1).reshape(()), book, classes=(rows[:1], columns[:1]))
    waves = np.rint(60 * np.sin(np.arange(24)[:, None] / 3) * np.cos(np.arange(30) / 4)) + 0.0
    for dtype in ("I8", "I16", "I64", "U8", "F32"):
        own = (np.abs(waves) if dtype == "U8" else waves).astype(dtypes.BY_NAME[dtype].numbers)
        values = np.unique(own[own != 0])
        b.adaptive(f"waves of {dtype}", own, b.codebook(values.tolist(), dtype), classes=(rows % 2, columns // 10))
    below = -np.abs(waves).astype(np.int8)
    book = b.codebook(np.unique(below[below != 0]).tolist(), "I8")
    b.adaptive("below zero", below, book, classes=(rows % 2, columns % 2))
    steep = (3 * np.arange(40)[:, None] ** 2 * np.sign(np.sin(np.arange(9) / 2)) + np.arange(9)).astype(np.int16)
    book = b.codebook(np.unique(steep[steep != 0]).tolist(), "I16")
    b.adaptive("sizes that grow", steep.T.copy(), book, classes=(rows[:9] % 2, np.arange(40, dtype=np.uint8) % 2))


def adaptive_weights(b: Builder) -> None:
    """A weight at its clamp: every column alternates, so that its past is always wrong. Half a million decisions."""
    phase = _pattern((13000,), 0.5, (1.0,), 17) > 0
    lines = np.arange(42)[:, None] % 2 == 1
    b.adaptive("alternating columns", (phase ^ lines).astype(np.float32), b.codebook([1.0]), light=True)


def classes_forms(b: Builder) -> None:
    """Every form of the coding with classes: lanes, precisions, numbers of classes, chunks, shapes, levels."""
    book = b.codebook(VALUES)
    matrix = _pattern((30, 40), 0.6, VALUES, 20)
    for lanes in (1, 2, 4, 8, 16, 32, 64):
        b.classes(
            f"{lanes} lanes", matrix, book, rows=(0, 1, 1), columns=(1, 0, 0, 2), lanes=lanes, bits=12 - lanes % 3
        )
    for count in range(1, 9):
        b.classes(f"{count} and {9 - count} classes", matrix, book, rows=range(count), columns=range(9 - count))
    b.classes("classes out of order", matrix, book, rows=(2, 0, 1, 2), columns=(1, 1, 0), lanes=8, chunk_rows=7)
    for bits in (10, 11, 12):
        b.classes(f"{bits} bits", matrix, book, bits=bits, lanes=8, rows=(1, 0))
    for rows in (1, 8, 29):
        b.classes(f"chunks of {rows} rows", matrix, book, chunk_rows=rows, lanes=4, rows=(0, 0, 1))
    b.classes("one symbol", np.ones((20, 30), np.float32), book, lanes=2)
    b.classes("one symbol in chunks", np.ones((3, 30), np.float32), book, chunk_rows=1)
    b.classes("zeros alone", np.zeros((4, 5), np.float32), book)
    b.classes("one symbol in a class", np.tile(np.array([[1, 0.5], [0, 1]], np.float32), (20, 20)), book, rows=(0, 1))
    b.classes("scalar", np.float32(1).reshape(()), book)
    b.classes("vector", np.array([0, 0, 1, 0, 0.5], np.float32), book, rows=(1, 0))
    b.classes("fewer elements than lanes", np.array([[0, 1], [0.5, 0]], np.float32), book, lanes=64)
    b.classes("tensor", _pattern((6, 5, 3, 3), 0.4, VALUES, 21), book, columns=(0, 1, 2), rows=(0, 0, 1))
    b.classes("integers", np.array([[-3, 300, 0], [0, 300, -1]], np.int16), b.codebook([-3, -1, 300], "I16"))
    many = [float(n) for n in range(-511, 513) if n]
    b.classes("many values", _pattern((60, 70), 0.9, many, 22), b.codebook(many), lanes=8, columns=(0, 1))
    every = list(range(0, 49)) * 2
    level = b.codebook([float(n) for n in range(1, 49)])
    b.classes("every level", _pattern((9, 70), 0.9, [float(n) for n in range(1, 49)], 23), level, rows=(0, 1),
              levels=[[48 - n for n in every[:48]] + [1], [1 + n // 2 for n in every[:49]]])  # fmt: skip
    far = [[48, 1, 48, 1, 0, 48], [1, 48, 0, 48, 48, 1], [0, 0, 0, 0, 0, 1], [48, 48, 48, 48, 48, 48]]
    few = b.codebook([1.0, 2.0, 3.0, 4.0, 5.0])
    b.classes("levels that jump", np.full((4, 6), 5, np.float32), few, rows=(0, 1), columns=(0, 1), levels=far)


VECTORS: list[Callable[[Builder], None]] = [
    empty,
    metadata,
    worked_example,
    raw_dtypes,
    shapes,
    narrow_storage,
    aliases,
    names,
    inline_boundary,
    codebooks,
    dense_forms,
    dense_chunks,
    sparse_forms,
    sparse_one_symbol,
    bitmaps,
    sparse_chunks,
    adaptive_forms,
    text,
    edges,
    alias_between,
    adaptive_long_lines,
    adaptive_neighbours,
    adaptive_weights,
    adaptive_classes,
    planes_forms,
    scaled_forms,
    scaled_numbers,
    escape_forms,
    lookup_forms,
    classes_forms,
]


def unknown_coding() -> bytes:
    """Version 1.1 with a tensor of coding 13 and dtype 200, an alias behind it, and one of coding 300."""
    index = b"\x00\x00" + varint(5)
    index += b"\x00\x02a" + bytes([0x10, 1]) + b"\x07\x00\x00\x00"
    index += b"\x00\x02b" + bytes([13 | 1 << 4 | 0x80, 200, 5]) + varint(3) + b"xyz" + varint(4) + b"data"
    index += b"\x00\x02e" + bytes([2]) + varint(0)
    index += b"\x00\x02c" + bytes([15 | 1 << 4]) + varint(300) + b"\x02" + varint(0) + varint(300) + _crc(b"q" * 300)
    index += b"\x00\x02d" + bytes([0x10 | 0x80, 1, 2]) + b"\x08\x09"
    head = SIGNATURE + b"\x01\x01" + varint(len(index)) + index
    return head + _crc(head) + b"q" * 300


def unknown_coding_of_any_size() -> bytes:
    """Tensors of an unknown coding count nothing against the decoded size: two of 2^62 bytes beside one of two."""
    index = b"\x00\x00" + varint(3)
    index += b"\x00\x02a" + bytes([13 | 1 << 4 | 0x80, 1]) + varint(1 << 62) + varint(0) + varint(1) + b"x"
    index += b"\x00\x02b" + bytes([13 | 1 << 4 | 0x80, 12]) + varint(1 << 59) + varint(0) + varint(0)
    index += b"\x00\x02c" + bytes([0x10 | 0x80, 1, 2]) + b"\x08\x09"
    head = SIGNATURE + b"\x01\x00" + varint(len(index)) + index
    return head + _crc(head)


def unknown_coding_15() -> bytes:
    """The least coding that is written behind the head, without parameters and payload."""
    index = b"\x00\x00" + varint(1) + b"\x00\x02a" + bytes([15]) + varint(15) + varint(0) + varint(0)
    head = SIGNATURE + b"\x01\x00" + varint(len(index)) + index
    return head + _crc(head)


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def content(data: bytes) -> dict[str, Any]:
    """What the manifest says of a file: everything that a reader gives out."""
    with Reader.open(data) as reader:
        tensors = []
        for record in reader.records:
            target = reader.resolve(record)
            entry: dict[str, Any] = {"name": record.name, "coding": record.coding.id}
            if record is not target:
                entry["alias_of"] = target.name
            elif not record.is_known:
                entry["unknown"] = True
            else:
                assert record.info is not None
                bits = reader.decode(record).bits.tobytes()
                entry |= {"dtype": record.info.dtype.name, "shape": list(record.info.shape)}
                entry |= {"hex": bits.hex()} if len(bits) <= 64 else {"sha256": hashlib.sha256(bits).hexdigest()}
            tensors.append(entry)
        return {"metadata": reader.metadata, "tensors": tensors}


def vectors() -> dict[str, tuple[bytes, str]]:
    """File name -> bytes and what it covers."""
    out = {}
    for make in VECTORS:
        builder = Builder()
        make(builder)
        out[f"{make.__name__.replace('_', '-')}.sws"] = (builder.file(), str(make.__doc__))
    for by_hand in (unknown_coding, unknown_coding_of_any_size, unknown_coding_15, unknown_part):
        out[f"{by_hand.__name__.replace('_', '-')}.sws"] = (by_hand(), str(by_hand.__doc__))
    return out


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    (folder / "valid").mkdir(parents=True, exist_ok=True)
    manifest = {}
    for name, (data, covers) in vectors().items():
        (folder / "valid" / name).write_bytes(data)
        manifest[name] = {"covers": covers, "bytes": len(data), **content(data)}
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (folder / "valid" / "manifest.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
