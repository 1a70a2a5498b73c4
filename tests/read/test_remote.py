"""Files behind a URL: the prefix is fetched, and then only the tensors that are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import swsfmt

TENSORS = {
    "first": np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32),
    "ids": np.random.default_rng(1).integers(0, 9, (200, 300)).astype(np.float32),
    "last": np.random.default_rng(2).normal(size=(50, 60)).astype(np.float32),
}


class Ranges(BaseHTTPRequestHandler):
    """Serves one file with Range requests and counts the bytes that it sends."""

    data = b""
    sent: list[int] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        first, last = 0, len(self.data) - 1
        asked = self.headers.get("Range")
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or last), last)
        part = self.data[first : last + 1]
        self.sent.append(len(part))
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.data)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    Ranges.data, Ranges.sent = swsfmt.save(TENSORS), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/model.sws"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_what_is_asked_for_is_fetched(url: str) -> None:
    with swsfmt.safe_open(url) as f:
        assert f.keys() == list(TENSORS)
        prefix = sum(Ranges.sent)
        assert prefix <= 1 << 16
        np.testing.assert_array_equal(f.get_tensor("last"), TENSORS["last"])
        assert sum(Ranges.sent) == prefix + TENSORS["last"].nbytes


def test_whole_file(url: str) -> None:
    found = swsfmt.load_file(url)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)


def test_inspect_and_verify(url: str) -> None:
    assert swsfmt.verify(url).file_bytes == len(Ranges.data)


def test_damage_is_found(url: str) -> None:
    Ranges.data = Ranges.data[:-1] + b"x"
    with swsfmt.safe_open(url) as f, pytest.raises(swsfmt.ChecksumError) as caught:
        f.get_tensor("last")
    assert caught.value.file == url
