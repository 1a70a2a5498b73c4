"""A process that dies while it writes leaves the old file or none, never half a file."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt.checkpoints import convert
from swsfmt.write.atomic import write_atomically

OLD = {"a": np.arange(3, dtype=np.float32)}
NEW = {"a": np.arange(1000, dtype=np.float32)}

# Where the process dies: the code that makes it do so.
DEATHS = {
    "before the data is written": "os.fdopen = dies",
    "before the data is on disk": "os.fsync = dies",
    "while the data is written": "os.fdopen = lambda *a, **k: DiesHalfway(*a, **k)",
    "before the permissions are set": "os.chmod = dies",
    "before the new file takes its place": "os.replace = dies",
}
PROGRAM = """
import io, os, sys
import numpy as np
import swsfmt

def dies(*args, **kwargs):
    os._exit(42)

class DiesHalfway(io.FileIO):
    def write(self, data):
        super().write(data[: len(data) // 2])
        os._exit(42)

{death}
swsfmt.save_file({{"a": np.arange(1000, dtype=np.float32)}}, sys.argv[1])
"""


@pytest.mark.parametrize(
    ("death", "before"),
    [
        (death, before)
        for death in DEATHS
        for before in ("old file", "no file")
        # Only an old file has permissions to be kept.
        if (death, before) != ("before the permissions are set", "no file")
    ],
)
def test_killed_while_writing(tmp_path: Path, death: str, before: str) -> None:
    path = tmp_path / "m.sws"
    if before == "old file":
        swsfmt.save_file(OLD, path)
    ended = subprocess.run([sys.executable, "-c", PROGRAM.format(death=DEATHS[death]), str(path)], check=False)
    assert ended.returncode == 42
    if before == "old file":
        np.testing.assert_array_equal(swsfmt.load_file(path)["a"], OLD["a"])
    else:
        assert not path.exists()
    # What the dead process left behind, if anything, does not look like a model.
    assert [p.name for p in tmp_path.glob("*.sws")] == ([path.name] if before == "old file" else [])
    swsfmt.save_file(NEW, path)
    np.testing.assert_array_equal(swsfmt.load_file(path)["a"], NEW["a"])


@pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX systems only")
def test_killed_after_the_new_file_took_its_place(tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    swsfmt.save_file(OLD, path)
    death = "os.open = lambda path, *a, _open=os.open, **k: dies() if os.path.isdir(path) else _open(path, *a, **k)"
    ended = subprocess.run([sys.executable, "-c", PROGRAM.format(death=death), str(path)], check=False)
    assert ended.returncode == 42
    np.testing.assert_array_equal(swsfmt.load_file(path)["a"], NEW["a"])


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "m.sws"
    swsfmt.save_file(OLD, path)

    def fails(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fails)
        with pytest.raises(OSError, match="No space left"):
            swsfmt.save_file(NEW, path)
    assert [p.name for p in tmp_path.iterdir()] == ["m.sws"]
    np.testing.assert_array_equal(swsfmt.load_file(path)["a"], OLD["a"])


def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupts(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupts)
    with pytest.raises(KeyboardInterrupt):
        swsfmt.save_file(NEW, tmp_path / "m.sws")
    assert list(tmp_path.iterdir()) == []


def test_bad_input_does_not_touch_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.sws"
    swsfmt.save_file(OLD, path)
    with pytest.raises(swsfmt.InputError):
        swsfmt.save_file({"a": [1]}, path)  # type: ignore[dict-item]
    assert [p.name for p in tmp_path.iterdir()] == ["m.sws"]
    np.testing.assert_array_equal(swsfmt.load_file(path)["a"], OLD["a"])


def test_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "none" / "m.sws"
    with pytest.raises(FileNotFoundError) as error:
        swsfmt.save_file(OLD, path)
    assert str(error.value) == f"[Errno 2] No such file or directory: {str(path)!r}"


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    """The error is of the renaming, which names two files; the temporary one is nobody's concern."""
    path = tmp_path / "m.sws"
    path.mkdir()
    with pytest.raises(OSError, match=r"m\.sws") as error:
        swsfmt.save_file(OLD, path)
    assert str(error.value).endswith(f": {str(path)!r}")
    assert (error.value.filename, error.value.filename2) == (str(path), None)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new.sws", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new.sws").stat().st_mode) == 0o640
    (tmp_path / "old.sws").write_bytes(b"old")
    (tmp_path / "old.sws").chmod(0o604)
    write_atomically(tmp_path / "old.sws", b"x")
    assert stat.S_IMODE((tmp_path / "old.sws").stat().st_mode) == 0o604


