"""`sws eval`: the accuracy of the network in a .sws file."""

from __future__ import annotations

import os

import click

from swsfmt import InputError

from . import console, options, trainer


@click.command("eval")
@click.argument("file", metavar="FILE.sws")
@click.option(
    "--dataset",
    metavar="NAME",
    help="digits, mnist, fashion-mnist, cifar10 or cifar100.  [default: what the file says]",
)
@click.option("--model", metavar="NAME", help="The network.  [default: what the file says, or has these tensors]")
@options.as_json
def evaluate(file: str, dataset: str | None, model: str | None, as_json: bool) -> None:
    """Decode the network in FILE.sws and count its errors on the test set.

    Where the file says how pixels become inputs, they do, whatever the dataset.
    """
    trainer.require()
    from sws.data import make_loaders, number_of_examples
    from sws.evaluation import evaluate_classifier
    from sws.run import decoded_model, provenance_of
    from sws.utils import get_device

    said = provenance_of(file)
    dataset = dataset or said.data
    if dataset is None:
        raise InputError("the file does not say on what its network was trained; give --dataset", file=file)
    device = get_device()
    network = decoded_model(file, model, device)
    _, test, classes = make_loaders(dataset, divisor=said.divisor)
    error = 1 - evaluate_classifier(network, test, classes, device, title=dataset)
    count = number_of_examples(test)
    if as_json:
        inputs = {"file": file, "file_bytes": os.stat(file).st_size, "dataset": dataset, "images": count}
        console.json_object({**inputs, "errors": round(error * count), "test_error": round(error, 6)})
        return
    console.line(f"{file}: {error:.2%} test error ({round(error * count):,} of {count:,} images of {dataset})")
    if said.data not in (None, dataset):
        console.line(f"sws: note: {file} says that its network was trained on {said.data}", err=True)
