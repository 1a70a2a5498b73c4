"""`sws encode`: a checkpoint becomes a .sws file."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

import swsfmt
from swsfmt.codings.sparse import MAX_PBITS
from swsfmt.options import Options
from swsfmt.writer import encode as encode_file

from . import console, files, options
from .checkpoints import Input, Kind
from .errors import about

_INDEX_SUFFIX = ".safetensors.index.json"
_WIDTH = click.IntRange(1, MAX_PBITS)


@click.command()
@click.argument("checkpoint", metavar="INPUT")
@click.option("-o", "--output", metavar="OUT.sws", help="Default: INPUT with the suffix .sws; - is stdout.")
@click.option("--pbits", type=_WIDTH, help="Width of relative column indices.  [default: the cheapest]")
@click.option("--pbits-fc", type=_WIDTH, help="The same for tensors of rank 2 or less.")
@click.option("--pbits-conv", type=_WIDTH, help="The same for tensors of rank 3 or more.")
@click.option("--huffman/--no-huffman", default=True, help="Huffman codes, or fields of fixed width.")
@click.option("--scan", type=click.Choice(["auto", "rows", "columns"]), default="auto", help="How tensors are read.")
@click.option("--compact", type=click.Choice(["auto", "off"]), default="auto", help="Leave out dead rows and columns.")
@options.key
@options.force
@options.as_json
def encode(checkpoint: str, output: str | None, key: str | None, force: bool, as_json: bool, **coding: Any) -> None:
    """Write INPUT as a .sws file, every value bit for bit.

    INPUT is a safetensors file, a PyTorch checkpoint, the index of a sharded checkpoint, or - for stdin.
    """
    target = files.output_for(checkpoint, output, ".sws")
    source = Input.open(checkpoint)
    if output is None and source.kind is Kind.INDEX and checkpoint.endswith(_INDEX_SUFFIX):
        target = checkpoint.removesuffix(_INDEX_SUFFIX) + ".sws"
    inputs = [] if checkpoint == files.STANDARD else [checkpoint]
    files.check_output(target, inputs, force=force, as_json=as_json)
    model = source.read(key)
    files.check_output(target, model.shards, force=force, as_json=as_json)

    with about(files.shown(checkpoint)):
        data = encode_file(model.tensors, model.metadata, Options(**coding))
    size = files.write(target, data)
    if as_json:
        console.json_object({**_report(target).to_json(), "input": checkpoint})
        return
    ratio = model.dense_bytes / size
    dense = f"its {model.dense_bytes:,} dense bytes"
    compared = (
        f"{console.times(ratio)} smaller than {dense}" if ratio >= 1 else f"{console.times(ratio)}: larger than {dense}"
    )
    console.line(f"{files.shown(target, 'stdout')}: {console.size(size)}, {compared}", err=target == files.STANDARD)


def _report(path: str) -> swsfmt.Report:
    """On a file that this program has just made: nothing in it is too large to be trusted."""
    largest = {field.name: 1 << 62 for field in dataclasses.fields(swsfmt.Limits)}
    return swsfmt.inspect(path, limits=swsfmt.Limits(**largest))
