"""`sws decode`: a .sws file becomes a checkpoint again."""

from __future__ import annotations

from pathlib import Path

import click

from swsfmt import Limits
from swsfmt.codings import alias
from swsfmt.reader import Reader

from . import console, files, options, safetensors_files, torch_files
from .errors import about

_SAFETENSORS, _TORCH = (".safetensors",), (".pt", ".pth")


@click.command()
@click.argument("file", metavar="FILE.sws")
@click.option("-o", "--output", metavar="OUT", help="OUT.safetensors, OUT.pt, OUT.pth, or - (safetensors to stdout).")
@options.limits
@options.force
@options.as_json
def decode(file: str, output: str | None, limits: Limits, force: bool, as_json: bool) -> None:
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
    with about(files.shown(file)), Reader.open(source, limits) as reader:
        data = safetensors_files.write(reader) if suffix in _SAFETENSORS else torch_files.write(source, limits)
        infos = [record.info for record in reader.records if record.coding != alias.ID]
        dense = sum(info.nbytes for info in infos if info is not None)
        size, tensors, metadata = reader.source.size, len(reader.records), reader.metadata
    written = files.write(target, data)
    if metadata and suffix in _TORCH:
        console.line(
            f"sws: note: {target} does not carry the metadata of {files.shown(file)}, a .safetensors file would",
            err=True,
        )
    if as_json:
        facts = {"input": file, "output": target, "output_bytes": written}
        console.json_object({**facts, "file_bytes": size, "dense_bytes": dense, "ratio": dense / size})
        return
    told = f"{console.size(written)}, {console.plural(tensors, 'tensor')} from the {console.size(size)} of"
    name = files.shown(target, "stdout")
    console.line(f"{name}: {told} {files.shown(file)}", err=target == files.STANDARD)
