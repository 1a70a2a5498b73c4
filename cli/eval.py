"""`sws eval`: the accuracy of the network in a .sws file."""

from __future__ import annotations

import os

import click

from . import console, options, trainer


@click.command("eval")
@click.argument("file", metavar="FILE.sws")
@click.option("--dataset", metavar="NAME", required=True, help="digits, mnist, fashion-mnist, cifar10 or cifar100.")
@click.option("--model", metavar="NAME", help="The network.  [default: the one with these tensors]")
@options.as_json
def evaluate(file: str, dataset: str, model: str | None, as_json: bool) -> None:
    """Decode the network in FILE.sws and count its errors on the test set."""
    trainer.require()
    from sws.data import make_loaders, number_of_examples
    from sws.run import decoded_model
    from sws.train import evaluate as accuracy_of
    from sws.utils import get_device

    device = get_device()
    network = decoded_model(file, model, device)
    _, test, _ = make_loaders(dataset)
    error = 1 - accuracy_of(network, test, device)
    count = number_of_examples(test)
    if as_json:
        inputs = {"file": file, "file_bytes": os.stat(file).st_size, "dataset": dataset, "images": count}
        console.json_object({**inputs, "errors": round(error * count), "test_error": round(error, 6)})
        return
    console.line(f"{file}: {error:.2%} test error ({round(error * count):,} of {count:,} images of {dataset})")
