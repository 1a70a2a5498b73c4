"""The public interface as mypy sees it: what is documented type-checks, what is wrong does not."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import swsfmt
import swsfmt.checkpoints
import swsfmt.torch
from sws.compress import compression_report
from sws.data import make_loaders
from sws.prior import MixturePrior, init_mixture
from sws.recipe import load_recipe
from sws.run import decoded_model, run_recipe
from sws.shrink import Distillation, Pruning, Quantization, Settings, compress_network, prune_network, quantize_network
from sws.train import evaluate, retrain_soft_weight_sharing, train_standard
from swsfmt.options import EncodingOptions

api = pytest.importorskip("mypy.api", reason="mypy is not installed")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def check(path: Path) -> tuple[list[str], int]:
    """Lines of output and exit status of mypy --strict, with a cache that the tests share."""
    os.environ["MYPYPATH"] = str(ROOT)
    arguments = [
        "--strict",
        "--python-executable",
        sys.executable,
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
        "--config-file",
    ]
    output, errors, status = api.run([*arguments, str(ROOT / "pyproject.toml"), str(path)])
    assert not errors
    return output.splitlines(), status


def test_every_documented_argument() -> None:
    lines, status = check(HERE / "program.py")
    assert status == 0, "\n".join(lines)


def functions_of(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """All that the module has to offer, as the program calls it."""
    public = {name: getattr(module, name) for name in module.__all__}
    return {f"{module.__name__}.{name}": value for name, value in public.items() if inspect.isfunction(value)}


TRAINER = [
    train_standard, retrain_soft_weight_sharing, evaluate, make_loaders, init_mixture, MixturePrior, compression_report,
    compress_network, prune_network, quantize_network, Settings, Pruning, Quantization, Distillation, load_recipe,
    run_recipe, decoded_model,
]  # fmt: skip
DOCUMENTED: dict[str, Callable[..., Any]] = {
    **{name: f for m in (swsfmt, swsfmt.torch, swsfmt.checkpoints) for name, f in functions_of(m).items()},
    "Limits": swsfmt.Limits,
    **{function.__name__: function for function in TRAINER},
    **{f"prior.{name}": f for name, f in vars(MixturePrior).items() if inspect.isfunction(f) and name[0] != "_"},
}
# What stands for `**` in a signature.
FURTHER = {
    "options": list(EncodingOptions.__annotations__),
    "hyper_priors": [p.name for p in inspect.signature(MixturePrior).parameters.values() if p.kind is p.KEYWORD_ONLY],
}


def parameters_of(name: str) -> Iterator[str]:
    parameters = list(inspect.signature(DOCUMENTED[name]).parameters.values())
    for parameter in parameters[1:] if name.startswith("prior.") else parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            yield from FURTHER[parameter.name]
        else:
            yield parameter.name


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_program_gives_every_argument(name: str) -> None:
    """So that a new one is type-checked too."""
    tree = ast.parse((HERE / "program.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == name]
    assert calls, f"the program does not call {name}"
    parameters = list(parameters_of(name))
    given = {parameter for call in calls for parameter in parameters[: len(call.args)]}
    given |= {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    assert set(parameters) == given


WRONG = [
    ('swsfmt.save({}, profile="tiny")', "arg-type"),
    ("swsfmt.save({}, pbit=5)", "call-arg"),
    ('swsfmt.save({}, scan="diagonal")', "arg-type"),
    ('swsfmt.load("file")', "arg-type"),
    ('swsfmt.safe_open("file", "np", "cuda")', "arg-type|call-overload"),
    ('x: str = swsfmt.safe_open("file").get_tensor("a")', "assignment"),
    ('swsfmt.checkpoints.convert("a", "b", profile=3)', "arg-type"),
]


def test_what_is_wrong(tmp_path: Path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text("import swsfmt\nimport swsfmt.checkpoints\n" + "".join(f"{line}\n" for line, _ in WRONG))
    lines, status = check(program)
    assert status == 1
    for number, (line, code) in enumerate(WRONG, 3):
        complaints = [text for text in lines if f"wrong.py:{number}: error" in text]
        assert complaints, f"{line} is accepted"
        assert any(re.search(rf"\[({code})\]", text) for text in complaints), complaints


@pytest.mark.parametrize("package", ["swsfmt", "sws"])
def test_packages_say_that_they_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
