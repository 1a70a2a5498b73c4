"""spec/sws.ksy, compiled to a parser that knows nothing of the package, reads the same out of every file."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kaitaistruct
import numpy as np
import pytest
import torch
from craft import BOOK, PLANES, SPARSE, TABLE4, U8, U16, Record, codebook, file_, record, varint
from craft import sparse as sparse_record

import swsfmt.numpy
import swsfmt.torch
from swsfmt import SwsError
from swsfmt.codings import dense, escape, lookup, narrow, planes
from swsfmt.codings.adaptive import params as adaptive
from swsfmt.codings.base import Scan
from swsfmt.codings.classes import params as classes
from swsfmt.codings.scaled import params as scaled
from swsfmt.codings.sparse import params as sparse
from swsfmt.codings.streams import Stream, StreamKind
from swsfmt.entropy.bitmap import Form, Live
from swsfmt.format import records
from swsfmt.format.index import parse_header
from swsfmt.read.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
INVALID = ROOT / "spec" / "vectors" / "invalid"
VECTORS = sorted((ROOT / "spec" / "vectors" / "valid").glob("*.sws"))
MODULES = ("kaitai-struct-compiler", "yaml")

Parse = Callable[[bytes], Any]
# What a generated parser raises for a file that is not valid.
ERRORS = (kaitaistruct.KaitaiStructError, EOFError, UnicodeDecodeError)


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """bytes of a file -> tree of the compiled description."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: it runs the Kaitai Struct compiler")
    missing = [name for name in MODULES if not (ROOT / "spec" / "node_modules" / name).is_dir()]
    if missing:
        pytest.skip(f"node_modules lacks {', '.join(missing)}: run `npm ci` in spec/")
    folder = tmp_path_factory.mktemp("kaitai")
    command = [node, "spec/compile_ksy.js", "spec/sws.ksy", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location("kaitai_sws", folder / "sws.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Parse = module.Sws.from_bytes
    return found


def same_name(character_per_byte: str, name: str) -> None:
    assert character_per_byte.encode("latin-1").decode() == name


def same_stream(kind: int, number: Any, table: Any, stream: Stream) -> None:
    assert kind == stream.kind
    assert (number is not None) == (stream.kind == StreamKind.EARLIER_TABLE)
    if number is not None:
        assert number.value == stream.table
    assert (table is not None) == (stream.kind == StreamKind.NEW_TABLE)
    if table is None:
        return
    assert table.alphabet == stream.code.alphabet
    if table.is_single:
        assert table.single.value == stream.code.single
        return
    assert stream.code.single is None
    lengths = np.zeros(table.alphabet, np.uint8)
    for token in table.tokens:
        lengths[token.symbol : token.symbol_after] = token.code_length
    assert lengths.tolist() == stream.code.lengths.tolist()


def same_bitmap(bitmap: Any, argument: Any, form: Form, live: Live | None, length: int) -> None:
    assert bitmap.kind == form.kind
    assert (argument is not None) == form.kind.has_argument
    if argument is not None:
        assert argument.value == form.argument
    assert bitmap.length == length
    assert bitmap.num_live == (length if live is None else np.count_nonzero(live))


def same_dense(found: Any, params: dense.Params) -> None:
    assert found.codebook.value == params.number
    assert found.chunk_code == params.chunks.code
    assert tuple(getattr(found, key) for key in ("width",) if hasattr(found, key)) == params.chunks.widths
    same_stream(found.kind, getattr(found, "table", None), getattr(found, "new_table", None), params.stream)


def same_sparse(found: Any, params: sparse.Params) -> None:
    assert found.num_entries.value == params.entries
    entries, coded = getattr(found, "entries", None), params.coded
    assert (entries is None) == (coded is None)
    if entries is None or coded is None:
        return
    assert entries.codebook.value == coded.number
    assert entries.scan_columns == (coded.scan == Scan.COLUMNS)
    assert entries.pbits == coded.pbits
    assert entries.line_ends == coded.line_ends
    assert getattr(entries, "line_width", 0) == coded.line_width
    assert getattr(entries, "chunk_code", 0) == coded.chunks.code
    widths = [getattr(entries, key, None) for key in ("gap_width", "value_width", "advance_width")]
    assert widths == list(coded.chunks.widths or (None, None, None))
    matrix = coded.matrix
    row_argument, column_argument = getattr(entries, "row_argument", None), getattr(entries, "column_argument", None)
    same_bitmap(entries.row_bitmap, row_argument, coded.row_form, matrix.live_rows, matrix.rows)
    same_bitmap(entries.column_bitmap, column_argument, coded.column_form, matrix.live_columns, matrix.columns)
    gap_table, value_table = getattr(entries, "gap_table", None), getattr(entries, "value_table", None)
    same_stream(entries.gap_kind, gap_table, getattr(entries, "new_gap_table", None), coded.gaps)
    same_stream(entries.value_kind, value_table, getattr(entries, "new_value_table", None), coded.values)


def same_adaptive(found: Any, params: adaptive.Params) -> None:
    assert found.codebook.value == params.number
    assert found.by_columns == (params.scan == Scan.COLUMNS)
    assert (found.light, found.no_zeros) == (params.light, not params.zeros)
    assert (found.stride.value if found.has_stride else 1) == params.stride
    assert (found.chunk_lines.value if found.has_chunks else 0) == params.chunk_lines
    numbers = (found.row_classes_less_one + 1, found.column_classes_less_one + 1) if found.has_classes else (0, 0)
    assert numbers == (params.row_classes, params.column_classes)


def same_classes(found: Any, params: classes.Params) -> None:
    assert found.codebook.value == params.number
    assert 1 << found.log2_lanes == params.lanes
    numbers = found.row_classes_less_one + 1, found.column_classes_less_one + 1, 12 - found.precision
    assert numbers == (params.row_classes, params.column_classes, params.bits)
    assert (found.chunk_rows.value if found.has_chunks else 0) == params.chunk_rows


def same_scaled(found: Any, params: scaled.Params, shape: tuple[int, ...]) -> None:
    form = scaled.Form(1 + found.has_two_scales, scaled.Shift(found.shift.value), found.is_each_rounded)
    assert form == params.form
    for factor, blocks, part in zip(found.factors, params.blocks, params.parts[1:], strict=True):
        lengths = [block.value or length for block, length in zip(factor.blocks, shape, strict=True)]
        assert tuple(lengths) == blocks
        if part.info is not None:
            assert tuple(dimension.value for dimension in factor.dimensions) == part.info.shape


def same_escape(found: Any, params: escape.Params) -> None:
    assert found.num_values == params.count
    assert found.has_mark == (params.mark is not None)
    if params.mark is not None:
        assert int.from_bytes(found.mark, "little") == params.mark


def same_params(found: Any, record: records.Record[Any]) -> None:
    """found : the body of the record"""
    match record.params:
        case narrow.Params():
            assert found.params.storage == record.params.storage.id
        case dense.Params():
            same_dense(found.params, record.params)
        case sparse.Params():
            same_sparse(found.params, record.params)
        case adaptive.Params():
            same_adaptive(found.params, record.params)
        case classes.Params():
            same_classes(found.params, record.params)
        case planes.Params():
            assert tuple(width.value for width in found.params.widths) == record.params.widths
        case lookup.Params():
            assert found.params.num_values.value == record.params.count
        case scaled.Params():
            assert record.info is not None
            same_scaled(found.params, record.params, record.info.shape)
        case escape.Params():
            same_escape(found.params, record.params)
        case other:
            assert other is None
            if record.target is not None or record.coding.is_known:
                assert record.coding.name == ("raw" if record.target is None else "alias")
                assert not hasattr(found, "params")
            else:
                assert found.params.len_data.value == len(found.params.data)


def same_body(found: Any, payload: Any, record: records.Record[Any], file: Any) -> None:
    """A record, or a part of one. payload : its place behind the index, or those of its parts"""
    assert found.coding_id == record.coding.id
    assert found.is_known == record.coding.is_known
    if record.info is not None:
        assert found.dtype_id == record.info.dtype.id
        assert tuple(dimension.value for dimension in found.dimensions) == record.info.shape
        assert found.numel == record.info.numel
    same_params(found, record)
    assert found.has_parts == record.coding.is_composite
    assert getattr(found, "crc", None) == record.crc
    inline = getattr(found, "inline_payload", None)
    assert (inline.data if inline else b"") == (record.inline or b"")
    if found.has_parts:
        assert found.len_payload == 0
        for part, own, other in zip(found.parts, payload.parts, record.parts, strict=True):
            same_body(part.body, own, other, file)
        return
    assert found.len_payload == record.payload_length
    if record.crc is not None:
        assert payload.place.ofs == record.offset
    elif inline:
        assert file.ofs_index + inline.ofs == record.offset
    assert payload.place.len_data == (0 if record.crc is None else record.payload_length)


def same_layout(tree: Any, layout: records.Layout[Any]) -> None:
    assert (tree.major, tree.minor) == layout.version
    pairs = [(pair.key.text, pair.value.text) for pair in tree.index.metadata]
    assert pairs == list(layout.metadata.items())
    assert len(tree.index.codebooks) == len(layout.codebooks)
    for found, book in zip(tree.index.codebooks, layout.codebooks, strict=True):
        assert (found.dtype, found.storage) == (book.dtype.id, book.storage.id)
        assert found.values == book.stored.tolist()
    assert len(tree.index.records) == len(layout.records)
    assert len(tree.payloads) == len(layout.records)
    for found, payload, own in zip(tree.index.records, tree.payloads, layout.records, strict=True):
        same_name(found.name, own.name)
        target = getattr(found, "target", None)
        assert (target.value if target else None) == own.target
        if own.info is not None:
            assert tuple(dimension.value for dimension in found.dimensions) == own.info.shape
        same_body(found.body, payload, own, tree)


def leaves(payload: Any, record: records.Record[Any]) -> Iterator[tuple[Any, records.Record[Any]]]:
    """A record without parts, or all such parts of it, each with its payload behind the index."""
    if not record.parts:
        yield payload.place, record
    for part, own in zip(record.parts, getattr(payload, "parts", ()), strict=True):
        yield from leaves(own, part)


def check(parse: Parse, data: bytes) -> Any:
    """The tree of a file that both parsers agree on."""
    tree = parse(data)
    with Reader.open(data) as reader:
        same_layout(tree, reader.layout)
        for record, payload in zip(reader.records, tree.payloads, strict=True):
            for place, leaf in leaves(payload, record):
                if leaf.crc is not None:
                    assert place.data == reader.payload(leaf)
                    assert zlib.crc32(place.data) == leaf.crc
    return tree


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(parse: Parse, path: Path) -> None:
    check(parse, path.read_bytes())


def test_checkpoint(parse: Parse, checkpoint_path: Path) -> None:
    state = torch.load(checkpoint_path, weights_only=True, map_location="cpu")
    check(parse, swsfmt.torch.save(state))
    check(parse, swsfmt.torch.save(state, pbits=5, huffman=False))


def test_long_chains(parse: Parse) -> None:
    """Names and bitmaps that lean on those of the record before, further than Python recurses."""
    shape = (3, 6)
    records = [sparse_record("a", shape, rows=1, columns=4, arguments=b"\0", packed="101")]
    for i in range(1, 1200):
        arguments = varint(2 * (i - 1)) + varint(2 * i)
        name = {"prefix": i, "suffix": varint(1)}
        records.append(sparse_record(shape=shape, rows=4, columns=4, arguments=arguments, **name))
    data = file_(*records, codebooks=[BOOK])
    entries = check(parse, data).index.records[-1].body.params.entries
    assert (entries.row_bitmap.num_live, entries.column_bitmap.num_live) == (2, 4)


def test_written_parts(parse: Parse) -> None:
    weight = np.random.default_rng(3).normal(size=(40, 50)).astype(np.float32)
    tree = check(parse, swsfmt.numpy.save({"weight": weight, "other": weight[::-1]}, profile="small"))
    assert [found.body.coding_id for found in tree.index.records] == [PLANES, PLANES]


def sparse_part(**fields: Any) -> bytes:
    """A part of 3 x 6 elements."""
    # Without name, rank and shape.
    return bytes([SPARSE]) + sparse_record("", (3, 6), **fields).index[5:]


def two_planes(name: str, first: bytes, second: bytes) -> Record:
    return record(name, PLANES, (3, 6), dtype=U16, params=b"\b\b" + first + second)


def test_resources_of_parts(parse: Parse) -> None:
    """Tables and bitmaps of parts are numbered with those of records, in order; each is found from everywhere."""
    data = file_(
        sparse_record("a", (3, 6), dtype=U8, rows=1, gap=1, packed="110" + TABLE4),
        two_planes("b", sparse_part(rows=1, packed="101"), sparse_part(rows=4, gap=1, arguments=b"\1", packed=TABLE4)),
        two_planes("c", sparse_part(rows=4, gap=2, arguments=b"\0\0"), sparse_part(rows=4, gap=2, arguments=b"\1\2")),
        two_planes("d", sparse_part(), sparse_part(rows=5, arguments=b"\4", packed="11")),
        sparse_record("e", (3, 6), dtype=U8, rows=4, gap=2, arguments=b"\1\5"),
        codebooks=[codebook(bytes([1, 2, 3]), 3, U8, U8)],
    )
    records = check(parse, data).index.records
    ends = [found.body.after for found in records]
    assert [end.num_tables for end in ends] == [1, 2, 2, 2, 2]
    assert [end.num_bitmaps for end in ends] == [1, 3, 5, 6, 7]


INVALID_PARTS = sorted(path for kind in ("part", "scaled", "escape") for path in INVALID.glob(f"{kind}-*.sws"))


@pytest.mark.parametrize("path", INVALID_PARTS, ids=lambda path: path.stem)
def test_invalid_parts(parse: Parse, path: Path) -> None:
    """All rules of the index on parts are checked; payloads and what codings are known are another matter."""
    error = json.loads((INVALID / "manifest.json").read_text())[path.name]["error"]
    if error in ("ChecksumError", "PayloadError", "UnknownCodingError"):
        parse(path.read_bytes())
        return
    with pytest.raises(ERRORS):
        parse(path.read_bytes())


def test_long_bitmaps_and_tables(parse: Parse) -> None:
    """More runs in a bitmap and more symbols in a table than Python recurses."""
    rng = np.random.default_rng(1)
    weight = np.zeros((60_000, 4), np.float32)
    weight[np.repeat(rng.random(3_000) < 0.5, 20)] = 1.5
    values = np.minimum(rng.geometric(0.002, 200_000), 4095).astype(np.float32)
    data = swsfmt.numpy.save({"runs": weight, "symbols": values}, profile="fast")
    tree = check(parse, data)
    assert len(tree.index.records[0].body.params.entries.row_bitmap.runs.list) > 1000
    assert len(tree.index.records[1].body.params.new_table.tokens) > 1000


def test_every_truncation_fails(parse: Parse) -> None:
    data = (ROOT / "spec" / "vectors" / "valid" / "worked-example.sws").read_bytes()
    for length in range(len(data)):
        with pytest.raises(EOFError):
            parse(data[:length])


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_truncated_vector_fails(parse: Parse, path: Path) -> None:
    data = path.read_bytes()
    for length in (len(data) - 1, len(data) // 2):
        with pytest.raises(EOFError):
            parse(data[:length])


def test_trailing_byte_fails(parse: Parse) -> None:
    data = (ROOT / "spec" / "vectors" / "valid" / "worked-example.sws").read_bytes()
    with pytest.raises(kaitaistruct.ValidationExprError):
        parse(data + b"\0")


DAMAGED = [
    *("bitmaps", "sparse-forms", "dense-forms", "names", "aliases", "unknown-coding"),
    *("planes-forms", "lookup-forms", "classes-forms", "unknown-part"),
    *("scaled-forms", "scaled-numbers", "escape-forms"),
]


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_index(parse: Parse, name: str) -> None:
    """What the package accepts of damaged indexes, the description reads alike; the rest may fail, not crash."""
    data = (ROOT / "spec" / "vectors" / "valid" / f"{name}.sws").read_bytes()
    _, start, length = parse_header(data)
    end = start + length
    rng = random.Random(name)
    for _ in range(150):
        body = bytearray(data[:end])
        for _ in range(rng.randint(1, 2)):
            body[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
        damaged = bytes(body) + zlib.crc32(body).to_bytes(4, "little") + data[end + 4 :]
        try:
            with Reader.open(damaged) as reader:
                layout = reader.layout
        except SwsError:
            try:
                parse(damaged)
            except ERRORS:
                continue
        else:
            same_layout(parse(damaged), layout)
