"""`sws train`: a recipe, from a new network to a verified .sws file."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from . import console, options, trainer


@click.command()
@click.argument("recipe", metavar="RECIPE")
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where the files of the run go.")
@click.option("--dataset", metavar="NAME", help="Another dataset than the recipe's.")
@click.option("--model", metavar="NAME", help="Another model than the recipe's.")
@click.option("--seed", type=int, metavar="N", help="Another seed than the recipe's.")
@click.option("--resume", is_flag=True, help="Go on with the run in FOLDER that was stopped.")
@options.as_json
def train(
    recipe: str, output: str, dataset: str | None, model: str | None, seed: int | None, resume: bool, as_json: bool
) -> None:
    """Train a network as RECIPE says and write it to FOLDER/model.sws.

    RECIPE is a .toml file or the name of one that comes with the package, e.g. digits, lenet_300_100, lenet5. Under
    `accelerate launch -m sws train ...` several processes or GPUs share the work.
    """
    trainer.require()
    from sws.recipe import load_recipe
    from sws.run import is_unfinished, run_recipe

    changes = {"dataset": dataset, "model": model, "seed": seed}
    chosen = load_recipe(recipe).with_changes(**changes)
    given = [part for name, value in changes.items() if value is not None for part in (f"--{name}", str(value))]
    command = ["sws", "train", recipe, *given]
    accelerator = trainer.accelerator()
    leads = accelerator is None or accelerator.is_main_process
    if not resume and accelerator is None and not as_json and sys.stdin.isatty() and is_unfinished(output):
        resume = click.confirm(console.escape(f"There is an unfinished run in {output}. Go on with it?"), default=True)
    tell = (lambda line: console.line(line)) if leads and not as_json else (lambda line: None)
    try:
        report: dict[str, Any] = run_recipe(
            chosen, output, resume=resume, tell=tell, accelerator=accelerator, command=shlex.join(command)
        )
    except KeyboardInterrupt:
        if leads and is_unfinished(output):
            again = shlex.join([*command, "-o", output, "--resume"])
            console.line(f"sws: the run was stopped, its checkpoints are in {output}; go on with: {again}", err=True)
        raise
    if not leads:
        return
    if as_json:
        console.json_object(report)
        return
    console.line(
        f"{output}/model.sws: {console.size(report['file_bytes'])}, {console.times(report['ratio'])} smaller than its "
        f"{report['dense_bytes']:,} dense bytes, test error {report['test_error']:.2%} "
        f"(dense network: {report['dense_test_error']:.2%})"
    )
