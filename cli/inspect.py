"""`sws inspect`: what is in a .sws file and where its bytes went."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import click

from swsfmt import Limits
from swsfmt.errors import located
from swsfmt.inspection import report

from . import console, files, options, progress


@contextmanager
def no_collection() -> Iterator[None]:
    """A block of a short program that makes many objects and no cycles: looking for some takes a tenth of its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@click.command()
@click.argument("file", metavar="FILE.sws")
@options.threads
@options.limits
@options.as_json
def inspect(file: str, threads: int | None, limits: Limits, as_json: bool) -> None:
    """Show what FILE.sws holds.

    Every tensor, and where every byte of the file went. FILE.sws may be - for stdin.
    """
    source = files.source(file)
    with (
        no_collection(),
        located(file=files.shown(file)),
        progress.bar("inspecting", as_json=as_json) as step,
        progress.open_reader(source, limits, step, with_spans=True) as reader,
    ):
        summary = report(reader, threads=threads)
        needed = reader.decoded_bytes()
    if needed > limits.max_decoded_bytes:
        console.line(
            f"sws: note: not all tensors were decoded, which would take --limit max_decoded_bytes={needed}", err=True
        )
    if as_json:
        console.json_object({**summary.to_json(), "file": file})
        return
    from .tables import render

    console.block(render(files.shown(file), summary))
    console.negative_zeros((tensor.negative_zeros or 0 for tensor in summary.tensors), summary.file_bytes)
