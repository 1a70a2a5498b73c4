"""`profile="small"`: the adaptive coding where it is smaller, from the tensor to the file and back."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from craft import ADAPTIVE, U16, codebook, file_, record, varint
from operations import peak_memory, python_calls

import swsfmt
import swsfmt.torch
from swsfmt import InputError
from swsfmt.codings.adaptive import plan as adaptive_plan
from swsfmt.codings.adaptive.chunks import Head
from swsfmt.codings.adaptive.params import Params
from swsfmt.codings.sparse.params import Scan
from swsfmt.entropy import backend
from swsfmt.format.resources import Resources
from swsfmt.numpy import from_array
from swsfmt.read.reader import Reader
from swsfmt.write.file import encode as encode_file

VALUES = np.array([-0.5, -0.25, 0.25, 0.5, 1.0], np.float32)

# Bytes of the coded weights of the shared checkpoints that a file may have at most; the best of NNC (ISO/IEC 15938-17)
# takes 13572, 18304, 47053, 3266, 2138 and 5628.
LIMITS = {
    "lenet_300_100_quantized": 12200,
    "lenet5_quantized": 17000,
    "tutorialnet_quantized": 41400,
    "lenet_300_100_sparse": 2900,
    "lenet5_sparse": 1990,
    "tutorialnet_sparse": 5250,
}


def pattern(shape: tuple[int, ...], density: float, seed: int = 0) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    return np.where(random.random(shape) < density, random.choice(VALUES, shape), 0).astype(np.float32)


def columns_of_an_image(seed: int = 0) -> np.ndarray[Any, Any]:
    """60 rows of smooth weights that read images of 28 x 28, of which only the middle is ever used."""
    random = np.random.default_rng(seed)
    smooth = random.normal(size=(60, 36, 36)).cumsum(1).cumsum(2)
    smooth = smooth[:, 8:, 8:] - smooth[:, :-8, 8:] - smooth[:, 8:, :-8] + smooth[:, :-8, :-8]
    weight = np.round(smooth / smooth.std()).clip(-2, 2).astype(np.float32) / 4
    weight[:, [*range(7), *range(20, 28)]] = 0
    weight[:, :, [*range(8), *range(22, 28)]] = 0
    return weight.reshape(60, 784)


def test_small_is_smaller_and_comes_back() -> None:
    state = {"fc.weight": columns_of_an_image(), "fc.bias": np.arange(60, dtype=np.float32) / 7}
    fast, small = swsfmt.save(state), swsfmt.save(state, profile="small")
    assert len(small) < 0.97 * len(fast)
    with Reader.open(small) as reader:
        assert [record.coding.id for record in reader.records] == [5, 0]
        params = reader.records[0].params
        assert (params.scan, params.stride, params.light, params.zeros) == (Scan.ROWS, 28, False, True)
    for name, array in swsfmt.load(small).items():
        assert array.tobytes() == state[name].tobytes()


def test_profile_of_single_tensors() -> None:
    state = {"a": columns_of_an_image(1), "b": columns_of_an_image(2)}
    with Reader.open(swsfmt.save(state, profile={"a": "fast", "b": "small"})) as reader:
        assert [record.coding.id for record in reader.records] == [4, 5]


def test_never_where_it_is_not_smaller() -> None:
    """One value in all places, and random symbols that a fixed width fits."""
    random = np.random.default_rng(0)
    state = {
        "ones": np.ones(500, np.float32),
        "random": random.choice(np.arange(1, 5, dtype=np.float32), (64, 64)),
        "floats": random.normal(size=(9, 9)).astype(np.float32),
        "zeros": np.zeros((30, 30), np.float32),
        "empty": np.zeros((0, 3), np.float32),
    }
    small = swsfmt.save(state, profile="small")
    assert small == swsfmt.save(state)
    assert {name: array.tobytes() for name, array in swsfmt.load(small).items()} == {
        name: array.tobytes() for name, array in state.items()
    }


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int64", "float16", "float64"])
def test_dtypes(dtype: str) -> None:
    state = {"a": (columns_of_an_image()[:, 180:500] * 4).astype(dtype)}
    data = swsfmt.save(state, profile="small")
    with Reader.open(data) as reader:
        assert reader.records[0].coding.id == 5
    assert swsfmt.load(data)["a"].tobytes() == state["a"].tobytes()


@pytest.mark.parametrize("contexts", ["auto", "full", "light"])
def test_contexts(contexts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto takes the light set from a size on, which is lowered here."""
    state = {"a": columns_of_an_image()}
    for least, light in ((1 << 22, contexts == "light"), (60 * 784, contexts != "full")):
        monkeypatch.setattr(adaptive_plan, "_LIGHT_FROM", least)
        with Reader.open(swsfmt.save(state, profile="small", contexts=contexts)) as reader:
            assert reader.records[0].params.light is light


