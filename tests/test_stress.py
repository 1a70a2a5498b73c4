"""The stress script finds nothing in a few cases, finds what is wrong, and tells how to see it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import swsfmt

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import random_tensors  # noqa: E402
import stress  # noqa: E402


def test_nothing_wrong() -> None:
    command = [sys.executable, str(SCRIPTS / "stress.py"), "--seed", "7", "--count", "6", "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("6 files, ")
    assert " 0 failures; " in done.stdout


def test_every_dtype_and_option_comes_up() -> None:
    cases = [random_tensors.make(seed, 100) for seed in range(600)]
    assert {case.face for case in cases} == set(random_tensors.FACES)
    tensors = [tensor for case in cases for tensor in case.tensors.values()]
    assert {tensor.dtype for tensor in tensors} == {name for names in random_tensors.FACES.values() for name in names}
    assert {name for case in cases for name in case.options} == set(swsfmt.write.options.SETTINGS)
    assert any(tensor.big_endian for tensor in tensors)
    assert {tensor.bits.ndim for tensor in tensors} >= {0, 1, 2, 4, 64}


def test_same_seed_same_case() -> None:
    one, other = random_tensors.make(5, 1000), random_tensors.make(5, 1000)
    assert (one.options, one.metadata, list(one.tensors)) == (other.options, other.metadata, list(other.tensors))
    for name, tensor in one.tensors.items():
        assert tensor.bits.tobytes() == other.tensors[name].bits.tobytes()


def test_a_wrong_element_is_found() -> None:
    case = random_tensors.Case(0, "numpy", {"a": random_tensors.Tensor("U8", np.arange(9, dtype=np.uint8))})
    data = swsfmt.save(case.values())

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return {"a": np.arange(9, dtype=np.uint8)[::-1]}

    with patch.object(swsfmt, "load", wrong), pytest.raises(AssertionError, match="elements of 'a'"):
        stress.check_loading(case, data)


def test_failures_tell_their_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """A process that dies ends its own case and no other."""
    with patch.object(stress, "work", sys.exit):
        totals = stress.run(40, lambda begun: begun < 3, 2)
    assert sorted(totals.failures) == [40, 41, 42]
    assert "--seed 41 --count 1" in capsys.readouterr().err
