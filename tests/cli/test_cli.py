"""What all commands have in common: output, exit codes, errors, `--json`, start-up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import one_line, process, run

import swsfmt
from swsfmt.entropy import backend

COMMANDS = ("encode", "decode", "inspect", "verify")


@pytest.fixture
def sws(tmp_path: Path) -> Path:
    """A small file with every common coding."""
    rng = np.random.default_rng(1)
    weight = rng.choice(np.array([0, 0.5, -0.25], np.float32), p=[0.9, 0.05, 0.05], size=(40, 30))
    path = tmp_path / "model.sws"
    tensors = {"a.weight": weight, "a.bias": rng.standard_normal(400).astype(np.float32), "tied": weight}
    swsfmt.save_file(tensors, path, {"made by": "test"})
    return path


def test_version_names_package_and_kernels() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"sws {swsfmt.__version__} (kernels: {backend.active()})\n"


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)


def test_help_names_the_environment_variables() -> None:
    assert re.search(r"^ +SWS_KERNELS  .*native or bitarray", run("--help").stdout, re.MULTILINE)
    assert re.search(r"^ +SWS_TRACEBACK  ", run("--help").stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str) -> None:
    result = run(command, "-h")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--limit" in result.stdout
    assert ("--threads" in result.stdout) == (command in ("encode", "decode", "inspect", "verify"))
    assert ("--force" in result.stdout) == (command in ("encode", "decode"))


def test_help_without_arguments() -> None:
    """Click before 8.2 takes that for well."""
    result = run()
    assert "Usage: " in result.output
    assert result.exit_code in (0, 2)


@pytest.mark.parametrize("args", [("nonsense",), ("encode",), ("inspect", "--nonsense", "x")])
def test_wrong_usage_is_2(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_file_is_1(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "absent.sws")
    assert result.exit_code == 1
    assert "absent.sws: No such file or directory" in one_line(result)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_is_1(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path)
    assert result.exit_code == 1
    one_line(result)


@pytest.mark.parametrize("command", ["decode", "inspect", "verify"])
def test_damage_is_3(command: str, sws: Path) -> None:
    data = bytearray(sws.read_bytes())
    data[-1] ^= 1
    sws.write_bytes(data)
    result = run(command, sws)
    assert result.exit_code == 3
    assert str(sws) in one_line(result)
    assert not sws.with_suffix(".safetensors").exists()


@pytest.mark.parametrize("command", ["decode", "inspect", "verify"])
def test_every_truncation_is_3(command: str, sws: Path) -> None:
    data = sws.read_bytes()
    for length in range(0, len(data), 37):
        sws.write_bytes(data[:length])
        result = run(command, sws)
        assert result.exit_code == 3, length
        one_line(result)


@pytest.mark.parametrize("command", ["decode", "inspect", "verify"])
def test_limits(command: str, sws: Path) -> None:
    result = run(command, sws, "--limit", "max_decoded_bytes=100")
    if command == "inspect":
        # What is larger is listed all the same.
        assert result.exit_code == 0
        assert all(name in result.stdout for name in swsfmt.load_file(sws))
        assert "--limit max_decoded_bytes=" in result.stderr
    else:
        assert result.exit_code == 1
        assert "--limit max_decoded_bytes=" in one_line(result)
    assert "--limit max_tensors=" in one_line(run(command, sws, "--limit", "max_tensors=2"))
    # The floats of the bias are taken apart, and parts count.
    both = ("--limit", "max_decoded_bytes=100000", "--limit", "max_tensors=9")
    assert run(command, sws, *both).exit_code == 0


@pytest.mark.parametrize(
    "limit",
    [
        "max_nonsense=3",
        "max_tensors",
        "max_tensors=",
        "max_tensors=-1",
        "max_tensors=x",
        "=3",
        "check=1",
        "max_tensors=" + "9" * 5000,
    ],
)
def test_bad_limit_is_2(limit: str, sws: Path) -> None:
    result = run("inspect", sws, "--limit", limit)
    assert result.exit_code == 2
    assert "max_tensors" in result.stderr or "max_decoded_bytes" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_json_error(command: str, tmp_path: Path) -> None:
    path = tmp_path / "absent"
    result = run(command, path, "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert error == {
        "type": "FileNotFoundError",
        "message": "No such file or directory",
        "file": str(path),
        "tensor": None,
        "offset": None,
    }
    assert result.stderr.startswith("sws: error: ")


def test_json_error_tells_the_place(sws: Path) -> None:
    data = bytearray(sws.read_bytes())
    data[-1] ^= 1
    sws.write_bytes(data)
    result = run("verify", sws, "--json")
    assert result.exit_code == 3
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "ChecksumError"
    assert error["file"] == str(sws)
    assert error["tensor"] == "a.bias"
    assert 0 < error["offset"] < len(data)
    assert error["file"] not in error["message"]


def test_json_usage_error() -> None:
    result = run("inspect", "x", "--json", "--limit", "a=1")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["type"] == "BadParameter"


def test_a_bug_is_one_line(sws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("first\nsecond")

    monkeypatch.setattr(import_module("sws.cli.inspect"), "report", broken)
    result = run("inspect", sws)
    assert result.exit_code == 1
    assert "AssertionError: first\\nsecond" in one_line(result)
    assert "report it" in result.stderr
    monkeypatch.setenv("SWS_TRACEBACK", "1")
    assert isinstance(run("inspect", sws).exception, AssertionError)


def test_out_of_memory_is_one_line(sws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*_args: Any, **_kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(import_module("sws.cli.inspect"), "report", hungry)
    result = run("inspect", sws)
    assert result.exit_code == 1
    assert one_line(result) == "sws: error: out of memory\n"


def test_interrupt_is_130(sws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("sws.cli.inspect"), "report", interrupted)
    result = run("inspect", sws)
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_interrupted_before_it_has_begun() -> None:
    """While Python still imports."""
    code = """
