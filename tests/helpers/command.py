"""The command `sws`, run within the tests or as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from inspect import signature
from typing import Any

from click.testing import CliRunner, Result
from sws.cli import main

# A runner of click before 8.2 has to be told to keep the two outputs apart.
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}


def run(*args: Any, **kwargs: Any) -> Result:
    """The command with these arguments, within this process."""
    return CliRunner(**APART).invoke(main, [str(arg) for arg in args], **kwargs)


def one_line(result: Result) -> str:
    """The error, which is one line on stderr with nothing on stdout and no traceback."""
    assert result.stdout == ""
    assert result.stderr.startswith("sws: error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def fails(*args: Any, code: int = 1, **kwargs: Any) -> str:
    """The message of a run that fails with one line."""
    result = run(*args, **kwargs)
    assert result.exit_code == code, result.output
    return one_line(result)


def process(*args: Any, **kwargs: Any) -> subprocess.CompletedProcess[bytes]:
    """A new interpreter with these arguments."""
    return subprocess.run([sys.executable, *map(str, args)], capture_output=True, timeout=120, **kwargs)
