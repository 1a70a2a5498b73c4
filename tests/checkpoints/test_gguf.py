"""GGUF files: what package gguf makes of them, bit for bit; damaged ones are refused with one line."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy
from command import fails, run
from gguf_files import ARRAY, BOOL, F32, I32, STRING, U8, U64, Stored, gguf_file, text, value

import swsfmt
from swsfmt import checkpoints
from swsfmt.checkpoints.gguf.blocks import BLOCK_TYPES
from swsfmt.numpy import to_array

gguf = pytest.importorskip("gguf")
constants, quants = gguf.constants, gguf.quants

GOALS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
OTHERS = ["IQ1_M", "IQ1_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ3_S", "IQ3_XXS"]
# An older package has not all of them.
ALL = [own.name for own in BLOCK_TYPES.values() if hasattr(constants.GGMLQuantizationType, own.name)] + OTHERS
Blocks = npt.NDArray[np.uint8]


def kind_of(name: str) -> gguf.GGMLQuantizationType:
    return constants.GGMLQuantizationType[name]


def dequantized(blocks: Blocks, name: str) -> npt.NDArray[np.float32]:
    with np.errstate(all="ignore"):
        floats: npt.NDArray[np.float32] = quants.dequantize(blocks, kind_of(name))
    return floats


def random_blocks(name: str, rows: int, count: int, *, finite: bool = True) -> Blocks:
    """Any bytes: `count` blocks in each row. finite : those with scales that are numbers"""
    size = constants.GGML_QUANT_SIZES[kind_of(name)][1]
    generator = np.random.default_rng(len(name) + rows)
    blocks = generator.integers(0, 256, (4 * rows * count + 64, size), dtype=np.uint8)
    if finite:
        blocks = blocks[np.isfinite(dequantized(blocks, name)).all(axis=1)]
    return blocks[: rows * count].reshape(rows, count * size)


def stored(blocks: Blocks, name: str) -> Stored:
    elements, size = constants.GGML_QUANT_SIZES[kind_of(name)]
    *outer, inner = blocks.shape
    return Stored(kind_of(name).value, (inner // size * elements, *reversed(outer)), blocks.tobytes())


def through(data: bytes, folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    """What the .sws file of a GGUF file holds."""
    checkpoints.convert(data, folder / "out.sws")
    return swsfmt.load_file(folder / "out.sws")


def same(left: npt.NDArray[np.generic], right: npt.NDArray[np.generic]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


# ---- values ----------------------------------------------------------------------------------------------------------


def test_every_type_of_the_issue_has_levels() -> None:
    assert {own.name for own in BLOCK_TYPES.values()} >= set(GOALS)
    for number, own in BLOCK_TYPES.items():
        if own.name in ALL:
            kind = constants.GGMLQuantizationType(number)
            assert (own.name, (own.elements, own.size)) == (kind.name, constants.GGML_QUANT_SIZES[kind])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("rows", "count"), [(7, 5), (1, 1), (40, 1), (1, 33)])
def test_floats_are_those_of_the_package(name: str, rows: int, count: int, tmp_path: Path) -> None:
    blocks = random_blocks(name, rows, count)
    data = gguf_file({"w": stored(blocks, name)})
    expected = dequantized(blocks, name)
    assert same(to_array(checkpoints.open(data).elements("w")), expected)
    assert same(through(data, tmp_path)["w"], expected)
    with swsfmt.safe_open(tmp_path / "out.sws") as file:
        # Of the others levels may be found.
        assert file.get_parts("w") is not None or name in OTHERS
        rows_of_it = file.get_slice("w")[rows // 2 :]
    assert same(rows_of_it, expected[rows // 2 :])


@pytest.mark.parametrize(("name", "count"), [("Q4_1", 50), ("Q4_K", 7), ("IQ1_S", 20)])
def test_tensors_that_are_read_piece_by_piece(name: str, count: int) -> None:
    blocks = random_blocks(name, 300, count)
    found = to_array(checkpoints.open(gguf_file({"w": stored(blocks, name)})).elements("w"))
    assert blocks.nbytes > 1 << 18
    assert same(found, dequantized(blocks, name))


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_what_the_package_quantizes(name: str, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(3, 16, 64)).astype(np.float32)
    weight[1, 2] = 0
    blocks = quants.quantize(weight, kind_of(name))
    expected = dequantized(blocks, name)
    data = gguf_file({"w": stored(blocks, name)})
    assert same(through(data, tmp_path)["w"], expected)
    assert os.stat(tmp_path / "out.sws").st_size < len(data)


@pytest.mark.parametrize("name", ALL)
def test_scales_that_are_no_numbers(name: str, tmp_path: Path) -> None:
    """Infinite ones give what they give; NaN is NaN, though not with the same sign."""
    blocks = random_blocks(name, 400, 1, finite=False)
    expected = dequantized(blocks, name)
    found = through(gguf_file({"w": stored(blocks, name)}), tmp_path)["w"]
    nan = np.isnan(expected)
    assert (np.isnan(found) == nan).all()
    assert same(found[~nan], expected[~nan])


def test_levels_and_scales_apart(tmp_path: Path) -> None:
    simple, large = random_blocks("Q4_1", 6, 4), random_blocks("Q4_K", 6, 2)
    checkpoints.convert(gguf_file({"a": stored(simple, "Q4_1"), "b": stored(large, "Q4_K")}), tmp_path / "out.sws")
    with swsfmt.safe_open(tmp_path / "out.sws") as file:
        a, b = file.get_parts("a"), file.get_parts("b")
    assert a is not None
    assert (a.levels.dtype, a.levels.shape, a.levels.max()) == (np.int8, (6, 128), 15)
    assert [(s.dtype, s.shape) for s in a.scales] == [(np.float16, (6, 4))]
    assert a.offset is not None
    assert (a.offset.dtype, a.offset.shape) == (np.float16, (6, 4))
    assert b is not None
    assert [(s.dtype, s.shape) for s in b.scales] == [(np.uint8, (6, 16)), (np.float16, (6, 2))]
    assert b.offset is not None
    assert (b.offset.dtype, b.offset.shape) == (np.float32, (6, 16))
    assert same(b.dequantize(), dequantized(large, "Q4_K"))


def test_minima_of_the_large_blocks_are_integers_and_a_scale(tmp_path: Path) -> None:
    """Each would take four bytes as a float."""
    blocks = random_blocks("Q4_K", 64, 8)
    data = gguf_file({"w": stored(blocks, "Q4_K")})
    checkpoints.convert(data, tmp_path / "out.sws")
    assert os.stat(tmp_path / "out.sws").st_size < 1.01 * len(data)


def test_plain_types(tmp_path: Path) -> None:
    import ml_dtypes

    generator = np.random.default_rng(0)
    arrays = {
        0: generator.normal(size=(2, 3)).astype(np.float32),
        1: generator.normal(size=(5,)).astype(np.float16),
        24: generator.integers(-128, 128, (3, 1, 2), dtype=np.int8),
        25: generator.integers(-9, 9, (4,), dtype=np.int16),
        26: generator.integers(-9, 9, (2, 2, 2, 2), dtype=np.int32),
        27: np.array([1 << 62, -1], np.int64),
        28: np.array([[0.1]]),
        30: generator.normal(size=(3, 4)).astype(ml_dtypes.bfloat16),
    }
    tensors = {str(n): Stored(n, array.shape[::-1], array.tobytes()) for n, array in arrays.items()}
    tensors["scalar"] = Stored(0, (), np.float32(1.5).tobytes())
    tensors["empty"] = Stored(0, (4, 0), b"")
    tensors["no blocks"] = Stored(2, (0, 4), b"")
    tensors["no floats"] = Stored(kind_of("IQ1_S").value, (256, 0), b"")
    found = through(gguf_file(tensors, version=2), tmp_path)
    for number, array in arrays.items():
        assert same(found[str(number)], array)
    assert found["scalar"].tolist() == 1.5
    assert found["empty"].shape == (0, 4)
    assert (found["no blocks"].dtype, found["no blocks"].shape) == (np.float32, (4, 0))
    assert (found["no floats"].dtype, found["no floats"].shape) == (np.float32, (0, 256))
    assert list(found) == list(tensors)


def test_a_file_of_the_package_and_metadata(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_name("Tiny é")
    writer.add_block_count(3)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_bool("flag", True)
    writer.add_array("tokens", ['a"', "ü\n", ""])
    writer.add_array("scores", [0.1, -2.0])
    writer.add_array("kinds", [1, 2, 3])
    weight = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    writer.add_tensor("norm", weight[0])
    blocks = quants.quantize(weight, kind_of("Q4_1"))
    writer.add_tensor("weight", blocks, raw_dtype=kind_of("Q4_1"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    result = run("encode", tmp_path / "model.gguf")
    assert result.exit_code == 0, result.output
    sws, back = tmp_path / "model.sws", tmp_path / "back.safetensors"
    with swsfmt.safe_open(sws) as file:
        metadata = file.metadata()
        assert file.keys() == ["norm", "weight"]
    assert metadata["general.architecture"] == "llama"
    assert metadata["general.name"] == "Tiny é"
    assert metadata["llama.block_count"] == "3"
    assert metadata["llama.attention.layer_norm_rms_epsilon"] == "1e-05"
    assert metadata["flag"] == "true"
    assert json.loads(metadata["tokens"]) == ['a"', "ü\n", ""]
    assert metadata["scores"] == "[0.1,-2.0]"
    assert metadata["kinds"] == "[1,2,3]"
    assert run("verify", sws, "--against", tmp_path / "model.gguf").exit_code == 0
    assert run("decode", sws, "-o", back).exit_code == 0
    assert same(safetensors.numpy.load_file(back)["weight"], dequantized(blocks, "Q4_1"))


def test_all_kinds_of_metadata() -> None:
    nested = (ARRAY, [(STRING, ["a"]), (I32, [-1])])
    pairs = [
        ("text", value(STRING, "a")),
        ("no UTF-8", value(STRING, b"a\xff")),
        ("float", value(F32, float("inf"))),
        ("double", value(12, 0.1)),
        ("large", value(U64, 2**64 - 1)),
        ("flags", value(ARRAY, (BOOL, [True, False]))),
        ("none", value(ARRAY, (U8, []))),
        ("nested", value(ARRAY, nested)),
        ("many", value(ARRAY, (U8, [7] * 100_000))),
    ]
    metadata = checkpoints.open(gguf_file({}, pairs)).metadata
    assert json.loads(metadata.pop("many")) == [7] * 100_000
    assert metadata == {
        "text": "a",
        "no UTF-8": "a\\xff",
        "float": "Infinity",
        "double": "0.1",
        "large": str(2**64 - 1),
        "flags": "[true,false]",
        "none": "[]",
        "nested": '[["a"],[-1]]',
    }


# ---- where it comes from ---------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "model.gguf"
    path.parent.mkdir()
    names = ["Q4_1", "Q4_K", "IQ1_S"]
    path.write_bytes(gguf_file({name: stored(random_blocks(name, 4, 2), name) for name in names}))
    return path


def test_folder_pipe_and_memory(model: Path, tmp_path: Path) -> None:
    assert checkpoints.find(model.parent) == model
    assert checkpoints.recognise(model) == "a GGUF file"
    for given in (model, model.parent):
        assert run("encode", given, "-o", tmp_path / "a.sws", "--force").exit_code == 0
    expected = (tmp_path / "a.sws").read_bytes()
    result = run("encode", "-", "-o", tmp_path / "b.sws", input=model.read_bytes())
    assert result.exit_code == 0, result.output
    assert (tmp_path / "b.sws").read_bytes() == expected
    with pytest.raises(swsfmt.NotSwsError, match=r"this is a GGUF file; `sws encode`"):
        swsfmt.load_file(model)


def test_tensors_are_read_by_other_processes(model: Path, tmp_path: Path) -> None:
    checkpoint = checkpoints.open(model)
    for name, tensor in checkpoint.tensors.items():
        assert not isinstance(tensor, swsfmt.tensor.Tied)
        again = pickle.loads(pickle.dumps(tensor)).load()
        assert again.bits.tobytes() == checkpoint.elements(name).bits.tobytes()
    checkpoints.convert(model, tmp_path / "a.sws")
    with ProcessPoolExecutor(1, get_context("forkserver")) as executor:
        checkpoints.convert(model, tmp_path / "b.sws", executor=executor)
    assert (tmp_path / "a.sws").read_bytes() == (tmp_path / "b.sws").read_bytes()


def test_file_that_changes(model: Path) -> None:
    checkpoint = checkpoints.open(model)
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(swsfmt.InputError, match="has changed"):
        checkpoint.elements("Q4_1")


def test_without_the_package(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed for types that are no levels and scales."""
    blocks = random_blocks("Q4_K", 4, 2)
    (tmp_path / "plain.gguf").write_bytes(gguf_file({"w": stored(blocks, "Q4_K")}))
    expected = dequantized(blocks, "Q4_K")
    monkeypatch.setitem(sys.modules, "gguf", None)
    message = fails("encode", model)
    assert "tensor 'IQ1_S'" in message
    assert "pip install 'swsfmt[gguf]'" in message
    assert same(through((tmp_path / "plain.gguf").read_bytes(), tmp_path)["w"], expected)


