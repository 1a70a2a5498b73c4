"""Files behind a URL: the prefix is fetched, and then only the tensors that are asked for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from command import fails, run

import swsfmt

TENSORS = {
    "first": np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32),
    "ids": np.random.default_rng(1).integers(0, 9, (200, 300)).astype(np.float32),
    "last": np.random.default_rng(2).normal(size=(50, 60)).astype(np.float32),
}


SILENCE = threading.Event()


class Ranges(BaseHTTPRequestHandler):
    """Serves one file with Range requests and counts the bytes that it sends."""

    data = b""
    sent: list[int] = []  # noqa: RUF012
    # What it leaves out of its answers, or does instead.
    fault: str | int = ""

    def do_HEAD(self) -> None:
        if self.answers("HEAD"):
            self.send_response(200)
            self.send_length(len(self.data))
            self.end_headers()

    def do_GET(self) -> None:
        if not self.answers("GET"):
            return
        first, last = 0, len(self.data) - 1
        asked = None if self.fault in ("no ranges", "no length") else self.headers.get("Range")
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or last), last)
        part = self.data[first : last + 1]
        self.sent.append(len(part))
        self.send_response(206 if asked else 200)
        self.send_length(len(part))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.data)}")
        self.end_headers()
        self.wfile.write(part[: len(part) // 2] if self.fault == "short" else part)
        self.close_connection = True

    def answers(self, method: str) -> bool:
        """Whether there will be one; else it has been refused, in one way or another."""
        if isinstance(self.fault, int) or (self.fault == "no head" and method == "HEAD"):
            self.send_error(self.fault if isinstance(self.fault, int) else 405)
        elif self.fault == "hangs up":
            self.connection.close()
        elif self.fault == "is silent":
            SILENCE.wait(60)
        else:
            return True
        return False

    def send_length(self, length: int) -> None:
        if self.fault != "no length":
            self.send_header("Content-Length", str(length))

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    Ranges.data, Ranges.sent, Ranges.fault = swsfmt.save(TENSORS), [], ""
    SILENCE.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/model.sws"
    SILENCE.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_what_is_asked_for_is_fetched(url: str) -> None:
    with swsfmt.safe_open(url) as f:
        assert f.keys() == list(TENSORS)
        prefix = sum(Ranges.sent)
        assert prefix <= 1 << 16
        payload = f._reader.record("last").payload_length
        assert 0 < payload <= TENSORS["last"].nbytes
        np.testing.assert_array_equal(f.get_tensor("last"), TENSORS["last"])
        assert sum(Ranges.sent) == prefix + payload


def test_whole_file(url: str) -> None:
    found = swsfmt.load_file(url)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


def test_inspect_and_verify(url: str) -> None:
    assert swsfmt.verify(url).file_bytes == len(Ranges.data)


def test_a_model_is_fetched_once(url: str) -> None:
    """And stays as it was where the file is damaged."""
    torch = pytest.importorskip("torch")
    from swsfmt.torch import load_model

    def make() -> Any:
        model = torch.nn.Module()
        for name, array in TENSORS.items():
            model.register_buffer(name, torch.zeros(array.shape))
        return model

    payloads = {record.name: record.payload_length for record in swsfmt.safe_open(url)._reader.records}
    for assign in (True, False):
        model = make()
        Ranges.sent.clear()
        load_model(model, url, assign=assign)
        assert sum(Ranges.sent[1:]) == sum(payloads.values())
        for name, array in TENSORS.items():
            np.testing.assert_array_equal(model.get_buffer(name).numpy(), array)
    Ranges.data = Ranges.data[:-1] + b"x"
    for assign in (True, False):
        model = make()
        with pytest.raises(swsfmt.ChecksumError):
            load_model(model, url, assign=assign)
        assert not any(bool(buffer.any()) for buffer in model.buffers())


def test_damage_is_found(url: str) -> None:
    Ranges.data = Ranges.data[:-1] + b"x"
    with swsfmt.safe_open(url) as f, pytest.raises(swsfmt.ChecksumError) as caught:
        f.get_tensor("last")
    assert caught.value.file == url


# ---- other servers ---------------------------------------------------------------------------------------------------


def check_tensors(found: Mapping[str, np.ndarray[Any, Any]]) -> None:
    assert list(found) == list(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("fault", "message"), [("no ranges", "the server sends no ranges"), ("no length", "does not say how long it is")]
)
def test_a_server_without_ranges_sends_all_of_it_once(url: str, fault: str, message: str) -> None:
    Ranges.fault = fault
    with pytest.warns(swsfmt.SwsWarning, match=f"{message}; all {len(Ranges.data):,} bytes were fetched") as caught:
        check_tensors(swsfmt.load_file(url, threads=4))
    assert (len(caught), caught[0].filename) == (1, __file__)
    assert Ranges.sent[-1] == len(Ranges.data)
    # fsspec asks for the length with a GET of its own where there is none, and reads no more than its head.
    assert len(Ranges.sent) == (1 if fault == "no ranges" else 2)


def test_a_server_that_knows_no_head(url: str) -> None:
    Ranges.fault = "no head"
    check_tensors(swsfmt.load_file(url))


def test_a_small_file_is_fetched_once(url: str) -> None:
    Ranges.data = swsfmt.save({"a": np.arange(1000)})
    with swsfmt.safe_open(url) as file:
        assert file.get_tensor("a")[7] == 7
        assert file.get_tensor("a")[8] == 8
    assert Ranges.sent == [len(Ranges.data)]


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (404, FileNotFoundError, r"no such file \(HTTP 404\)"),
        (410, FileNotFoundError, r"\(HTTP 410\)"),
        (401, PermissionError, r"asks for a login \(HTTP 401\)"),
        (403, PermissionError, r"refuses access \(HTTP 403\)"),
        (429, OSError, r"too many requests; try again later \(HTTP 429\)"),
        (500, OSError, r"answers with an error \(HTTP 500\)"),
        (503, OSError, r"\(HTTP 503\)"),
        ("hangs up", OSError, r"cannot be read: .*[Dd]isconnected"),
        ("short", OSError, r"cannot be read: .*Not enough data"),
    ],
)
def test_what_a_server_says(url: str, fault: str | int, kind: type[OSError], message: str) -> None:
    Ranges.fault = fault
    with pytest.raises(kind, match=message) as caught:
        swsfmt.load_file(url)
    assert caught.value.filename == url
    assert isinstance(caught.value, FileNotFoundError) == (kind is FileNotFoundError)


def test_a_server_that_does_not_answer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its patience is that of fsspec, which has settings for it."""
    import aiohttp
    import fsspec.config

    patience = {"timeout": aiohttp.ClientTimeout(total=0.2)}
    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": patience})
    Ranges.fault = "is silent"
    with pytest.raises(TimeoutError, match="does not answer in time") as caught:
        swsfmt.load_file(url)
    assert caught.value.filename == url


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_no_server() -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(ConnectionRefusedError, match="no connection to the server"):
        swsfmt.load_file(f"http://127.0.0.1:{unused_port()}/a.sws")
    with pytest.raises(OSError, match="name of the server is not known") as caught:
        swsfmt.load_file("http://nosuch.invalid/a.sws")
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ("nosuch://a", swsfmt.InputError, "no URL that fsspec knows"),
        ("file:///nosuch/a.sws", FileNotFoundError, "No such file"),
        ("file:///", IsADirectoryError, "directory"),
        ("memory://a.sws", FileNotFoundError, "no such file"),
        ("http://[", OSError, "cannot be read"),
        ("http://127.0.0.1:99999/a", OSError, "cannot be read"),
    ],
)
def test_wrong_urls(wrong: str, kind: type[Exception], message: str) -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(kind, match=message):
        swsfmt.load_file(wrong)


def test_the_command_prints_one_line(url: str) -> None:
    Ranges.fault = "no ranges"
    done = run("verify", url)
    assert done.exit_code == 0
    assert (
        done.stderr == f"sws: warning: {url}: the server sends no ranges; all {len(Ranges.data):,} bytes were fetched\n"
    )
    Ranges.fault = 404
    assert fails("inspect", url) == f"sws: error: {url}: the server has no such file (HTTP 404)\n"
    refused = f"http://127.0.0.1:{unused_port()}/a.sws"
    assert fails("inspect", refused) == f"sws: error: {refused}: no connection to the server: Connection refused\n"
