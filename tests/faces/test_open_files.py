"""Files that are open already, wherever a path is taken: of the system, in memory, in an archive, a pipe."""

from __future__ import annotations

import gzip
import io
import mmap
import os
import pickle
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import swsfmt
import swsfmt.torch
from swsfmt.read.reader import Reader
from swsfmt.read.source import open_source

ARRAYS = {"a": np.arange(3000.0), "b": np.ones((40, 50), np.float32)}
DATA = swsfmt.save(ARRAYS, {"note": "x"})


@contextmanager
def plain(path: Path, *, buffering: int = -1) -> Iterator[Any]:
    with path.open("rb", buffering=buffering) as file:
        yield file


@contextmanager
def in_archive(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "m.sws")
    with zipfile.ZipFile(path.with_suffix(".zip")) as archive, archive.open("m.sws") as file:
        yield file


@contextmanager
def gzipped(path: Path) -> Iterator[Any]:
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    with gzip.open(path.with_suffix(".gz")) as file:
        yield file


@contextmanager
def mapped(path: Path) -> Iterator[Any]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        yield memory


@contextmanager
def temporary(path: Path) -> Iterator[Any]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(path.read_bytes())
        file.seek(0)
        yield file


@contextmanager
def updated(path: Path) -> Iterator[Any]:
    """Open for both, with bytes that have not reached the disk."""
    data = path.read_bytes()
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.write(data)
        file.seek(0)
        yield file


@contextmanager
def piped(path: Path) -> Iterator[Any]:
    read, write = os.pipe()
    data = path.read_bytes()

    def fill() -> None:
        with os.fdopen(write, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    with os.fdopen(read, "rb") as file:
        yield file
    thread.join()


@contextmanager
def in_memory(path: Path) -> Iterator[Any]:
    yield io.BytesIO(path.read_bytes())


@contextmanager
def unbuffered(path: Path) -> Iterator[Any]:
    with plain(path, buffering=0) as file:
        yield file


KINDS = [plain, unbuffered, in_memory, in_archive, gzipped, mapped, temporary, updated, piped]
Opens = Callable[[Path], Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "m.sws").write_bytes(DATA)
    return tmp_path / "m.sws"


def same(loaded: Any) -> None:
    assert list(loaded) == list(ARRAYS)
    assert all(np.array_equal(np.asarray(loaded[name]), array) for name, array in ARRAYS.items())


@pytest.mark.parametrize("opens", KINDS)
def test_reading(opens: Opens, path: Path) -> None:
    uses: list[Callable[[Any], None]] = [
        lambda file: same(swsfmt.load_file(file)),
        lambda file: same(swsfmt.torch.load_file(file)),
        lambda file: same(swsfmt.safe_open(file).get_tensors()),
        lambda file: same(swsfmt.torch.safe_open(file).get_tensors()),
        lambda file: np.testing.assert_array_equal(swsfmt.safe_open(file).get_slice("b")[3:5], ARRAYS["b"][3:5]),
        lambda file: np.testing.assert_equal(swsfmt.inspect(file).file_bytes, len(DATA)),
        lambda file: np.testing.assert_equal(swsfmt.verify(file).file_bytes, len(DATA)),
        lambda file: swsfmt.checkpoints.convert(file, path.with_suffix(".safetensors")) and None,
    ]
    for use in uses:
        with opens(path) as file:
            use(file)
            assert not file.closed
        path.write_bytes(DATA)


@pytest.mark.parametrize("opens", [plain, unbuffered, in_memory, mapped, piped])
def test_from_where_it_stands(opens: Opens, path: Path) -> None:
    path.write_bytes(b"before" + DATA)
    with opens(path) as file:
        file.read(6)
        same(swsfmt.load_file(file))


@pytest.mark.parametrize("opens", [plain, in_memory, mapped])
def test_only_what_is_asked_for_is_read(opens: Opens, path: Path) -> None:
    """And several threads may ask at once."""
    with opens(path) as file, swsfmt.safe_open(file) as handle:
        threads = [threading.Thread(target=lambda: same(handle.get_tensors())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_a_plain_file_is_not_moved(path: Path) -> None:
    """So that processes that were forked, which share its place, do not disturb each other."""
    with path.open("rb") as file, swsfmt.safe_open(file) as handle:
        file.seek(5)
        same(handle.get_tensors())
        assert file.tell() == 5


def test_a_reader_of_an_open_file_can_be_pickled(path: Path) -> None:
    with path.open("rb") as file:
        copy = pickle.loads(pickle.dumps(open_source(file)))
    with Reader(copy) as reader:
        assert reader.keys() == list(ARRAYS)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (io.StringIO("x"), "open for text"),
        (io.BytesIO(b""), "the file is empty"),
        (io.BytesIO(DATA[:-1]), "the file ends early"),
    ],
)
def test_what_is_refused(file: Any, text: str) -> None:
    for ask in (swsfmt.load_file, swsfmt.safe_open, swsfmt.inspect, swsfmt.verify, swsfmt.torch.load_file):
        file.seek(0)
        with pytest.raises(swsfmt.SwsError, match=text):
            ask(file)


def test_closed_and_for_writing_alone(path: Path) -> None:
    file = io.BytesIO(DATA)
    file.close()
    with pytest.raises(swsfmt.InputError, match="cannot be read"):
        swsfmt.load_file(file)
    with path.open("wb") as writing, pytest.raises(swsfmt.InputError, match="cannot be read"):
        swsfmt.load_file(writing)


def test_writing(tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    for save in (
        lambda file: swsfmt.save_file(ARRAYS, file, {"note": "x"}),
        lambda file: swsfmt.torch.save_file(tensors, file, {"note": "x"}),
    ):
        stream = io.BytesIO()
        stream.write(b"before")
        save(stream)
        assert stream.getvalue() == b"before" + DATA
        with (tmp_path / "out.sws").open("wb") as file:
            save(file)
            assert (tmp_path / "out.sws").read_bytes() == DATA
        with gzip.open(tmp_path / "out.gz", "wb") as packed:
            save(packed)
        assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == DATA
        with pytest.raises(swsfmt.InputError, match="open for text"):
            save(io.StringIO())


def test_models(path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    stream = io.BytesIO()
    swsfmt.torch.save_model(model, stream)
    stream.seek(0)
    other = torch.nn.Linear(3, 2)
    assert swsfmt.torch.load_model(other, stream) == ([], [])
    assert torch.equal(model.weight, other.weight)
    stream.seek(0)
    with pytest.raises(RuntimeError):
        swsfmt.torch.load_model(torch.nn.Linear(3, 4), stream)
