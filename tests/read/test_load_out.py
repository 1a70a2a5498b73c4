"""`load(..., out=...)`: tensors are decoded into memory that is there, whatever it held before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import swsfmt
import swsfmt.torch
from swsfmt.errors import ChecksumError, InputError
from swsfmt.read.reader import Reader

pytestmark = pytest.mark.usefixtures("each_kernel")

VALID = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "valid"
# One of half a million decisions takes the twin long, and says nothing here that others do not.
VECTORS = sorted({*json.loads((VALID / "manifest.json").read_text(encoding="utf-8"))} - {"adaptive-weights.sws"})


def array(density: float, dtype: str = "f4", rows: int = 700, columns: int = 300) -> np.ndarray[Any, Any]:
    """Of few values; large enough to have chunks where it is dense enough."""
    random = np.random.default_rng(3)
    found = random.integers(1, 9, (rows, columns)) * (random.random((rows, columns)) < density)
    return found.astype(dtype)


@pytest.mark.parametrize("name", VECTORS)
def test_every_coding_overwrites_what_was_there(name: str) -> None:
    with Reader.open(VALID / name) as reader:
        for record in reader.records:
            if record.info is None or not record.is_known or reader.resolve(record) is not record:
                continue
            expected = reader.read(record.name).bits
            out = np.full(record.info.nbytes, 0xAB, np.uint8).view(record.info.dtype.bits)
            found = reader.read(record.name, out=out)
            assert found.bits is out
            assert found.info == record.info
            assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    ("density", "options"),
    [
        (1, {}),
        (0.2, {"scan": "rows"}),
        (0.2, {"scan": "columns"}),
        (0.001, {}),
        (0, {}),
    ],
)
def test_large_tensors(density: float, options: dict[str, Any], dtype: str, threads: int) -> None:
    one = array(density, dtype)
    one[5:9] = 0
    one[690:] = 0
    given = {"a": array(density, dtype), "dead rows": one}
    data = swsfmt.save(given, **options)
    out = {name: np.full_like(one, 7) for name, one in given.items()}
    found = swsfmt.load(data, out=out, threads=threads)
    for name, one in given.items():
        assert found[name] is out[name]
        assert np.array_equal(out[name], one)


def test_chunk_table_that_does_not_fit_is_refused() -> None:
    """The fast path leaves memory half done; the error is that of new memory."""
    data = bytearray(swsfmt.save({"a": array(0.2)}, scan="rows", compact="off"))
    with Reader.open(bytes(data)) as reader:
        middle = reader.records[0].offset + reader.records[0].payload_length // 2
    data[middle] ^= 1
    with pytest.raises(ChecksumError):
        swsfmt.load(data, out={"a": np.full((700, 300), 7, np.float32)})


def test_names_that_are_not_given_get_new_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.sws"
    one, two = array(1), array(0.1)
    swsfmt.save_file({"one": one, "two": two}, path)
    out = {"two": np.full_like(two, 7), "three": np.full(3, 7)}
    with pytest.warns(swsfmt.SwsWarning, match="stays as it was: there is no tensor 'three'") as caught:
        found = swsfmt.load_file(path, out=out)
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert list(found) == ["one", "two"]
    assert found["two"] is out["two"]
    assert np.array_equal(found["one"], one)
    assert np.array_equal(found["two"], two)
    assert out["three"].tolist() == [7, 7, 7]


def test_strides(tmp_path: Path) -> None:
    one = array(0.1)
    wide = np.full((700, 600), 7, np.float32)
    swsfmt.load(swsfmt.save({"a": one}), out={"a": wide[:, ::2]})
    assert np.array_equal(wide[:, ::2], one)
    assert (wide[:, 1::2] == 7).all()


def test_tied_names() -> None:
    one = array(0.1)
    data = swsfmt.save({"a": one, "b": one})
    same = np.empty_like(one)
    found = swsfmt.load(data, out={"a": same, "b": same})
    assert found["a"] is found["b"] is same
    assert np.array_equal(same, one)
    apart = {"a": np.empty_like(one), "b": np.empty_like(one)}
    found = swsfmt.load(data, out=apart)
    assert found["b"] is apart["b"]
    assert np.array_equal(apart["b"], one)
    only_b = {"b": np.empty_like(one)}
    swsfmt.load(data, out=only_b)
    assert np.array_equal(only_b["b"], one)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((300, 700), np.float32), "shape|\\(300, 700\\)"),
        (np.zeros((700, 300), np.float64), "float64"),
        (np.broadcast_to(np.float32(0), (700, 300)), "read-only"),
        ([[0.0]], "list"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(wrong: Any, message: str) -> None:
    data = swsfmt.save({"a": array(1), "b": array(1)})
    first = np.full((700, 300), 7, np.float32)
    with pytest.raises(InputError, match=message) as caught:
        swsfmt.load(data, out={"a": first, "b": wrong})
    assert caught.value.tensor == "b"
    assert (first == 7).all()


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        self.norm = torch.nn.BatchNorm2d(8)
        self.head = torch.nn.Linear(300, 700, bias=False, dtype=torch.bfloat16)
        self.tied = torch.nn.Linear(300, 700, bias=False, dtype=torch.bfloat16)
        self.tied.weight = self.head.weight


def test_a_model(tmp_path: Path) -> None:
    path = tmp_path / "model.sws"
    torch.manual_seed(0)
    source, target = Model(), Model()
    with torch.no_grad():
        source.head.weight.copy_(torch.from_numpy(array(0.2)))
    source.norm.num_batches_tracked.fill_(5)
    swsfmt.torch.save_file(source.state_dict(), path)
    addresses = {name: tensor.data_ptr() for name, tensor in target.state_dict().items()}
    # Parameters, too, which belong to a graph.
    swsfmt.torch.load_file(path, out={**target.state_dict(), **dict(target.named_parameters())})
    for name, tensor in target.state_dict().items():
        assert tensor.data_ptr() == addresses[name]
        assert torch.equal(tensor, source.state_dict()[name]), name


def test_torch_refuses_another_dtype_or_shape() -> None:
    data = swsfmt.torch.save({"a": torch.ones(2, 3)})
    for wrong in (torch.ones(3, 2), torch.ones(2, 3, dtype=torch.float64)):
        with pytest.raises(InputError, match="in `out`"):
            swsfmt.torch.load(data, out={"a": wrong})


def test_torch_views() -> None:
    """Conjugate, strided, without elements, without dimensions."""
    given = {
        "complex": torch.tensor([1 + 2j, 3 - 4j]),
        "strided": torch.arange(6.0).reshape(2, 3),
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "flags": torch.tensor([True, False]),
    }
    out = {
        "complex": torch.zeros(2, dtype=torch.complex64).conj(),
        "strided": torch.zeros(3, 2).T,
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(0.0),
        "flags": torch.tensor([False, False]),
    }
    swsfmt.torch.load(swsfmt.torch.save(given), out=out)
    for name, tensor in given.items():
        assert torch.equal(out[name], tensor), name


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("library", [swsfmt, swsfmt.torch])
def test_targets_that_share_memory_hold_the_last_tensor(library: Any, threads: int) -> None:
    """Also where only parts of them do, and some are not contiguous. What is tied gets what it is tied to."""
    count, size = 60, 40_000
    arrays = {f"x{i}": ((np.arange(size) + i) % (i + 2)).astype(np.float32) for i in range(count)}
    arrays["tied"] = arrays["x0"]
    shared, slid, wide, apart = (np.zeros(2 * size, np.float32) for _ in range(4))
    out = {f"x{i}": shared[:size] for i in range(20)}
    out |= {f"x{i}": slid[10 * i : 10 * i + size] for i in range(20, 40)}
    out |= {f"x{i}": wide[i % 2 :][: 2 * size - 1 : 2] for i in range(40, 60)}
    out["tied"] = apart[:size]
    expected = {name: np.zeros_like(base) for name, base in {"s": shared, "l": slid, "w": wide}.items()}
    expected["s"][:size] = arrays["x19"]
    for i in range(20, 40):
        expected["l"][10 * i : 10 * i + size] = arrays[f"x{i}"]
    expected["w"][::2], expected["w"][1::2] = arrays["x58"], arrays["x59"]
    given: dict[str, Any] = dict(out)
    if library is swsfmt.torch:
        arrays = {name: torch.from_numpy(array) for name, array in arrays.items()}  # type: ignore[misc]
        given = {name: torch.from_numpy(array) for name, array in out.items()}
    data = library.save(arrays)
    for _ in range(5):
        for base in (shared, slid, wide, apart):
            base[:] = 0
        library.load(data, out=given, threads=threads)
        assert np.array_equal(shared, expected["s"])
        assert np.array_equal(slid, expected["l"])
        assert np.array_equal(wide, expected["w"])
        assert np.array_equal(apart[:size], np.asarray(arrays["x0"]))
