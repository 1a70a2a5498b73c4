"""The progress bar: on a terminal only, late, and gone at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import swsfmt

pytest.importorskip("pty", reason="no pseudo-terminals here")

# Every tensor and record takes a while, and the bar comes at once, or never.
SLOW = """
import sys, time
import sws.cli
import sws.cli.progress, swsfmt.read.reader, swsfmt.write.examine, sws.cli.encode
sws.cli.progress._DELAY = {delay}
def slowly(function):
    def slow(*args, **kwargs):
        time.sleep(0.3)
        return function(*args, **kwargs)
    return slow
swsfmt.read.reader.Reader.decode = slowly(swsfmt.read.reader.Reader.decode)
swsfmt.write.examine.write = slowly(swsfmt.write.examine.write)
encode = sys.modules["sws.cli.encode"]
encode.read = slowly(encode.read)
try:
    sws.cli.main(sys.argv[1:])
finally:
    print("rich" in sys.modules, file=open({told!r}, "w"))
"""


@pytest.fixture
def sws(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    swsfmt.save_file({name: rng.integers(0, 9, 3000).astype("f8") for name in "abc"}, tmp_path / "model.sws")
    return tmp_path / "model.sws"


def on_terminal(*args: str | Path, folder: Path, delay: float = 0.0, stdout_too: bool = False) -> tuple[str, int, bool]:
    """What stderr, a terminal, is sent; the exit code; whether rich was imported."""
    master, slave = os.openpty()
    told = folder / "told"
    code = SLOW.format(delay=delay, told=str(told))
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with (folder / "stdout").open("wb") as file:
        stdout = slave if stdout_too else file
        process = subprocess.Popen([sys.executable, "-c", code, *map(str, args)], stdout=stdout, stderr=slave, env=env)
    os.close(slave)
    sent = b""
    try:
        while part := os.read(master, 4096):
            sent += part
    except OSError:  # Linux tells the end of a terminal like this
        pass
    os.close(master)
    return sent.decode(), process.wait(60), told.read_text() == "True\n"


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("decode",), "decoding"),
        (("decode", "-o", "out.pt"), "decoding"),
        (("inspect",), "inspecting"),
        (("verify",), "verifying"),
        (("encode",), "encoding"),
    ],
)
def test_bar_on_a_terminal(args: tuple[str, ...], what: str, sws: Path, tmp_path: Path) -> None:
    if args[0] == "encode":
        subprocess.run([sys.executable, "-m", "sws", "decode", sws], check=True, capture_output=True)
    command, *rest = args
    rest = [str(tmp_path / part) if part == "out.pt" else part for part in rest]
    file = sws.with_suffix(".safetensors") if command == "encode" else sws
    force = ["--force"] if command == "encode" else []
    sent, code, _ = on_terminal(command, file, *rest, *force, folder=tmp_path)
    assert code == 0, sent
    assert f"{what} " in sent
    # encode: two of three stages are over at once; the third goes through three tensors.
    assert all(f"{percent}%" in sent for percent in ((67, 78, 89) if command == "encode" else (33, 67)))
    # The line is erased at the end, and the cursor is back.
    assert sent.rstrip().endswith("\x1b[2K")
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")
    # Nothing of it goes to stdout.
    assert b"\x1b" not in (tmp_path / "stdout").read_bytes()
    assert (tmp_path / "stdout").read_bytes().strip()


def test_quick_work_has_no_bar(sws: Path, tmp_path: Path) -> None:
    sent, code, rich = on_terminal("decode", sws, folder=tmp_path, delay=30)
    assert (sent, code, rich) == ("", 0, False)


def test_no_bar_where_stderr_is_no_terminal(sws: Path, tmp_path: Path) -> None:
    code = SLOW.format(delay=0.0, told=str(tmp_path / "told"))
    done = subprocess.run([sys.executable, "-c", code, "decode", str(sws)], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == b""
    assert (tmp_path / "told").read_text() == "False\n"


def test_json_has_a_bar_only_where_stdout_is_a_terminal_too(sws: Path, tmp_path: Path) -> None:
    sent, code, rich = on_terminal("verify", "--json", sws, folder=tmp_path)
    assert (sent, code, rich) == ("", 0, False)
    sent, code, _ = on_terminal("verify", "--json", sws, folder=tmp_path, stdout_too=True)
    assert code == 0
    assert "verifying " in sent


def test_an_error_takes_the_bar_away(sws: Path, tmp_path: Path) -> None:
    data = bytearray(sws.read_bytes())
    data[-1] ^= 1
    sws.write_bytes(data)
    sent, code, _ = on_terminal("verify", sws, folder=tmp_path)
    assert code == 3
    assert "verifying " in sent
    last = sent.rstrip().rsplit("\x1b[2K", 1)[1]
    assert last.startswith("sws: error: ")
    assert "\n" not in last


def test_verify_against_counts_both_passes(sws: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "sws", "decode", sws], check=True, capture_output=True)
    sent, code, _ = on_terminal("verify", sws, "--against", sws.with_suffix(".safetensors"), folder=tmp_path)
    assert code == 0, sent
    assert all(f"{percent}%" in sent for percent in (17, 50, 83))
