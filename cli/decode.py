"""`sws decode`: a .sws file becomes a checkpoint again."""

from __future__ import annotations

import os
from typing import BinaryIO

import click

from swsfmt import InputError, Limits
from swsfmt.checkpoints import check_output, convert, decoded_name, decoded_paths
from swsfmt.errors import located
from swsfmt.inspection import report
from swsfmt.read.report import Account

from . import console, files, options, progress

_SHARDS_ARE_SAFETENSORS = "--max-shard-size is for safetensors files: -o FOLDER or -o NAME.safetensors"


@click.command()
@click.argument("file", metavar="FILE.sws")
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="OUT.safetensors, .pt, .pth, .npz, .npy, .onnx, FOLDER/, or - (safetensors to stdout).",
)
@click.option(
    "--onnx", is_flag=True, help="Write the ONNX model that FILE.sws was made of; the default output is FILE.onnx."
)
@click.option(
    "--max-shard-size",
    type=options.Size(),
    metavar="SIZE",
    help="Write several safetensors files of at most SIZE, e.g. 5GB, and an index; OUT may be a folder.",
)
@options.threads
@options.limits
@options.force
@options.as_json
def decode(
    file: str,
    output: str | None,
    onnx: bool,
    max_shard_size: int | None,
    threads: int | None,
    limits: Limits,
    force: bool,
    as_json: bool,
) -> None:
    """Turn FILE.sws back into a checkpoint.

    FILE.sws may be - for stdin. The default output is FILE.safetensors. There tied tensors are written under each
    name; in a .pt file they stay tied, but metadata is lost. In a folder the file is model.safetensors, as Hugging
    Face's libraries have it; a FOLDER that is not there is made where its name ends with a slash.
    """
    target = files.output_for(file, output, os.path.splitext(file)[0] + (".onnx" if onnx else ".safetensors"))
    if onnx and not target.lower().endswith(".onnx"):
        raise click.UsageError("--onnx writes OUT.onnx")
    destination, new_folder = files.destination(target), target.endswith(os.sep)
    _check_suffix(destination, sharded=max_shard_size is not None)
    inputs = [] if file == files.STANDARD else [file]
    if max_shard_size is None:
        target = decoded_name(target)
        files.check_output(target, inputs, force=force, as_json=as_json, new_folder=new_folder)
    source = files.source(file)
    accounts: dict[str, Account] = {}
    with (
        located(file=files.shown(file)),
        progress.bar("decoding", as_json=as_json) as step,
        progress.open_reader(source, limits, step, accounts=accounts if as_json else None) as reader,
    ):
        if max_shard_size is not None:
            for path in decoded_paths(reader, target, max_shard_size):
                files.check_output(str(path), inputs, force=force, as_json=as_json, new_folder=new_folder)
        written = convert(reader, destination, threads=threads, max_shard_size=max_shard_size)
        summary = report(reader, accounts).to_json() if as_json else {}
        size = reader.source.size
    if written.lost_metadata:
        console.line(
            f"sws: note: {target} does not carry the metadata of {files.shown(file)}, a .safetensors file would",
            err=True,
        )
    if max_shard_size is not None:
        target = str(written.path)
    if as_json:
        summary |= {"file": file, "output": target, "output_bytes": written.size}
        if max_shard_size is not None:
            summary["shards"] = [str(path) for path in written.shards]
        console.json_object(summary)
        return
    what = f"{console.size(written.size)}, {console.plural(written.tensors, 'tensor')} from the {console.size(size)} of"
    if len(written.shards) > 1:
        what = f"{console.plural(len(written.shards), 'shard')}, {what}"
    name = files.shown(target, "stdout")
    console.line(f"{name}: {what} {files.shown(file)}", err=target == files.STANDARD)


def _check_suffix(destination: str | BinaryIO, *, sharded: bool) -> None:
    """Before anything is read: in a pipe that could take long."""
    try:
        check_output(destination, sharded=sharded)
    except InputError as error:
        raise click.UsageError(_SHARDS_ARE_SAFETENSORS if sharded else error.message) from error
