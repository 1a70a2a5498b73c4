"""`sws encode`: a checkpoint becomes a .sws file."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from swsfmt import Limits, checkpoints
from swsfmt.checkpoints import Conversion, convert, encoded_name
from swsfmt.errors import located
from swsfmt.inspection import report

from . import cluster, console, files, options, progress
from .neurons import sorted_neurons


@click.command()
@click.argument("checkpoint", metavar="INPUT")
@click.option("-o", "--output", metavar="OUT.sws", help="Default: INPUT with the suffix .sws; - is stdout.")
@options.encoding
@click.option(
    "--sort-neurons",
    "layers",
    metavar="LAYERS",
    help="Layers of a plain feed-forward network in order, e.g. fc1,fc2,fc3: hidden neurons change places, so that "
    "the file is smaller and the network computes the same. For small networks: it encodes some dozens of times.",
)
@options.threads
@click.option("--dask", metavar="ADDRESS", help="Encode on the workers of this dask scheduler, e.g. tcp://host:8786.")
@options.checkpoint
@options.limits
@options.force
@options.as_json
def encode(
    checkpoint: str,
    output: str | None,
    key: str | None,
    strip_prefix: tuple[str, ...],
    layers: str | None,
    threads: int | None,
    dask: str | None,
    limits: Limits,
    force: bool,
    as_json: bool,
    **coding: Any,
) -> None:
    """Write INPUT as a .sws file, every value bit for bit.

    INPUT is a safetensors file, a PyTorch checkpoint, a .npz or .npy file, a GGUF file, an ONNX model, the index of a
    sharded checkpoint, a folder with one of them, or - for stdin. It may be larger than the memory. Workers of dask
    read safetensors files, GGUF files and those of NumPy themselves, under the same path.

    Of a GGUF file the tensors are what they dequantise to, stored as its levels, scales and minima.
    """
    target = files.output_for(checkpoint, output, encoded_name(checkpoint))
    destination = files.destination(target)
    checkpoint = files.checkpoint(checkpoint)
    source = files.source(checkpoint)
    with located(file=files.shown(checkpoint)):
        checkpoints.recognise(source)
    inputs = [] if checkpoint == files.STANDARD else [checkpoint]
    files.check_output(target, inputs, force=force, as_json=as_json)
    with progress.bar("encoding", as_json=as_json) as step:
        with located(file=files.shown(checkpoint)):
            model = checkpoints.open(source, key, strip_prefix=strip_prefix, limits=limits)
        files.check_output(target, model.shards, force=force, as_json=as_json)
        with located(file=files.shown(checkpoint)), cluster.executor(dask) as executor:
            if layers is not None:
                model = sorted_neurons(model, layers.split(","), coding)
            written = convert(model, destination, threads=threads, executor=executor, step=step, **coding)
    name = files.shown(target, "stdout")
    console.negative_zeros(written.negative_zeros.values(), written.size)
    if as_json:
        names = {"input": checkpoint, "file": target, "output": target}
        console.json_object({**_report(target), **names, "output_bytes": written.size})
        return
    console.line(f"{name}: {console.size(written.size)}, {_compared(written)}", err=target == files.STANDARD)


def _compared(written: Conversion) -> str:
    if not written.tensors:
        return "no tensors"
    if not written.dense_bytes:
        return f"{console.plural(written.tensors, 'tensor')} without elements"
    ratio = written.dense_bytes / written.size
    dense = f"its {written.dense_bytes:,} dense bytes"
    if ratio < 1:
        return f"{console.times(ratio)}: larger than {dense}"
    return f"{console.times(ratio)} smaller than {dense}"


def _report(file: str) -> dict[str, Any]:
    """On a file that this program has just made: nothing in it is too large to be trusted."""
    largest = Limits(**{field.name: 1 << 62 for field in dataclasses.fields(Limits)})
    with progress.bar("inspecting", as_json=True) as step, progress.open_reader(file, largest, step) as reader:
        return report(reader).to_json()