@pytest.mark.skipif(os.name != "posix", reason="symbolic links of POSIX systems")
def test_a_link_is_followed_or_replaced_but_never_half_written(tmp_path: Path) -> None:
    (tmp_path / "real.sws").write_bytes(swsfmt.save(OLD))
    (tmp_path / "link.sws").symlink_to("real.sws")
    swsfmt.save_file(NEW, tmp_path / "link.sws")
    np.testing.assert_array_equal(swsfmt.load_file(tmp_path / "link.sws")["a"], NEW["a"])
    swsfmt.verify(tmp_path / "real.sws")


def test_longest_file_name(tmp_path: Path) -> None:
    """The temporary file has a longer name; a name that the file system allows must do nevertheless."""
    path = tmp_path / ("m" * 251 + ".sws")
    swsfmt.save_file(OLD, path)
    np.testing.assert_array_equal(swsfmt.load_file(path)["a"], OLD["a"])


@pytest.mark.skipif(os.name != "posix", reason="special files of POSIX systems")
class TestSpecialFiles:
    """What is no regular file stays what it is."""

    def test_a_pipe_with_a_reader(self, tmp_path: Path) -> None:
        for name in ("pipe", "link"):
            if name == "pipe":
                os.mkfifo(tmp_path / name)
            else:
                (tmp_path / name).symlink_to("pipe")
            with subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "import sys; f = open(sys.argv[1], 'rb'); print(flush=True); d = f.read();"
                    "sys.stdout.buffer.write(d)",
                    str(tmp_path / "pipe"),
                ],
                stdout=subprocess.PIPE,
            ) as reader:
                assert reader.stdout is not None
                holder = os.open(tmp_path / "pipe", os.O_WRONLY)
                reader.stdout.readline()
                swsfmt.save_file(NEW, tmp_path / name)
                os.close(holder)
                assert reader.stdout.read() == swsfmt.save(NEW)
            assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]

    def test_a_pipe_that_nobody_reads(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="pipe") as error:
            swsfmt.save_file(NEW, tmp_path / "pipe")
        assert error.value.filename == str(tmp_path / "pipe")
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)

    def test_a_socket_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The path of a socket may not be long.
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
            with pytest.raises(OSError, match="socket"):
                swsfmt.save_file(NEW, "socket")
            assert stat.S_ISSOCK(os.stat("socket").st_mode)

    @pytest.mark.parametrize("through", ["itself", "a link"])
    def test_a_device(self, tmp_path: Path, through: str) -> None:
        path = "/dev/null"
        if through == "a link":
            path = str(tmp_path / "link")
            os.symlink("/dev/null", path)
        before = os.stat("/dev/null")
        swsfmt.save_file(NEW, path)
        after = os.stat("/dev/null")
        assert stat.S_ISCHR(after.st_mode)
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)

    def test_a_full_device(self) -> None:
        if not os.path.exists("/dev/full"):
            pytest.skip("there is none")
        with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
            swsfmt.save_file(NEW, "/dev/full")

    def test_an_open_pipe_by_its_number(self, tmp_path: Path) -> None:
        reading, writing = os.pipe()
        swsfmt.save_file(OLD, f"/dev/fd/{writing}")
        os.close(writing)
        with open(reading, "rb") as file:
            assert file.read() == swsfmt.save(OLD)

    def test_shards_replace_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors.index.json").mkdir()
        swsfmt.save_file({"a": np.zeros(9), "b": np.ones(9)}, tmp_path / "m.sws")
        with pytest.raises(swsfmt.InputError, match="no regular file"):
            convert(tmp_path / "m.sws", tmp_path, max_shard_size=72)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m.sws", "model.safetensors.index.json"]


class Short(io.RawIOBase):
    """Takes three bytes at a time, and no more than `room`."""

    def __init__(self, room: int) -> None:
        self.room, self.taken = room, bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data[: min(3, self.room - len(self.taken))])
        self.taken += part
        return len(part)


def test_a_file_that_takes_little_at_a_time() -> None:
    arrays = {"a": np.arange(100.0)}
    file = Short(10_000)
    swsfmt.save_file(arrays, file)  # type: ignore[arg-type]
    assert bytes(file.taken) == swsfmt.save(arrays)
    with pytest.raises(OSError, match="no more bytes"):
        swsfmt.save_file(arrays, Short(50))  # type: ignore[arg-type]


def test_a_closed_file_is_refused() -> None:
    file = io.BytesIO()
    file.close()
    with pytest.raises(swsfmt.InputError, match="cannot be written to"):
        swsfmt.save_file({"a": np.arange(3)}, file)


def test_the_name_of_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        swsfmt.save_file({"a": np.arange(3)}, f"{tmp_path}/new/")
    assert not list(tmp_path.iterdir())
