"""`sws demo`: everything once, on scikit-learn's digits, in under a minute."""

from __future__ import annotations

from pathlib import Path

import click

from . import console, trainer
from .inspect import inspect
from .verify import verify


@click.command()
@click.option("-o", "--output", metavar="FOLDER", default="sws_demo", show_default=True, help="Where the files go.")
def demo(output: str) -> None:
    """Train a small network, compress it, write it to a .sws file, look into the file and verify it.

    Needs no download: the images are part of scikit-learn. What an earlier demo left in FOLDER is replaced.
    """
    trainer.require()
    from sws.recipe import load_recipe
    from sws.run import is_run_of, run_recipe

    recipe, file = load_recipe("digits"), Path(output) / "model.sws"
    if is_run_of(recipe, output):
        for earlier in (file, *Path(output).glob("*_checkpoint.pt")):
            earlier.unlink(missing_ok=True)
    report = run_recipe(recipe, output, tell=lambda line: console.line(line), command="sws train digits")
    console.line(f"test error {report['test_error']:.2%}, of the dense network {report['dense_test_error']:.2%}")
    console.line("")
    inspect.main([str(file)], standalone_mode=False)
    verify.main([str(file), "--against", str(Path(output) / "quantized.safetensors")], standalone_mode=False)
