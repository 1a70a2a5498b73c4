"""A coding is one object: a new one, registered here and nowhere else, goes everywhere that the others go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from command import run
from toy import PRIVATE, ArithmeticProgression

import swsfmt
from swsfmt.codings import coding_of, register, unregister


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register(ArithmeticProgression())
    yield
    unregister(PRIVATE)


ARRAYS = {
    "weight": np.random.default_rng(0).choice(np.float32([0, 0, 0.5, 1]), (40, 50)),
    "positions": np.arange(5, 3005, 3, dtype=np.int32).reshape(100, 10),
    # Of a few values: a codebook could hold them, and is no match.
    "steps": np.arange(300, dtype=np.int32),
    "noise": np.random.default_rng(1).integers(0, 1 << 30, 70, dtype=np.int32),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    swsfmt.save_file(ARRAYS, tmp_path / "model.sws", {"k": "v"})
    return tmp_path / "model.sws"


def same(found: dict[str, Any]) -> bool:
    return list(found) == list(ARRAYS) and all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)


@pytest.mark.parametrize("options", [{}, {"profile": "small"}, {"threads": 3}, {"huffman": False}], ids=str)
def test_save_and_load(options: dict[str, Any]) -> None:
    data = swsfmt.save(ARRAYS, **options)
    assert same(swsfmt.load(data))
    assert same(swsfmt.load(data, threads=3))
    out = {name: np.empty_like(array) for name, array in ARRAYS.items()}
    assert swsfmt.load(data, out=out)["positions"] is out["positions"]
    assert same(out)
    coded = {tensor.name: tensor.coding for tensor in swsfmt.inspect(data).tensors}
    assert (coded["positions"], coded["steps"]) == ("progression", "progression")
    assert "progression" not in (coded["weight"], coded["noise"])


def test_slices(file: Path) -> None:
    with swsfmt.safe_open(file) as f:
        assert f.get_slice("positions").get_dtype() == "I32"
        for index in (0, -1, slice(3, 7), slice(None, None, 9), (slice(2, 4), 5)):
            assert np.array_equal(f.get_slice("positions")[index], ARRAYS["positions"][index])
        assert same(f.get_tensors())


def test_report(file: Path) -> None:
    """The size report knows its section, in bits and in the whole, and the file is accounted for to the byte."""
    report = swsfmt.verify(file)
    tensor = next(tensor for tensor in report.tensors if tensor.name == "positions")
    assert (tensor.coding, tensor.scan, tensor.pbits, tensor.nonzero) == ("progression", "rows", None, 1000)
    assert tensor.section_bits["progression"] == 32
    assert report.sections["progression"] == 8
    assert sum(report.sections.values()) == report.file_bytes == file.stat().st_size


def test_command(file: Path, tmp_path: Path) -> None:
    shown = run("inspect", file)
    assert shown.exit_code == 0
    assert "progression" in shown.stdout
    assert "arithmetic progressions" in shown.stdout
    assert run("decode", file).exit_code == 0
    dense = tmp_path / "model.safetensors"
    assert same({name: safetensors.numpy.load_file(dense)[name] for name in ARRAYS})
    assert run("verify", file, "--against", dense).exit_code == 0
    done = run("encode", dense, "-o", tmp_path / "again.sws", "--json")
    assert done.exit_code == 0
    codings = {tensor["name"]: tensor["coding"] for tensor in json.loads(done.stdout)["tensors"]}
    assert codings["positions"] == "progression"
    assert (tmp_path / "again.sws").read_bytes() == file.read_bytes()


def test_processes() -> None:
    """Workers that have only what is sent to them: they do not know the coding by its id."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert not executor.submit(coding_of, PRIVATE).result().is_known
        assert swsfmt.save(ARRAYS, executor=executor) == swsfmt.save(ARRAYS)


def test_dask() -> None:
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="inproc://"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        assert swsfmt.save(ARRAYS, executor=client.get_executor()) == swsfmt.save(ARRAYS)


def test_compression_report_counts_it() -> None:
    """By the role of its section."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from sws.compress import compression_report
    from sws.prior import init_mixture

    model = torch.nn.Linear(4, 3)
    model.register_buffer("positions", torch.arange(100, dtype=torch.int32))
    report = compression_report(model, init_mixture(model, J=2))
    entry = next(entry for entry in report["other"] if entry["layer"] == "positions")
    assert entry["bits_A"] == 32
    bits = sum(
        entry[key] for entry in [*report["layers"], *report["other"]] for key in entry if key.startswith("bits_")
    )
    assert bits + report["shared_bits"] == report["compressed_bits"]


def test_readers_that_do_not_know_it(file: Path) -> None:
    unregister(PRIVATE)
    try:
        with swsfmt.safe_open(file) as f:
            assert np.array_equal(f.get_tensor("weight"), ARRAYS["weight"])
            with pytest.raises(swsfmt.UnknownCodingError, match="coding 14"):
                f.get_tensor("positions")
        assert swsfmt.inspect(file).tensors[1].coding == "unknown (14)"
    finally:
        register(ArithmeticProgression())


def test_an_id_is_taken_once() -> None:
    with pytest.raises(ValueError, match="'progression' already"):
        register(ArithmeticProgression())