@pytest.mark.parametrize("scan", Scan)
def test_chunks_and_threads(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut where that costs little; the same bytes and elements with any number of threads; rows from their chunks."""
    monkeypatch.setattr(adaptive_plan, "_SAMPLE", 1 << 12)
    monkeypatch.setattr(adaptive_plan, "_CHUNK_BYTES", 1 << 11)
    monkeypatch.setattr(adaptive_plan, "_CHUNK_SHARE", 10)
    array = np.concatenate([pattern((300, 100), 0.1), pattern((300, 100), 0.3, 1)])
    array = array if scan == Scan.ROWS else np.ascontiguousarray(array.T)
    elements = {"a": from_array(array)}
    options = swsfmt.write.options.Options(profile="small")
    data = encode_file(elements, options=options, threads=1)
    assert data == encode_file(elements, options=options, threads=4)
    with Reader.open(data) as reader:
        record = reader.records[0]
        assert record.params.scan == scan
        assert 1 < len(Head(record.params, record.info, reader.payload(record)).starts) - 1 < 10
        for threads in (1, 3):
            assert reader.read("a", threads).bits.tobytes() == array.tobytes()
        for first, last in ((0, 0), (0, 1), (5, 7), (len(array) - 1, len(array)), (0, len(array))):
            assert reader.read_rows("a", first, last).bits.tobytes() == array[first:last].tobytes()
    report = swsfmt.inspect(data)
    assert report.sections["chunk_tables"] > 0
    assert sum(report.sections.values()) == report.file_bytes == len(data)


def test_no_chunks_where_they_cost_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_plan, "_SAMPLE", 1 << 12)
    monkeypatch.setattr(adaptive_plan, "_CHUNK_BYTES", 1 << 9)
    with Reader.open(swsfmt.save({"a": columns_of_an_image()}, profile="small")) as reader:
        assert reader.records[0].coding.id == 5
        assert reader.records[0].params.chunk_lines == 0


def test_long_lines_are_scanned_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_plan, "MAX_LINE", 100)
    with Reader.open(swsfmt.save({"a": columns_of_an_image()}, profile="small")) as reader:
        assert reader.records[0].params.scan == Scan.COLUMNS
    monkeypatch.setattr(adaptive_plan, "MAX_LINE", 10)
    assert swsfmt.save({"a": columns_of_an_image()}, profile="small") == swsfmt.save({"a": columns_of_an_image()})


def waves(shape: tuple[int, int], seed: int = 0) -> np.ndarray[Any, Any]:
    """Levels that go up and down along a row, those of every second row with five times the noise."""
    scales = np.where(np.arange(shape[0]) % 2, 1, 5)[:, None]
    noise = scales * np.random.default_rng(seed).laplace(size=shape)
    return np.rint(noise + 12 * np.sin(np.arange(shape[1]) / 3)).clip(-120, 120).astype(np.int8)


def test_sizes_and_classes_are_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = waves((90, 120))
    data = swsfmt.save({"a": levels}, profile="small")
    with Reader.open(data) as reader:
        record = reader.records[0]
        assert record.coding.id == 5
        assert record.params.row_classes * record.params.column_classes > 1
    assert swsfmt.load(data)["a"].tobytes() == levels.tobytes()
    report = swsfmt.inspect(data)
    assert report.sections["class_labels"] > 0
    assert sum(report.sections.values()) == len(data)
    monkeypatch.setattr(Params, "with_classes", lambda params, classes: params)
    assert len(data) < 0.95 * len(swsfmt.save({"a": levels}, profile="small"))


def test_rows_of_chunks_with_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chunk has the classes of its own lines, whatever the scan, the threads and the rows that are asked for."""
    monkeypatch.setattr(adaptive_plan, "_SAMPLE", 1 << 12)
    monkeypatch.setattr(adaptive_plan, "_CHUNK_BYTES", 1 << 11)
    monkeypatch.setattr(adaptive_plan, "_CHUNK_SHARE", 10)
    levels = waves((240, 100), 1)
    for array, scan in ((levels, Scan.COLUMNS), (np.ascontiguousarray(levels.T), Scan.ROWS)):
        data = encode_file({"a": from_array(array)}, options=swsfmt.write.options.Options(profile="small"), threads=2)
        with Reader.open(data) as reader:
            params = reader.records[0].params
            assert params.scan == scan
            assert params.chunk_lines > 0
            assert params.row_classes * params.column_classes > 1
            for threads in (1, 3):
                assert reader.read("a", threads).bits.tobytes() == array.tobytes()
            for first, last in ((0, 0), (0, 1), (45, 61), (len(array) - 1, len(array)), (0, len(array))):
                assert reader.read_rows("a", first, last).bits.tobytes() == array[first:last].tobytes()


@pytest.mark.parametrize("wrong", [{"profile": "tiny"}, {"profile": {"a": "tiny"}}, {"contexts": "few"}])
def test_wrong_options(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="must be"):
        swsfmt.save({"a": np.zeros(3, np.float32)}, **wrong)


def test_inspect_says_what_was_saved() -> None:
    state = {"a": columns_of_an_image(), "b": np.ones(3, np.float32)}
    fast, small = (swsfmt.inspect(swsfmt.save(state, profile=profile)) for profile in ("default", "small"))
    assert [tensor.saved_bytes for tensor in fast.tensors] == [None, None]
    assert small.tensors[0].coding == "adaptive"
    saved = small.tensors[0].saved_bytes
    assert saved is not None
    assert abs(saved - (fast.tensors[0].file_bytes - small.tensors[0].file_bytes)) <= 64
    assert small.tensors[1].saved_bytes is None


def test_checkpoint(checkpoint_path: Path) -> None:
    """Bit for bit, never larger, and the weights as small as was promised."""
    state = torch.load(checkpoint_path, weights_only=True, map_location="cpu")
    state = state.get("state_dict", state)
    small = swsfmt.torch.save(state, profile="small")
    assert len(small) <= len(swsfmt.torch.save(state))
    for name, tensor in swsfmt.torch.load(small).items():
        assert torch.equal(tensor, state[name])
    if checkpoint_path.stem in LIMITS:
        with Reader.open(small) as reader:
            matrices = [r for r in reader.records if r.info is not None and len(r.info.shape) > 1]
            weights = [r for r in matrices if r.coding.codebook(r.params) is not None]
            assert weights
            assert {r.coding.id for r in weights} <= {3, 5}
            coded = sum(r.payload_length + len(r.coding.write(r.params, Resources())) for r in weights)
        assert coded <= LIMITS[checkpoint_path.stem]


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
def test_calls_and_memory_do_not_grow_with_chunks() -> None:
    """Chunks of one element, each with all the contexts of a large codebook and of far neighbours."""
    values = struct.pack("<4095H", *range(1, 4096))

    def file_of(chunks: int) -> bytes:
        params = b"\0\x18" + varint(1 << 16) + b"\1"
        payload = bytes(4 * (chunks - 1))
        tensor = record("a", ADAPTIVE, (chunks, 1), dtype=U16, params=params, payload=payload)
        return file_(tensor, codebooks=[codebook(values, 4095, U16, U16)])

    few, many = file_of(2), file_of(20_000)
    assert swsfmt.load(many)["a"].tolist() == [[4095]] * 20_000
    assert python_calls(lambda: swsfmt.load(many, threads=1)) < python_calls(lambda: swsfmt.load(few, threads=1)) + 50
    assert peak_memory(lambda: swsfmt.load(many)) < peak_memory(lambda: swsfmt.load(few)) + 20_000 * 60
