"""`sws decode`: a .sws file becomes a checkpoint again."""

from __future__ import annotations

import os
from pathlib import Path

import click

from swsfmt import Limits
from swsfmt.report import report

from . import console, files, options, progress, safetensors_files, torch_files
from .errors import about

_SAFETENSORS, _TORCH = (".safetensors",), (".pt", ".pth")


@click.command()
@click.argument("file", metavar="FILE.sws")
@click.option("-o", "--output", metavar="OUT", help="OUT.safetensors, OUT.pt, OUT.pth, or - (safetensors to stdout).")
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads for large tensors.  [default: all cores]")
@options.limits
@options.force
@options.as_json
def decode(file: str, output: str | None, threads: int | None, limits: Limits, force: bool, as_json: bool) -> None:
    """Turn FILE.sws back into a checkpoint.

    FILE.sws may be - for stdin. The default output is FILE.safetensors. There tied tensors are written under each
    name; in a .pt file they stay tied, but metadata is lost.
    """
    target = files.output_for(file, output, ".safetensors")
    suffix = ".safetensors" if target == files.STANDARD else Path(target).suffix.lower()
    if suffix not in _SAFETENSORS + _TORCH:
        raise click.UsageError(f"the output {target!r} must end in .safetensors, .pt or .pth")
    files.check_output(target, [] if file == files.STANDARD else [file], force=force, as_json=as_json)

    source = files.sws_source(file)
    write = safetensors_files.write if suffix in _SAFETENSORS else torch_files.write
    with (
        about(files.shown(file)),
        progress.bar("decoding", as_json=as_json) as step,
        # The report is on decoded tensors; they are not decoded a second time for it.
        progress.open_reader(source, limits, step, keep=as_json) as reader,
    ):
        data = write(reader, threads or os.cpu_count() or 1)
        facts = report(reader).to_json() if as_json else {}
        size, tensors, metadata = reader.source.size, len(reader.records), reader.metadata
    written = files.write(target, data)
    if metadata and suffix in _TORCH:
        console.line(
            f"sws: note: {target} does not carry the metadata of {files.shown(file)}, a .safetensors file would",
            err=True,
        )
    if as_json:
        console.json_object({**facts, "file": file, "output": target, "output_bytes": written})
        return
    told = f"{console.size(written)}, {console.plural(tensors, 'tensor')} from the {console.size(size)} of"
    name = files.shown(target, "stdout")
    console.line(f"{name}: {told} {files.shown(file)}", err=target == files.STANDARD)