import sys
class Interrupt:
    def find_spec(name, path=None, target=None):
        if name == "swsfmt":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt)
import sws.cli
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "\nsws: interrupted\n")


def test_control_characters_in_errors_are_escaped(tmp_path: Path) -> None:
    result = run("inspect", tmp_path / "a\x1b[2J\n\u202eb")
    assert result.exit_code == 1
    assert "a\\x1b[2J\\n\\u202eb" in one_line(result)


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.sws"
    done = subprocess.run([sys.executable, "-m", "sws", "inspect", name], capture_output=True, timeout=120)
    assert done.returncode == 1
    assert b"No such file" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in a buffer meets the closed pipe once more when Python ends."""
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("args", [("inspect",), ("inspect", "--json"), ("verify",)])
def test_closed_pipe_is_quiet(args: tuple[str, ...], sws: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sws", *args, str(sws)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.usefixtures("buffering")
def test_closed_pipe_after_an_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sws", "inspect", "--json", str(tmp_path / "absent")]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_module_runs_as_a_process(sws: Path) -> None:
    done = process("-m", "sws", "verify", sws)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"ok: 3 tensors")
    assert process("-m", "sws", "inspect", sws.parent / "absent").returncode == 1


def test_start_up_is_light() -> None:
    code = "import sys, sws.cli\nprint([m for m in ('rich', 'torch', 'safetensors', 'ml_dtypes') if m in sys.modules])"
    assert process("-c", code).stdout.strip() == b"[]"


def test_torch_is_not_imported_without_need(sws: Path) -> None:
    code = """
import sys
from sws.cli import main
sws, safetensors = sys.argv[1], sys.argv[1][:-4] + ".safetensors"
for args in (
    ["inspect", sws],
    ["inspect", "--json", sws],
    ["verify", sws],
    ["decode", sws],
    ["verify", sws, "--against", safetensors],
    ["encode", safetensors, "--force"],
):
    try:
        main(args)
    except SystemExit as done:
        assert done.code == 0, args
    assert "torch" not in sys.modules, args
"""
    done = process("-c", code, sws)
    assert done.returncode == 0, done.stderr
    assert sws.with_suffix(".safetensors").exists()


# As if the C extension had not been built.
NO_NATIVE = "import sys; sys.modules['swsfmt.entropy._native'] = None; "


@pytest.mark.parametrize("args", [("inspect", "x"), ("--help",), ("verify", "x", "--json")])
def test_kernels_that_are_missing_are_one_line(args: tuple[str, ...]) -> None:
    env = {**os.environ, "SWS_KERNELS": "native"}
    done = process("-c", NO_NATIVE + "from sws.cli import main; sys.exit(main())", *args, env=env)
    assert done.returncode == 1
    assert done.stderr.startswith(b"sws: error: SWS_KERNELS=native, but the C kernels cannot be loaded")
    assert done.stderr.count(b"\n") == 1
    if "--json" in args:
        error = json.loads(done.stdout)["error"]
        assert error["type"] == "ModuleNotFoundError"
        assert set(error) == {"type", "message", "file", "tensor", "offset"}
    else:
        assert done.stdout == b""


def test_kernels_that_are_missing_with_a_traceback() -> None:
    env = {**os.environ, "SWS_KERNELS": "native", "SWS_TRACEBACK": "1"}
    done = process("-c", NO_NATIVE + "from sws.cli import main", env=env)
    assert done.returncode == 1
    assert b"Traceback" in done.stderr


def test_module_without_kernels_is_one_line() -> None:
    env = {**os.environ, "SWS_KERNELS": "native"}
    code = NO_NATIVE + "import runpy; runpy.run_module('sws', run_name='__main__')"
    done = process("-c", code, env=env)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_missing_kernels_do_not_matter_unless_asked_for() -> None:
    env = {key: value for key, value in os.environ.items() if key != "SWS_KERNELS"}
    done = process("-c", NO_NATIVE + "from sws.cli import main; main()", "--version", env=env)
    assert done.returncode == 0
    assert b"kernels: bitarray" in done.stdout


@pytest.mark.parametrize("wish", ["", "bitarray"])
def test_a_note_tells_that_slow_kernels_are_at_work(wish: str, sws: Path) -> None:
    """Unless they were asked for; what goes to stdout is as ever."""
    env = {**os.environ, "SWS_KERNELS": wish}
    done = process("-c", NO_NATIVE + "from sws.cli import main; main()", "verify", sws, "--json", env=env)
    assert done.returncode == 0
    assert json.loads(done.stdout)["ok"]
    note = done.stderr.decode()
    assert note.count("\n") == (not wish)
    assert note.startswith("sws: note: the C kernels are missing") == (not wish)


JSON_KEYS = {
    "inspect": set(),
    "verify": {"ok", "against"},
    "decode": {"output", "output_bytes"},
    "encode": {"output", "output_bytes", "input"},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_json_keys(command: str, sws: Path) -> None:
    """All commands tell the same of the .sws file, under the same keys."""
    expected = {**swsfmt.inspect(sws).to_json(), "file": str(sws)}
    if command == "encode":
        run("decode", sws)
        result = run("encode", sws.with_suffix(".safetensors"), "--force", "--json")
        expected = swsfmt.inspect(sws).to_json()
    else:
        result = run(command, sws, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert {key: told.pop(key) for key in JSON_KEYS[command]}.keys() == JSON_KEYS[command]
    assert told == expected
    assert {"file", "file_bytes", "dense_bytes", "ratio", "sections", "tensors"} <= told.keys()
