"""Checkpoints of PyTorch that are small and stand for much, that were packed again, and what else torch.load reads."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from command import fails, run
from tensors import same, saved

import swsfmt
import swsfmt.torch
from swsfmt import ChangedError, checkpoints
from swsfmt.checkpoints import convert, pytorch

TERA = 10**13


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("numel", [TERA, 2**33])
def test_expanded_tensor_is_above_the_limit(numel: int, zipped: bool, tmp_path: Path) -> None:
    tensors = {"ok": torch.ones(3), "mask": torch.zeros(1).expand(numel)}
    path = saved(tensors, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    message = fails("encode", path)
    assert (
        f"{path}, tensor 'mask': the size of its elements, not all of which are in the file, is {4 * numel:,}"
        in message
    )
    assert f"--limit max_decoded_bytes={4 * numel}" in message
    with pytest.raises(swsfmt.LimitError) as error:
        convert(path, tmp_path / "m.sws")
    assert error.value.tensor == "mask"
    assert "report it" not in message


@pytest.mark.parametrize("given", [str, Path.read_bytes])
def test_limit_can_be_raised_and_lowered(given: Any, tmp_path: Path) -> None:
    path = saved({"mask": torch.ones(1).expand(1000, 1000)}, tmp_path / "m.pt")
    small = swsfmt.Limits(max_decoded_bytes=3_999_999)
    with pytest.raises(swsfmt.LimitError):
        checkpoints.open(given(path), limits=small)
    assert "max_decoded_bytes=4000000" in fails("encode", path, "--limit", "max_decoded_bytes=3999999")
    assert run("encode", path, "--limit", "max_decoded_bytes=4000000").exit_code == 0
    assert swsfmt.torch.load_file(tmp_path / "m.sws")["mask"].sum() == 10**6
    assert "max_decoded_bytes" in fails(
        "verify", tmp_path / "m.sws", "--against", path, "--limit", "max_decoded_bytes=3999999"
    )
    assert "there is no limit 'size'" in run("encode", path, "--limit", "size=3").stderr


def test_many_views_of_one_memory(tmp_path: Path) -> None:
    """None is larger than what is in the file, all together are."""
    base = torch.arange(10_000.0)
    path = saved({str(i): base[i:] for i in range(100)}, tmp_path / "m.pt")
    with pytest.raises(swsfmt.LimitError, match="the size of all tensors, which share memory in the file"):
        checkpoints.open(path, limits=swsfmt.Limits(max_decoded_bytes=1_000_000))
    # Names of one tensor count once.
    path = saved({str(i): base for i in range(100)}, tmp_path / "tied.pt")
    checkpoints.open(path, limits=swsfmt.Limits(max_decoded_bytes=10))


def test_what_is_as_large_itself_may_be_as_large(tmp_path: Path) -> None:
    path = saved({"a": torch.ones(1000)}, tmp_path / "m.pt")
    checkpoints.open(path, limits=swsfmt.Limits(max_decoded_bytes=10))


def test_shards_share_the_limit_of_each(tmp_path: Path) -> None:
    saved({"mask": torch.zeros(1).expand(TERA)}, tmp_path / "1.bin")
    (tmp_path / "i.json").write_text('{"weight_map": {"mask": "1.bin"}}')
    message = fails("encode", tmp_path / "i.json")
    assert f"{tmp_path / '1.bin'}, tensor 'mask'" in message


def packed(content: Any, path: Path, compression: int) -> Path:
    """As an archive that another program has unpacked and packed again."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_packed_again(compression: int, tmp_path: Path) -> None:
    """Of a compressed archive the tensors cannot stay in the file: what would be read there is something else."""
    tensors = {"zeros": torch.zeros(5000), "a": torch.arange(5000.0), "noise": torch.rand(20_000)}
    path = packed(tensors, tmp_path / "m.pt", compression)
    opened = checkpoints.open(path)
    assert all(same(swsfmt.torch.to_tensor(opened.elements(name)), tensor) for name, tensor in tensors.items())
    assert run("encode", path).exit_code == 0
    assert all(same(swsfmt.torch.load_file(tmp_path / "m.sws")[name], tensor) for name, tensor in tensors.items())


