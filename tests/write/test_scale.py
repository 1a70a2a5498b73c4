"""The same bytes in any number of threads and on any executor; tensors are read when needed; shards out and in."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from command import run

import swsfmt
import swsfmt.torch
from swsfmt import checkpoints, parallel
from swsfmt.dtypes import F32
from swsfmt.entropy import kernels
from swsfmt.options import Options
from swsfmt.parallel import Team
from swsfmt.tensor import Elements, TensorInfo, Tied
from swsfmt.write import executors
from swsfmt.write.file import encode, encode_file

Arrays = dict[str, np.ndarray[Any, Any]]

FAST = Options(profile="fast")


def make_arrays() -> Arrays:
    """Every coding, shared and own codebooks, streams with chunk tables, dead rows, ties, a lone large tensor."""
    rng = np.random.default_rng(3)

    def sparse(shape: tuple[int, ...], density: float, values: int = 9) -> np.ndarray[Any, Any]:
        return (rng.integers(1, values, shape) * (rng.random(shape) < density)).astype(np.float32)

    tall = sparse((900, 700), 0.1)
    tall[rng.random(900) < 0.4] = 0
    arrays: Arrays = {
        "dense": rng.integers(0, 16, (1000, 600)).astype(np.float32),
        "tall": tall,
        "wide": np.ascontiguousarray(tall.T),
        "columns": np.repeat(sparse((1, 500), 0.3), 400, axis=0),
        "raw": rng.standard_normal((300, 500)).astype(np.float32),
        "narrow": rng.standard_normal(40_000).astype(np.float16).astype(np.float32),
        "zeros": np.zeros((200, 300)),
        "many values": rng.integers(0, 4000, 300_000),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(3.5),
    }
    for number in range(12):
        arrays[f"layer{number}.weight"] = sparse((60, 50), 0.1 * (number % 5))
        arrays[f"layer{number}.bias"] = rng.standard_normal(60).astype(np.float32)
    arrays["tied"] = tall
    return arrays


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return make_arrays()


@pytest.fixture(scope="module")
def expected(arrays: Arrays) -> bytes:
    data = swsfmt.save(arrays, threads=1)
    assert {tensor.coding for tensor in swsfmt.verify(data).tensors} == {
        "raw",
        "narrow",
        "alias",
        "dense",
        "sparse",
        "classes",
        "planes",
    }
    return data


# ---- threads and executors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [2, 5, None])
def test_any_number_of_threads_gives_the_same_bytes(
    threads: int | None, arrays: Arrays, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small enough that the tensors here are cut for the threads, and wait for each other.
    monkeypatch.setattr(kernels, "_PART", 1 << 12)
    monkeypatch.setattr(executors, "_OWN_BYTES", 1 << 12)
    assert swsfmt.save(arrays, threads=threads) == expected


@pytest.mark.usefixtures("each_kernel")
def test_any_kernel_in_threads_gives_the_same_bytes(arrays: Arrays, expected: bytes) -> None:
    assert swsfmt.save(arrays, threads=3) == expected


def test_threads_are_used(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()

    class Watched(Team):
        def __init__(self, threads: int) -> None:
            seen.add(threads)
            super().__init__(threads)

    monkeypatch.setattr(parallel, "Team", Watched)
    swsfmt.save(arrays, threads=1)
    assert seen == set()
    swsfmt.save(arrays, threads=5)
    assert 5 in seen


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.slow
def test_processes(arrays: Arrays, expected: bytes, processes: Executor, tmp_path: Path) -> None:
    assert swsfmt.save(arrays, executor=processes) == expected
    swsfmt.save_file(arrays, tmp_path / "a.sws", executor=processes)
    assert (tmp_path / "a.sws").read_bytes() == expected


def test_threads_of_the_caller(arrays: Arrays, expected: bytes) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert swsfmt.save(arrays, executor=pool) == expected
        assert swsfmt.save(arrays, executor=pool, threads=2) == expected
        # The pool is the caller's, and goes on.
        assert pool.submit(int, 3).result() == 3


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"profile": "small"}, {"scan": "columns", "huffman": False}, {"pbits": 3}])
def test_options_do_not_change_that(options: dict[str, Any], processes: Executor) -> None:
    random = np.random.default_rng(8)
    some = {f"{i}": random.integers(1, 9, (90, 70)) * (random.random((90, 70)) < 0.3) for i in range(9)}
    some["large"] = random.integers(0, 3, (900, 700))
    alone = swsfmt.save(some, threads=1, **options)
    assert swsfmt.save(some, threads=3, **options) == alone
    assert swsfmt.save(some, executor=processes, **options) == alone


@pytest.mark.slow
def test_torch_takes_them_too(arrays: Arrays, processes: Executor, tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    data = swsfmt.torch.save(tensors, threads=1)
    assert swsfmt.torch.save(tensors, threads=2) == data
    swsfmt.torch.save_file(tensors, tmp_path / "a.sws", executor=processes)
    assert (tmp_path / "a.sws").read_bytes() == data


class Recorder(Executor):
    """Runs a task when its result is asked for, through pickle, as a cluster would; and counts what waits."""

    def __init__(self) -> None:
        self.waiting: set[int] = set()
        self.most = self.number = 0

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        sent = pickle.dumps((function, args, kwargs))
        self.number += 1
        self.waiting.add(self.number)
        self.most = max(self.most, len(self.waiting))
        return Late(self, self.number, sent)


class Late(Future[Any]):
    def __init__(self, recorder: Recorder, number: int, sent: bytes) -> None:
        super().__init__()
        self.recorder, self.own_number, self.sent = recorder, number, sent

    def result(self, timeout: float | None = None) -> Any:
        self.recorder.waiting.remove(self.own_number)
        function, args, kwargs = pickle.loads(self.sent)
        return pickle.loads(pickle.dumps(function(*args, **kwargs)))

    def cancel(self) -> bool:
        self.recorder.waiting.remove(self.own_number)
        return True


def test_an_executor_gets_what_can_be_pickled_and_not_too_much_at_once(
    arrays: Arrays, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    assert swsfmt.save(arrays, executor=recorder) == expected
    assert recorder.most > 10
    assert recorder.waiting == set()
    few = Recorder()
    monkeypatch.setattr(executors, "_TASKS", 3)
    assert swsfmt.save(arrays, executor=few) == expected
    assert few.most == 3
    small = Recorder()
    monkeypatch.setattr(executors, "_SENT_BYTES", 0)
    assert swsfmt.save({"a": arrays["dense"], "b": arrays["dense"] + 1}, executor=small)
    assert small.most == 1


@dataclass
class Counted:
    """A tensor that counts how often it is read, and how many are in memory."""

    name: str
    elements: Elements
    reads: list[str] = field(default_factory=list)

    @property
    def info(self) -> TensorInfo:
        return self.elements.info

    def load(self) -> Elements:
        self.reads.append(self.name)
        return self.elements


def test_what_an_executor_raises_comes_out_and_the_rest_is_cancelled(arrays: Arrays) -> None:
    class Broken(Recorder):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = super().submit(function, *args, **kwargs)
            if self.number == 5:
                future.sent = pickle.dumps((int, ("no number",), {}))  # type: ignore[attr-defined]
            return future

    broken = Broken()
    with pytest.raises(ValueError, match="no number"):
        swsfmt.save(arrays, executor=broken)
    assert broken.waiting == set()


def test_errors_survive_the_way_back() -> None:
    error = swsfmt.InputError("damaged", file="a", tensor="b", offset=3)
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (swsfmt.InputError, str(error))
    assert (back.file, back.tensor, back.offset) == ("a", "b", 3)


# ---- tensors that are read when they are needed ----------------------------------------------------------------------


def elements_of(array: np.ndarray[Any, Any]) -> Elements:
    return Elements(TensorInfo(F32, array.shape), array.astype("<f4").reshape(-1).view("<u4"))


def test_tensors_are_read_when_needed_and_let_go(arrays: Arrays) -> None:
    """A raw tensor is read to be examined and to be written, a coded one once for each stage."""
    reads: list[str] = []
    tensors: dict[str, Counted | Tied] = {
        name: Counted(name, elements_of(arrays[name]), reads) for name in ("raw", "dense", "tall", "narrow")
    }
    tensors["tied"] = Tied("tall")
    encoded = encode_file(tensors, options=FAST, threads=1)
    assert reads == ["raw", "dense", "tall", "narrow", "dense", "tall", "dense", "tall"]
    reads.clear()
    data = b"".join(encoded.pieces())
    assert reads == ["raw", "narrow"]
    assert len(data) == encoded.size
    eager = {name: t.elements if isinstance(t, Counted) else t for name, t in tensors.items()}
    assert data == encode(eager, options=FAST)


def test_pieces_are_made_one_by_one(arrays: Arrays) -> None:
    reads: list[str] = []
    encoded = encode_file(
        {n: Counted(n, elements_of(arrays[n]), reads) for n in ("raw", "narrow")}, options=FAST, threads=1
    )
    reads.clear()
    pieces = encoded.pieces()
    assert next(pieces) == encoded.prefix
    assert reads == []
    assert bytes(next(pieces)) == arrays["raw"].tobytes()
    assert reads == ["raw"]


def test_progress_goes_up_to_the_end(arrays: Arrays) -> None:
    told: list[tuple[int, int]] = []
    tensors = {name: elements_of(array) for name, array in arrays.items() if array.dtype == np.float32}
    encode_file(tensors, options=FAST, threads=1, step=lambda done, total: told.append((done, total)))
    assert len(told) == 3 * len(tensors)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == told[0][1]


def test_a_choice_that_is_made_again_makes_more_progress_to_go() -> None:
    """Two values in nearly random places of a tiny tensor: a codebook looks good until it is made."""
    tensors = {"a": elements_of(np.arange(1, 40)), "b": elements_of(np.arange(1, 41) / 64)}
    told: list[tuple[int, int]] = []
    encode_file(tensors, threads=1, step=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]


# ---- safetensors files ----------------------------------------------------------------------------------------------


@pytest.fixture
def index(arrays: Arrays, tmp_path: Path) -> Path:
    """The arrays in three shards, in an order of their own."""
    names = [name for name in arrays if name != "tied"]
    weight_map = {}
    for number in range(3):
        file = f"model-{number + 1:05d}-of-00003.safetensors"
        part = {name: np.asarray(arrays[name]) for name in names[number::3]}
        safetensors.numpy.save_file(part, tmp_path / file, {"format": "np"})
        weight_map |= dict.fromkeys(part, file)
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {name: weight_map[name] for name in names}}))
    return path


def test_shards_are_not_read_before_they_are_encoded(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints.safetensors.Stored, "load", None)
    found = checkpoints.open(str(index))
    assert found.dense_bytes == sum(t.info.nbytes for t in found.tensors.values() if not isinstance(t, Tied))
    assert all(isinstance(tensor, checkpoints.safetensors.Stored) for tensor in found.tensors.values())


def test_shards_give_the_same_file_as_arrays(index: Path, arrays: Arrays, tmp_path: Path) -> None:
    own = {name: array for name, array in arrays.items() if name != "tied"}
    expected = swsfmt.save(own, {"format": "np"})
    for threads in (1, 2, 5):
        out = tmp_path / f"{threads}.sws"
        assert run("encode", index, "-o", out, "--threads", threads).exit_code == 0
        assert out.read_bytes() == expected


@pytest.mark.slow
def test_processes_read_shards_themselves(
    index: Path, arrays: Arrays, processes: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(index.parent)
    found = checkpoints.open(index.name)
    assert max(len(pickle.dumps(tensor)) for tensor in found.tensors.values()) < 1000
    own = {name: array for name, array in arrays.items() if name != "tied"}
    assert encode(found.tensors, found.metadata, executor=processes) == swsfmt.save(own, {"format": "np"})


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_that_changes_under_the_encoder_is_an_error(threads: int, index: Path) -> None:
    found = checkpoints.open(str(index))
    shard = found.shards[1]
    data = shard.read_bytes()
    shard.write_bytes(data + b"x")
    with pytest.raises(swsfmt.InputError, match="has changed") as error:
        encode_file(found.tensors, threads=threads)
    assert error.value.file == str(shard)
    # The same size, another time.
    shard.write_bytes(data)
    os.utime(shard, ns=(0, 0))
    with pytest.raises(swsfmt.InputError, match="has changed"):
        encode_file(found.tensors, threads=threads)
