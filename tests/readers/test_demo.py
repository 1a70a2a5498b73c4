"""The demo page of the JavaScript reader: LeNet-5 of the zoo tells drawn digits, in a real browser."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from second_readers import ROOT

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: it shows the demo page"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(ROOT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/readers/js/demo/"
    server.shutdown()


def browse(url: str, profile: Path, *arguments: str) -> str:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=20000", *arguments, url]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=240).stdout


@pytest.mark.parametrize("digit", [0, 1, 3, 7])
def test_answers(digit: int, address: str, tmp_path: Path) -> None:
    page = browse(f"{address}#{digit}", tmp_path, "--dump-dom")
    about = re.search(r'<p id="about">([^<]*)</p>', page)
    assert about, page
    assert "2,780 bytes" in about[1]
    answer = re.search(r'<p id="answer">([^<]*)</p>', page)
    assert answer, page
    assert answer[1] == str(digit)
