"""`sws inspect`: what is in a .sws file and where its bytes went."""

from __future__ import annotations

import click

import swsfmt
from swsfmt import Limits

from . import console, files, options
from .errors import about


@click.command()
@click.argument("file", metavar="FILE.sws")
@options.limits
@options.as_json
def inspect(file: str, limits: Limits, as_json: bool) -> None:
    """Show what FILE.sws holds.

    Every tensor, and where every byte of the file went. FILE.sws may be - for stdin.
    """
    with about(files.shown(file)):
        report = swsfmt.inspect(files.sws_source(file), limits=limits)
    if as_json:
        console.json_object({**report.to_json(), "file": file})
        return
    from .tables import render

    console.block(render(files.shown(file), report))