# ---- what is wrong ---------------------------------------------------------------------------------------------------

HALF = Stored(1, (4,), bytes(8))


def with_metadata(*pairs: tuple[str, bytes]) -> bytes:
    return gguf_file({"w": HALF}, pairs)


def array_of(kind: int, count: int) -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, count)


WRONG = {
    "no more than a signature": (b"GGUF", "ends in its version"),
    "version 1": (gguf_file(version=1), "version 1 of GGUF"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "too many tensors": (gguf_file(count=1 << 40), "the number of tensors"),
    "more tensors than there are": (gguf_file(count=100), "ends in the entry of tensor"),
    "key without end": (with_metadata(("k" * 9, b""))[:40], "ends in"),
    "long string": (with_metadata(("k", struct.pack("<IQ", STRING, 1 << 62))), "ends in k"),
    "endless numbers": (with_metadata(("k", array_of(U8, 1 << 63))), "ends in k"),
    "endless strings": (with_metadata(("k", array_of(STRING, 1 << 63))), "ends in"),
    "endless arrays": (with_metadata(("k", array_of(ARRAY, 1 << 63))), "damaged"),
    "deep arrays": (with_metadata(("k", array_of(ARRAY, 1) + struct.pack("<IQ", ARRAY, 1) * 2000)), "'k' has a value"),
    "type of value": (with_metadata(("k", struct.pack("<I", 13))), "'k' has a value of type 13"),
    "key twice": (with_metadata(("k", value(BOOL, True)), ("k", value(BOOL, True))), "'k' twice"),
    "key is no text": (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"\xff") + value(BOOL, True), "no UTF-8"),
    "alignment 0": (with_metadata(("general.alignment", value(4, 0))), "power of two"),
    "alignment 48": (with_metadata(("general.alignment", value(4, 48))), "power of two"),
    "alignment is a word": (with_metadata(("general.alignment", value(STRING, "x"))), "power of two"),
    "split": (with_metadata(("split.count", value(2 + 2, 3))), "one of 3 files"),
    "beyond the end": (gguf_file({"w": HALF._replace(offset=1 << 20)}), "tensor 'w'.*incomplete"),
    "far beyond the end": (gguf_file({"w": HALF._replace(offset=(1 << 64) - 1)}), "tensor 'w'.*incomplete"),
    "one in the other": (gguf_file({"a": HALF, "b": HALF._replace(offset=4)}), "tensor 'b'.*lies in another"),
    "the same place": (gguf_file({"a": HALF, "b": HALF._replace(offset=0)}), "lies in another"),
    "no whole block": (gguf_file({"w": Stored(2, (40,), bytes(99))}), "tensor 'w'.*40 elements are no blocks of 32"),
    "blocks of a scalar": (gguf_file({"w": Stored(2, (), bytes(99))}), "no blocks of 32"),
    "too large": (gguf_file({"w": Stored(0, (1 << 40, 1 << 40), b"")}), "too large"),
    "too many dimensions": (gguf_file({"w": Stored(0, (1,) * 65, bytes(4))}), "rank 65"),
    "type of tensor": (gguf_file({"w": Stored(999, (32,), bytes(99))}), "tensor 'w'.*type 999 of GGUF is not known"),
    "not to be dequantised": (gguf_file({"w": Stored(9, (32,), bytes(99))}), "tensor 'w'.*Q8_1.*does not dequantise"),
    "name is no text": (gguf_file({"w": HALF}).replace(text("w"), text(b"\xff")), "no UTF-8"),
    "name twice": (gguf_file({"a": HALF, "b": HALF}).replace(text("b"), text("a")), "tensor 'a'.*twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused_with_one_line(case: str, tmp_path: Path) -> None:
    data, message = WRONG[case]
    with pytest.raises(swsfmt.SwsError, match=message):
        checkpoints.open(data)
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    assert str(path) in fails("encode", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]


def test_cut_short_anywhere() -> None:
    pairs = [("a", value(STRING, "b")), ("c", value(ARRAY, (STRING, ["d", "e"]))), ("f", value(F32, 1.0))]
    data = gguf_file({"w": HALF, "q": stored(random_blocks("Q4_1", 1, 2), "Q4_1")}, pairs)
    checkpoints.open(data)
    for length in range(len(data)):
        with pytest.raises(swsfmt.InputError):
            checkpoints.open(data[:length])


def test_any_byte_changed() -> None:
    """Every change gives an error of this package or tensors that can be read."""
    pairs = [("a", value(STRING, "b")), ("c", value(ARRAY, (I32, [1, 2]))), ("f", value(F32, 1.0))]
    data = gguf_file({"w": HALF, "q": stored(random_blocks("Q2_K", 1, 1), "Q2_K")}, pairs)
    generator = random.Random(0)
    for place in range(4, len(data) - 100):
        for byte in (0, 1, 0xFF, generator.randrange(256), data[place] ^ 1 << generator.randrange(8)):
            changed = data[:place] + bytes([byte]) + data[place + 1 :]
            try:
                checkpoint = checkpoints.open(changed)
                for name in checkpoint.tensors:
                    checkpoint.elements(name)
            except swsfmt.SwsError:
                pass
