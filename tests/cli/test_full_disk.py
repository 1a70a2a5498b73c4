"""Every output of every command where there is no room for it, where nobody reads it, where there is no such stream.

Each is one line on stderr, exit status 1 and nothing left behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from sws.cli import main
from tensors import saved

import swsfmt
import swsfmt.torch

resource = pytest.importorskip("resource")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here"),
]

TO_STDOUT = {
    "encode": ["m.safetensors -o -", "m.pt -o out.sws --force --json"],
    "decode": ["m.sws -o -", "m.sws -o out.pt --force --json"],
    "inspect": ["m.sws", "m.sws --json"],
    "verify": ["m.sws", "m.sws --json", "m.sws --against m.safetensors --json"],
    "quantize": ["m.pt -o out.sws --force --step 0.1", "m.pt -o out.sws --force --step 0.1 --json"],
    "compare": ["m.safetensors m.sws", "m.safetensors m.sws --json"],
    "train": ["digits -o run --json"],
    "eval": [],
    "demo": ["-o demo"],
}
TO_A_FILE = {
    "encode": ["m.pt -o out.sws", "m.safetensors -o out.sws --json", "m.npz -o out.sws"],
    "decode": [
        *(f"m.sws -o out.{suffix}" for suffix in ("safetensors", "pt", "pth", "npz")),
        "m.sws -o out.pt --json",
        "one.sws -o out.npy",
        "m.sws -o new/",
        "m.sws -o out.safetensors --max-shard-size 40KB",
        "m.sws -o new/ --max-shard-size 40KB",
    ],
    "inspect": [],
    "verify": [],
    "quantize": [],
    "compare": [],
    "train": [],
    "eval": [],
    "demo": [],
}
# Training takes a minute each; tests/sws has what a run writes.
SHORT = [
    f"{name} {args}"
    for name in ("encode", "decode", "inspect", "verify", "quantize", "compare")
    for args in TO_STDOUT[name]
]
SHORT += ["--version", "--help", "encode --help"]
WRITING = [f"{name} {args}" for name, runs in TO_A_FILE.items() for args in runs]

# Each in a child of its own, which ends as a process does; to start one anew takes a second.
DRIVER = """
import json, os, resource, sys
import torch
from sws.cli import main

kind, commands, results = sys.argv[1], json.loads(sys.argv[2]), []
for args in commands:
    child = os.fork()
    if child == 0:
        def to(descriptor, path):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, descriptor)
        to(1, "../stdout")
        to(2, "../stderr")
        if kind == "full":
            to(1, "/dev/full")
        elif kind == "full-stderr":
            to(2, "/dev/full")
        elif kind == "closed-pipe":
            read, write = os.pipe()
            os.close(read)
            os.dup2(write, 1)
        elif kind == "no-stdout":
            os.close(1)
            sys.stdout = None
        elif kind == "no-stderr":
            os.close(2)
            sys.stderr = None
        elif kind == "small":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        elif kind == "nearly-full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        main(args.split(), prog_name="sws")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    results.append((args, code, *(open(f"../{name}", errors="replace").read() for name in ("stdout", "stderr"))))
json.dump(results, open("../results", "w"))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal(5000), "b": rng.standard_normal(5000)}
    swsfmt.save_file(arrays, folder / "m.sws")
    swsfmt.save_file({"a": arrays["a"]}, folder / "one.sws")
    safetensors.numpy.save_file(arrays, folder / "m.safetensors")
    np.savez(folder / "m.npz", **arrays)  # type: ignore[arg-type]
    saved({name: torch.from_numpy(array) for name, array in arrays.items()}, folder / "m.pt")
    return folder


def outcomes(kind: str, commands: list[str], folder: Path, **environ: str) -> list[tuple[str, int, str, str]]:
    """Arguments, exit status, stdout and stderr of each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environ}
    driver = [sys.executable, "-c", DRIVER, kind, json.dumps(commands)]
    subprocess.run(driver, cwd=folder, env=environment, check=True, timeout=500)
    results: list[Any] = json.loads((folder.parent / "results").read_text())
    return [tuple(result) for result in results]


def test_every_command_is_here() -> None:
    assert set(TO_STDOUT) == set(TO_A_FILE) == set(main.commands)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_stdout(unbuffered: str, folder: Path) -> None:
    for args, code, _, stderr in outcomes("full", SHORT, folder, PYTHONUNBUFFERED=unbuffered):
        assert (args, code, stderr.count("\n")) == (args, 1, 1), stderr
        assert stderr.startswith("sws: error: "), args
        assert stderr.endswith("No space left on device\n"), args


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stdout_takes_a_part(unbuffered: str, folder: Path) -> None:
    """What comes out before the disk is full is not all of it, with a buffer and without one."""
    commands = ["inspect m.sws", "inspect m.sws --json", "verify m.sws --json"]
    for args, code, stdout, stderr in outcomes("nearly-full", commands, folder, PYTHONUNBUFFERED=unbuffered):
        assert (args, code, stderr) == (args, 1, "sws: error: stdout: File too large\n")
        assert len(stdout) == 100


def test_nobody_reads_stdout(folder: Path) -> None:
    for args, code, _, stderr in outcomes("closed-pipe", SHORT, folder):
        assert (args, code, stderr) == (args, 1, "")


def test_no_stdout(folder: Path) -> None:
    for args, code, _, stderr in outcomes("no-stdout", SHORT, folder):
        if args.endswith("-o -"):
            assert (args, code, stderr) == (args, 1, "sws: error: stdout is closed\n")
        else:
            assert (args, code, stderr) == (args, 0, "")


@pytest.mark.parametrize("kind", ["no-stderr", "full-stderr"])
def test_no_stderr(kind: str, folder: Path) -> None:
    for args, code, _, _ in outcomes(kind, SHORT, folder):
        # Where the file goes to stdout, what is said of it goes to stderr.
        assert (args, code) == (args, int(kind == "full-stderr" and args.endswith("-o -")))
    for args, code, _, _ in outcomes(kind, ["inspect none", "inspect none --json", "verify m.pt"], folder):
        assert (args, code) == (args, 3 if args.endswith("pt") else 1)


def test_error_for_a_full_stdout(folder: Path) -> None:
    """The message on stderr is there, the JSON object cannot be."""
    for args, code, _, stderr in outcomes("full", ["inspect none --json", "encode none --json"], folder):
        assert (args, code, stderr) == (args, 1, "sws: error: none: No such file or directory\n")


def test_no_room_for_the_file(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for args, code, stdout, stderr in outcomes("small", WRITING, folder):
        assert (args, code, stderr.count("\n")) == (args, 1, 1), stderr
        words = args.split()
        out = words[words.index("-o") + 1]
        name = stderr.removeprefix("sws: error: ").partition(": ")[0]
        assert name.startswith(out.removesuffix(".safetensors")), stderr
        assert stderr.endswith("File too large\n"), stderr
        if "--json" in args:
            assert json.loads(stdout)["error"]["file"] == name
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_was_there_stays(folder: Path) -> None:
    names = ["out.sws", "out.safetensors", "out.pt", "out.npz", "out.npy"]
    for name in names:
        (folder / name).write_text("old")
    commands = [args for args in WRITING if any(args.endswith(f"-o {name}") for name in names)]
    for args, code, _, stderr in outcomes("small", [f"{args} --force" for args in commands], folder):
        assert (args, code) == (args, 1), stderr
    assert all((folder / name).read_text() == "old" for name in names)
    assert len(list(folder.iterdir())) == 5 + len(names)
