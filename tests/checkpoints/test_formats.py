"""`swsfmt.checkpoints`: other people's files, opened and converted, there and back."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from formats import METADATA, Tensors, written

import swsfmt
import swsfmt.torch
import swsfmt.write.file
from swsfmt import checkpoints
from swsfmt.checkpoints import Checkpoint, convert, registry, sharded
from swsfmt.checkpoints.file import CheckpointFile
from swsfmt.numpy import from_array, to_array
from swsfmt.read.reader import Reader
from swsfmt.tensor import Tied


def as_sws(tensors: Tensors, file: Path, metadata: dict[str, str], **options: Any) -> bytes:
    """The .sws file of these tensors, in the order in which they are in `file`: safetensors has one of its own."""
    order = tensors if file.suffix == ".pt" else checkpoints.open(file).tensors
    return swsfmt.torch.save({name: tensors[name] for name in order}, metadata, **options)


def same(found: Any, tensors: Tensors) -> None:
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


# ---- open ------------------------------------------------------------------------------------------------------------


def test_open(checkpoint: tuple[Path, str | None], tensors: Tensors, tmp_path: Path) -> None:
    path, key = checkpoint
    opened = checkpoints.open(path, key)
    assert {name: tuple(tensor.info.shape) for name, tensor in opened.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in tensors.items()
    }
    same({name: swsfmt.torch.to_tensor(opened.elements(name)) for name in opened.tensors}, tensors)
    assert np.array_equal(to_array(opened.elements("bias")), tensors["bias"].numpy())
    assert opened.dense_bytes == sum(tensor.nbytes for tensor in tensors.values())
    assert opened.metadata == ({} if key else METADATA)
    assert opened.shards == ([tmp_path / "1.st", tmp_path / "2.st"] if path.suffix == ".json" else [])


@pytest.mark.parametrize("kind", ["pytorch", "safetensors"])
@pytest.mark.parametrize("given", [str, Path.read_bytes, lambda path: io.BytesIO(path.read_bytes())])
def test_open_takes_paths_bytes_and_files(
    kind: str, given: Callable[[Path], Any], tensors: Tensors, tmp_path: Path
) -> None:
    path = written(kind, tensors, tmp_path)
    opened = checkpoints.open(given(path), "model" if kind == "pytorch" else None)
    same({name: swsfmt.torch.to_tensor(opened.elements(name)) for name in opened.tensors}, tensors)


def test_tied_tensors(tmp_path: Path) -> None:
    weight = torch.arange(6.0)
    torch.save({"a": weight, "b": weight}, tmp_path / "tied.pt")
    opened = checkpoints.open(tmp_path / "tied.pt")
    assert opened.tensors["b"] == Tied("a")
    assert opened.elements("b") is opened.elements("a")
    assert opened.dense_bytes == 24


def test_safetensors_stay_on_disk(tensors: Tensors, tmp_path: Path) -> None:
    path = written("safetensors", tensors, tmp_path)
    opened = checkpoints.open(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(swsfmt.ChangedError, match="has changed") as error:
        opened.elements("bias")
    assert error.value.file == str(path)


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(swsfmt.TensorNotFoundError, match="'nonsense'"):
        Checkpoint({}).elements("nonsense")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (
            b"hello",
            "neither a PyTorch checkpoint nor .* nor a .npy file nor an ONNX model nor a GGUF file nor a sharded index",
        ),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04", "damaged, or not a PyTorch checkpoint"),
        (b"\x02\0\0\0\0\0\0\0{}x", "damaged or incomplete"),
        (b'{"weight_map": {"a": "../b"}}', "plain file name"),
    ],
)
def test_errors_say_in_which_file(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(swsfmt.InputError, match=complaint) as error:
        checkpoints.open(tmp_path / "a")
    assert error.value.file == str(tmp_path / "a")
    with pytest.raises(swsfmt.InputError) as error:
        checkpoints.open(content)
    assert error.value.file is None


def test_errors_say_in_which_shard(tensors: Tensors, tmp_path: Path) -> None:
    index = written("index", tensors, tmp_path)
    (tmp_path / "2.st").write_bytes((tmp_path / "2.st").read_bytes()[:-1])
    with pytest.raises(swsfmt.InputError, match="damaged or incomplete") as error:
        checkpoints.open(index)
    assert error.value.file == str(tmp_path / "2.st")
    (tmp_path / "2.st").write_text('{"weight_map": {}}')
    with pytest.raises(swsfmt.InputError, match="but it is a sharded index"):
        checkpoints.open(index)


def test_key(tensors: Tensors, tmp_path: Path) -> None:
    with pytest.raises(swsfmt.InputError, match="'model'") as error:
        checkpoints.open(written("pytorch", tensors, tmp_path))
    assert error.value.file == str(tmp_path / "net.pt")
    with pytest.raises(swsfmt.InputError, match="this is a safetensors file"):
        checkpoints.open(written("safetensors", tensors, tmp_path), "model")


def test_what_cannot_be_opened(sws: Path, tmp_path: Path) -> None:
    with pytest.raises(swsfmt.InputError, match=r"is a \.sws file already"):
        checkpoints.open(sws)
    with pytest.raises(FileNotFoundError):
        checkpoints.open(tmp_path / "absent")
    text: Any = io.StringIO("{}")
    with pytest.raises(swsfmt.InputError, match="open for text"):
        checkpoints.open(text)


# ---- convert, to .sws ------------------------------------------------------------------------------------------------


def test_to_sws(checkpoint: tuple[Path, str | None], tensors: Tensors, tmp_path: Path) -> None:
    path, key = checkpoint
    out = tmp_path / "out.sws"
    done = convert(path, out, key=key)
    assert out.read_bytes() == as_sws(tensors, path, {} if key else METADATA)
    assert (done.path, done.size, done.tensors) == (out, out.stat().st_size, 5)
    assert done.dense_bytes == sum(tensor.nbytes for tensor in tensors.values())
    assert (done.shards, done.needed_limits, done.lost_metadata) == ([], {}, False)
    # What has been opened, and to a file that is open.
    stream = io.BytesIO()
    done = convert(checkpoints.open(path, key), stream)
    assert stream.getvalue() == out.read_bytes()
    assert (done.path, done.size) == (None, out.stat().st_size)


def test_options_threads_and_executor(tensors: Tensors, tmp_path: Path) -> None:
    path = written("safetensors", tensors, tmp_path)
    convert(path, tmp_path / "a.sws", huffman=False, scan="columns", pbits=3)
    expected = as_sws(tensors, path, METADATA, huffman=False, scan="columns", pbits=3)
    assert (tmp_path / "a.sws").read_bytes() == expected
    steps: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as pool:
        convert(path, tmp_path / "b.sws", executor=pool, threads=1, step=lambda *step: steps.append(step))
    assert (tmp_path / "b.sws").read_bytes() == as_sws(tensors, path, METADATA) != expected
    assert steps[-1][0] == steps[-1][1] > len(tensors)
    with pytest.raises(swsfmt.InputError, match="scan is 'x'"):
        convert(path, tmp_path / "c.sws", scan="x")


def test_what_readers_need(tensors: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swsfmt.write.file, "DEFAULT_LIMITS", swsfmt.Limits(max_decoded_bytes=100))
    with pytest.warns(swsfmt.SwsWarning, match="larger than readers accept") as warned:
        done = convert(written("safetensors", tensors, tmp_path), tmp_path / "a.sws")
    assert f"limits=swsfmt.Limits(max_decoded_bytes={done.dense_bytes})" in str(warned[0].message)
    assert warned[0].filename == __file__
    assert done.needed_limits == {"max_decoded_bytes": done.dense_bytes}


def test_a_tensor_that_cannot_be_stored(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}'
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + b"123")
    (tmp_path / "out.sws").write_text("old")
    with pytest.raises(swsfmt.InputError, match="F6_E2M3") as error:
        convert(tmp_path / "a", tmp_path / "out.sws")
    assert (error.value.file, error.value.tensor) == (str(tmp_path / "a"), "a")
    assert (tmp_path / "out.sws").read_text() == "old"


# ---- convert, from .sws ----------------------------------------------------------------------------------------------


def test_to_safetensors(sws: Path, tensors: Tensors, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    out = tmp_path / "out.SafeTensors"
    done = convert(sws, out, threads=1, step=lambda *step: steps.append(step))
    same(safetensors.torch.load_file(out), tensors)
    with safetensors.safe_open(out, "pt") as file:
        assert file.metadata() == METADATA
    assert (done.path, done.size, done.tensors) == (out, out.stat().st_size, 5)
    assert done.dense_bytes == sum(tensor.nbytes for tensor in tensors.values())
    assert not done.lost_metadata
    assert steps == [(number, 5) for number in range(1, 6)]
    stream = io.BytesIO()
    done = convert(sws.read_bytes(), stream)
    assert stream.getvalue() == out.read_bytes()
    assert (done.path, done.size) == (None, out.stat().st_size)


@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_to_pytorch(suffix: str, sws: Path, tensors: Tensors, tmp_path: Path) -> None:
    out = tmp_path / f"out.{suffix}"
    done = convert(str(sws), str(out))
    same(torch.load(out, weights_only=True), tensors)
    assert (done.path, done.size) == (out, out.stat().st_size)
    assert done.lost_metadata
    swsfmt.torch.save_file(tensors, sws)
    assert not convert(sws, out).lost_metadata


@pytest.mark.parametrize("size", [2000, "2KB"])
def test_to_shards_and_back(size: int | str, sws: Path, tensors: Tensors, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    done = convert(sws, folder, max_shard_size=size)
    assert done.path == folder / "model.safetensors.index.json"
    assert done.shards == [folder / f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert done.size == sum(path.stat().st_size for path in folder.iterdir())
    same({k: v for path in done.shards for k, v in safetensors.torch.load_file(path).items()}, tensors)
    convert(done.path, tmp_path / "again.sws")
    assert (tmp_path / "again.sws").read_bytes() == sws.read_bytes()
    done = convert(sws, folder / "one.safetensors", max_shard_size="1GB")
    assert (done.path, done.shards) == (folder / "one.safetensors", [folder / "one.safetensors"])


def test_from_a_reader_that_is_open(sws: Path, tensors: Tensors, tmp_path: Path) -> None:
    decoded: list[str] = []
    with Reader.open(sws, on_decode=lambda record, _: decoded.append(record.name)) as reader:
        convert(reader, tmp_path / "out.safetensors")
        assert sorted(decoded) == sorted(tensors)
        assert torch.equal(swsfmt.torch.to_tensor(reader.read("bias")), tensors["bias"])
    same(safetensors.torch.load_file(tmp_path / "out.safetensors"), tensors)


def test_limits(sws: Path, tmp_path: Path) -> None:
    with pytest.raises(swsfmt.LimitError, match="max_tensors"):
        convert(sws, tmp_path / "out.pt", limits=swsfmt.Limits(max_tensors=4))


def test_damage_leaves_what_was_there(sws: Path, tmp_path: Path) -> None:
    data = bytearray(sws.read_bytes())
    data[-1] ^= 1
    sws.write_bytes(data)
    for out in (tmp_path / "out.pt", tmp_path / "out.safetensors"):
        out.write_text("old")
        with pytest.raises(swsfmt.ChecksumError) as error:
            convert(sws, out)
        assert error.value.file == str(sws)
        assert out.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


def test_dtype_that_safetensors_lacks(tmp_path: Path) -> None:
    swsfmt.save_file({"z": np.ones(3, np.complex128)}, tmp_path / "a.sws")
    with pytest.raises(swsfmt.InputError, match="C128") as error:
        convert(tmp_path / "a.sws", tmp_path / "a.safetensors")
    assert (error.value.file, error.value.tensor) == (str(tmp_path / "a.sws"), "z")
    convert(tmp_path / "a.sws", tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)["z"].tolist() == [1, 1, 1]


# ---- a new format ----------------------------------------------------------------------------------------------------


class Lines:
    """A toy: names and numbers, one tensor a line."""

    name = "a file of lines"
    has_entries = False
    suffixes: tuple[str, ...] = (".lines",)
    has_metadata = False

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"lines\n")

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        content = source.content if isinstance(source.content, bytes) else Path(source.content).read_bytes()
        lines = (line.split() for line in content.decode().splitlines()[1:])
        return Checkpoint({name: from_array(np.array(list(map(int, numbers)))) for name, *numbers in lines})

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        file.write(b"lines\n")
        for name in reader.keys():  # noqa: SIM118
            numbers = " ".join(map(str, to_array(reader.read(name, threads))))
            file.write(f"{name} {numbers}\n".encode())


def test_a_new_format_is_a_class_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FILE_FORMATS", (*registry.FILE_FORMATS, Lines()))
    monkeypatch.setattr(registry, "FORMATS", (*registry.FILE_FORMATS, sharded.ShardedIndex(registry.FILE_FORMATS)))
    path = tmp_path / "a.lines"
    path.write_text("lines\na 1 2 3\nb 4\n")
    convert(path, tmp_path / "a.sws")
    assert swsfmt.load_file(tmp_path / "a.sws")["a"].tolist() == [1, 2, 3]
    convert(tmp_path / "a.sws", tmp_path / "b.lines")
    assert (tmp_path / "b.lines").read_text() == path.read_text()
    with pytest.raises(swsfmt.InputError, match=r"\.onnx or \.lines"):
        convert(tmp_path / "a.sws", tmp_path / "b.txt")
