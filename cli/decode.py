"""`sws decode`: a .sws file becomes a checkpoint again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from swsfmt import Limits
from swsfmt.read.report import Account, report

from . import console, files, options, progress, safetensors_files, shards, torch_files
from .errors import about


@click.command()
@click.argument("file", metavar="FILE.sws")
@click.option("-o", "--output", metavar="OUT", help="OUT.safetensors, OUT.pt, OUT.pth, or - (safetensors to stdout).")
@click.option(
    "--max-shard-size",
    type=shards.Size(),
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
    max_shard_size: int | None,
    threads: int | None,
    limits: Limits,
    force: bool,
    as_json: bool,
) -> None:
    """Turn FILE.sws back into a checkpoint.

    FILE.sws may be - for stdin. The default output is FILE.safetensors. There tied tensors are written under each
    name; in a .pt file they stay tied, but metadata is lost.
    """
    target = files.output_for(file, output, ".safetensors")
    _check_suffix(target, sharded=max_shard_size is not None)
    inputs = [] if file == files.STANDARD else [file]
    if max_shard_size is None:
        files.check_output(target, inputs, force=force, as_json=as_json)
    source = files.sws_source(file)
    threads = threads or os.cpu_count() or 1
    told: dict[str, Any] = {}
    accounts: dict[str, Account] = {}
    with (
        about(files.shown(file)),
        progress.bar("decoding", as_json=as_json) as step,
        progress.open_reader(source, limits, step, accounts=accounts if as_json else None) as reader,
    ):
        if max_shard_size is not None:
            cut = shards.cut(reader, Path(target), max_shard_size)
            for path in cut.paths:
                files.check_output(str(path), inputs, force=force, as_json=as_json)
            written = shards.write(reader, cut, threads)
            target = str(cut.paths[-1])
            told["shards"] = [str(cut.folder / name) for name in cut.names]
        elif _is_torch(target):
            written = torch_files.write(reader, threads, target)
        else:
            written = files.write(target, safetensors_files.pieces(reader, reader.keys(), threads))
        facts = report(reader, accounts).to_json() if as_json else {}
        size, tensors, metadata = reader.source.size, len(reader.records), reader.metadata
    if metadata and _is_torch(target):
        console.line(
            f"sws: note: {target} does not carry the metadata of {files.shown(file)}, a .safetensors file would",
            err=True,
        )
    if as_json:
        console.json_object({**facts, "file": file, "output": target, "output_bytes": written, **told})
        return
    what = f"{console.size(written)}, {console.plural(tensors, 'tensor')} from the {console.size(size)} of"
    if len(told.get("shards", [])) > 1:
        what = f"{console.plural(len(told['shards']), 'shard')}, {what}"
    name = files.shown(target, "stdout")
    console.line(f"{name}: {what} {files.shown(file)}", err=target == files.STANDARD)


def _is_torch(target: str) -> bool:
    return Path(target).suffix.lower() in (".pt", ".pth")


def _check_suffix(target: str, *, sharded: bool) -> None:
    if sharded and (target == files.STANDARD or _is_torch(target)):
        raise click.UsageError("--max-shard-size is for safetensors files: -o FOLDER or -o NAME.safetensors")
    suffix = Path(target).suffix.lower()
    if not sharded and target != files.STANDARD and suffix not in (".safetensors", ".pt", ".pth"):
        raise click.UsageError(f"the output {target!r} must end in .safetensors, .pt or .pth")
