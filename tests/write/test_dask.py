"""Encoding on a cluster: two worker processes of dask give the bytes of a local run, and one of them may die."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from sws.cli import main

import swsfmt
from swsfmt import checkpoints
from swsfmt.write.file import encode_file

dask = pytest.importorskip("dask", reason="dask is not installed")
distributed = pytest.importorskip("distributed", reason="distributed is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    quiet = {"distributed.scheduler.worker-ttl": None, "distributed.comm.timeouts.connect": "60s"}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    random = np.random.default_rng(0)
    weight_map = {}
    for shard in range(2):
        tensors = {
            f"layer.{i}.weight": random.choice(np.float32([0, 0, 0, 0.5, -0.5, 1]), (300, 200))
            for i in range(shard, 12, 2)
        }
        tensors[f"shard.{shard}.bias"] = random.normal(size=300).astype(np.float32)
        file = f"model-{shard + 1:05d}-of-00002.safetensors"
        safetensors.numpy.save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(tensors, file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


@pytest.fixture(scope="module")
def expected(index: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What this process alone makes of it."""
    out = tmp_path_factory.mktemp("local") / "model.sws"
    done = CliRunner().invoke(main, ["encode", str(index), "-o", str(out), "--threads", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    return out.read_bytes()


def test_command(cluster: Any, index: Path, expected: bytes, tmp_path: Path) -> None:
    out = tmp_path / "model.sws"
    arguments = ["encode", str(index), "-o", str(out), "--dask", cluster.scheduler_address]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == expected
    assert swsfmt.verify(out).file_bytes == len(expected)


def test_a_worker_is_killed_in_the_middle(cluster: Any, index: Path, expected: bytes) -> None:
    found = checkpoints.open(str(index))
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)
        victim = min(client.run(os.getpid).values())
        killed = []

        def kill(done: int, total: int) -> None:
            if not killed and done >= total // 4:
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

        encoded = encode_file(found.tensors, found.metadata, executor=client.get_executor(), step=kill)
        assert b"".join(encoded.pieces()) == expected
        assert killed == [victim]
        client.wait_for_workers(2)
        assert victim not in client.run(os.getpid).values()


def test_a_task_kills_its_own_worker(cluster: Any, index: Path, expected: bytes, tmp_path: Path) -> None:
    """The first worker that reads this tensor dies with it; another one must read it again."""

    @dataclass(frozen=True)
    class Deadly:
        # Of a local class the workers get the code: they cannot import this module.
        tensor: Any
        mark: str

        @property
        def info(self) -> Any:
            return self.tensor.info

        def load(self) -> Any:
            try:
                os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return self.tensor.load()
            os.kill(os.getpid(), signal.SIGKILL)

    found = checkpoints.open(str(index))
    mark = tmp_path / "killed"
    deadly = Deadly(found.tensors["layer.5.weight"], str(mark))
    tensors = {name: deadly if name == "layer.5.weight" else tensor for name, tensor in found.tensors.items()}
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)
        before = client.run(os.getpid).values()
        encoded = encode_file(tensors, found.metadata, executor=client.get_executor())
        assert b"".join(encoded.pieces()) == expected
        assert mark.exists()
        client.wait_for_workers(2)
        assert len(set(client.run(os.getpid).values()) & set(before)) == 1


def test_arrays_go_to_the_workers(cluster: Any) -> None:
    """The library sends what is in memory, and gets payloads back."""
    random = np.random.default_rng(1)
    arrays = {f"layer{i}": (random.integers(1, 9, (200, 300)) * (random.random((200, 300)) < 0.2)) for i in range(6)}
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        for profile in ("fast", "small"):
            found = swsfmt.save(arrays, executor=client.get_executor(), profile=profile)
            assert found == swsfmt.save(arrays, threads=1, profile=profile)


def test_what_a_worker_raises_is_one_line(cluster: Any, index: Path, tmp_path: Path) -> None:
    """A shard that is gone when the workers look for it."""
    folder = tmp_path / "model"
    shutil.copytree(index.parent, folder)
    found = checkpoints.open(str(folder / index.name))
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"something else")
    with (
        distributed.Client(cluster.scheduler_address, set_as_default=False) as client,
        pytest.raises(swsfmt.InputError, match="has changed") as error,
    ):
        encode_file(found.tensors, executor=client.get_executor())
    assert error.value.file == str(folder / "model-00002-of-00002.safetensors")


def test_nobody_at_the_address(index: Path, tmp_path: Path) -> None:
    arguments = ["encode", str(index), "-o", str(tmp_path / "a.sws"), "--dask", "tcp://127.0.0.1:9"]
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "127.0.0.1:9" in done.stderr
    assert not (tmp_path / "a.sws").exists()