def test_compressed_archive_is_no_bomb(tmp_path: Path) -> None:
    path = packed({"a": torch.zeros(1_000_000)}, tmp_path / "m.pt", zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    with pytest.raises(swsfmt.LimitError, match="compressed in this archive"):
        checkpoints.open(path, limits=swsfmt.Limits(max_decoded_bytes=3_000_000))
    checkpoints.open(path, limits=swsfmt.Limits(max_decoded_bytes=5_000_000))


def test_cut_and_damaged_archives_are_errors_of_ours(tmp_path: Path) -> None:
    data = bytearray(saved({"a": torch.arange(50.0), "b": torch.ones(3)}, tmp_path / "m.pt").read_bytes())
    for place in range(0, len(data), 7):
        data[place] ^= 0x55
        (tmp_path / "x.pt").write_bytes(data)
        try:
            checkpoints.open(tmp_path / "x.pt")
            checkpoints.open(bytes(data))
        except (swsfmt.SwsError, MemoryError):
            pass
        data[place] ^= 0x55


def rewrite(path: Path, content: Any) -> None:
    """In place, as `cp` does; a second later, as far as the clock of the file system is concerned."""
    before = path.stat()
    with path.open("r+b") as file:
        file.truncate(0)
        torch.save(content, file)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files count as large."""
    monkeypatch.setattr(pytorch, "_SMALL", 0)


@pytest.mark.usefixtures("mapped")
def test_mapped_file_that_is_written_to(tmp_path: Path) -> None:
    path = saved({"a": torch.zeros(100_000), "tied": torch.ones(3)}, tmp_path / "m.pt")
    opened = checkpoints.open(path)
    copy = pickle.loads(pickle.dumps(opened.tensors["a"]))
    (tmp_path / "m.sws").write_text("old")
    rewrite(path, {"a": torch.ones(100_000), "tied": torch.ones(3)})
    with pytest.raises(ChangedError, match="has changed since it was opened") as error:
        opened.elements("a")
    assert error.value.file == str(path)
    with pytest.raises(ChangedError):
        convert(opened, tmp_path / "m.sws")
    with pytest.raises(ChangedError):
        pickle.dumps(opened.tensors["a"])
    assert (tmp_path / "m.sws").read_text() == "old"
    assert not copy.load().bits.any()


@pytest.mark.usefixtures("mapped")
def test_mapped_file_that_is_cut_off(tmp_path: Path) -> None:
    """To read what is not there any more would end the process."""
    path = saved({"a": torch.zeros(1_000_000)}, tmp_path / "m.pt")
    opened = checkpoints.open(path)
    os.truncate(path, 100)
    with pytest.raises(ChangedError):
        opened.elements("a")


@pytest.mark.usefixtures("mapped")
def test_what_is_read_of_a_mapped_file_is_no_part_of_it(tmp_path: Path) -> None:
    path = saved({"a": torch.zeros(1000)}, tmp_path / "m.pt")
    elements = checkpoints.open(path).elements("a")
    rewrite(path, {"a": torch.ones(1000)})
    assert not elements.bits.any()


def test_small_file_is_read_when_it_is_opened(tmp_path: Path) -> None:
    path = saved({"a": torch.zeros(1_000_000)}, tmp_path / "m.pt")
    opened = checkpoints.open(path)
    os.truncate(path, 100)
    assert not opened.elements("a").bits.any()


@pytest.mark.parametrize("small", [0, 1 << 26])
def test_file_that_is_written_to_while_it_is_opened(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytorch, "_SMALL", small)
    path = saved({"a": torch.zeros(1000)}, tmp_path / "m.pt")
    load = torch.load

    def loads(*given: Any, **more: Any) -> Any:
        loaded = load(*given, **more)
        rewrite(path, {"a": torch.ones(1000)})
        return loaded

    monkeypatch.setattr(torch, "load", loads)
    with pytest.raises(ChangedError) as error:
        checkpoints.open(path)
    assert error.value.file == str(path)
