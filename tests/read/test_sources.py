"""Where the bytes of a file come from: memory that may change, handles in other processes."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swsfmt
from swsfmt import InputError
from swsfmt.format.codebook import Codebook
from swsfmt.read.source import BytesSource, PathSource, open_path


def test_what_the_caller_may_change_is_read_once() -> None:
    data = bytearray(swsfmt.save({"a": np.arange(1000.0)}))
    for memory in (data, memoryview(data), memoryview(data).toreadonly()):
        source = BytesSource(memory)
        part = source.read_at(10, 20)
        assert part == data[10:30]
        assert not np.shares_memory(np.frombuffer(part, np.uint8), np.frombuffer(data, np.uint8))
    fixed = bytes(data)
    part = BytesSource(fixed).read_at(10, 20)
    assert np.shares_memory(np.frombuffer(part, np.uint8), np.frombuffer(fixed, np.uint8))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    arrays = {f"t{i}": random.random(30_000).astype(np.float32) for i in range(4)}
    arrays["few"] = random.integers(0, 9, 200_000).astype(np.float32)
    swsfmt.save_file(arrays, tmp_path / "m.sws")
    return tmp_path / "m.sws"


def in_child(work: Callable[[], object]) -> int:
    """The exit status of a forked process that does it; it is killed after a minute."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            signal.alarm(60)
            work()
            status = 0
        os._exit(status)
    return os.waitpid(pid, 0)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
class TestFork:
    def test_no_lock_is_inherited(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other thread is stopped where it would hold any lock: while it reads, and while it makes a property."""
        stopped, go_on = threading.Event(), threading.Event()
        symbols, read = Codebook.__dict__["symbols"], PathSource._read_into

        def stops(function: Callable[..., Any]) -> Callable[..., Any]:
            def stopping(*args: Any) -> Any:
                if threading.current_thread() is thread:
                    stopped.set()
                    assert go_on.wait(60)
                return function(*args)

            return stopping

        for owner, name, function in ((PathSource, "_read_into", read), (symbols, "_function", symbols._function)):
            with swsfmt.safe_open(path, threads=1) as handle, monkeypatch.context() as patch:
                thread = threading.Thread(target=handle.get_tensor, args=("few",))
                patch.setattr(owner, name, stops(function))
                thread.start()
                assert stopped.wait(60)
                status = in_child(lambda handle=handle: handle.get_tensors())  # type: ignore[misc]
                go_on.set()
                thread.join()
                stopped.clear(), go_on.clear()
                assert status == 0

    @pytest.mark.skipif(not hasattr(os, "preadv"), reason="no positional reads")
    def test_processes_share_no_place_in_the_file(self, path: Path) -> None:
        with swsfmt.safe_open(path) as handle:
            descriptor = handle._reader.source._file.fileno()  # type: ignore[attr-defined]
            before = os.lseek(descriptor, 0, os.SEEK_CUR)
            handle.get_tensors()
            assert os.lseek(descriptor, 0, os.SEEK_CUR) == before

    def test_threads_work_in_the_child(self, path: Path) -> None:
        with swsfmt.safe_open(path, threads=3) as handle:
            handle.get_tensors()
            assert in_child(handle.get_tensors) == 0
            assert in_child(lambda: swsfmt.load(swsfmt.save(handle.get_tensors(), threads=3), threads=3)) == 0

    def test_a_remote_file_is_opened_again(self, path: Path) -> None:
        fsspec = pytest.importorskip("fsspec")
        files = fsspec.filesystem("memory")
        files.pipe("/m.sws", path.read_bytes())
        with swsfmt.safe_open("memory://m.sws") as handle:
            source = handle._reader.source
            before = source._files  # type: ignore[attr-defined]

            def reads() -> None:
                handle.get_tensor("few")
                assert source._process == os.getpid()  # type: ignore[attr-defined]

            assert in_child(reads) == 0
            assert source._files is before  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="no positional reads")
def test_a_system_that_reads_little_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at: preadv(file, [buffers[0][:1000]], at))
    swsfmt.verify(path)


def test_a_system_without_positional_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "preadv", raising=False)
    swsfmt.verify(path)


@pytest.mark.parametrize("framework", ["np", "pt"])
def test_a_handle_that_is_pickled_opens_its_file_again(
    path: Path, framework: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    for file in (path.name, path.read_bytes(), memoryview(bytearray(path.read_bytes()))):
        with swsfmt.safe_open(file, framework) as handle:
            sent = pickle.dumps((handle, handle.get_slice("few")))
            monkeypatch.chdir("/")
            again, part = pickle.loads(sent)
            monkeypatch.chdir(path.parent)
            assert again.keys() == handle.keys()
            assert np.array_equal(again.get_tensor("few"), handle.get_tensor("few"))
            assert np.array_equal(part[10:20], handle.get_tensor("few")[10:20])
            again.close()
            part._reader.close()


def test_a_handle_whose_file_has_changed_is_not_opened_again(path: Path) -> None:
    with swsfmt.safe_open(path) as handle:
        sent = pickle.dumps(handle)
    swsfmt.save_file({"other": np.ones(3)}, path)
    with pytest.raises(swsfmt.InputError, match="has changed"):
        pickle.loads(sent)
    with pytest.raises(swsfmt.InputError, match="closed"):
        pickle.dumps(handle)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_zip_member_in_a_forked_process(tmp_path: Path) -> None:
    """It is opened once, and stands at one place for both: refused, where it might hang or give the other's bytes."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("m.sws", swsfmt.save({"a": np.arange(9)}))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("m.sws") as member:
        source = open_path(member)
        process = os.fork()
        if process == 0:
            try:
                source.read_at(0, 4)
            except InputError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
        assert len(source.read_at(0, 4)) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_with_a_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = swsfmt.save({"a": np.arange(9)})
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(data))
    writer.start()
    assert swsfmt.load_file(tmp_path / "pipe")["a"].tolist() == list(range(9))
    writer.join()
