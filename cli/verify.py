"""`sws verify`: is a .sws file whole, and does it hold what the original holds?"""

from __future__ import annotations

import os

import click
import numpy as np

from swsfmt import InputError, Limits, MismatchError, checkpoints
from swsfmt.checkpoints import Checkpoint
from swsfmt.errors import located
from swsfmt.inspection import verified
from swsfmt.read.reader import Reader
from swsfmt.tensor import Elements

from . import console, files, options, progress


@click.command()
@click.argument("file", metavar="FILE.sws")
@click.option("--against", metavar="ORIGINAL", help="A checkpoint that must hold the same tensors, bit for bit.")
@options.checkpoint
@options.threads
@options.limits
@options.as_json
def verify(
    file: str,
    against: str | None,
    key: str | None,
    strip_prefix: tuple[str, ...],
    threads: int | None,
    limits: Limits,
    as_json: bool,
) -> None:
    """Check that FILE.sws is whole.

    Every checksum and every rule of the format, and with --against every bit of every tensor. FILE.sws or ORIGINAL
    may be - for stdin; ORIGINAL may be a folder.
    """
    if against is None and (key is not None or strip_prefix):
        raise click.UsageError(f"{'--strip-prefix' if key is None else '--key'} is for --against")
    if file == against == files.STANDARD:
        raise click.UsageError("only one of FILE.sws and ORIGINAL can be stdin")
    source = files.source(file)
    with (
        progress.bar("verifying", as_json=as_json) as step,
        located(file=files.shown(file)),
        progress.open_reader(source, limits, step, every_name_again=against is not None) as reader,
    ):
        summary = verified(reader, threads=threads)
        size = os.stat(source).st_size if isinstance(source, str) and os.path.exists(source) else summary.file_bytes
        if size != summary.file_bytes:
            raise InputError("the file changed while it was read", file=file)
        if against is not None:
            with located(file=files.shown(against)):
                origin = files.source(files.checkpoint(against))
                original = checkpoints.open(origin, key, strip_prefix=strip_prefix, limits=limits)
            _compare(reader, original, files.shown(file), files.shown(against))

    if as_json:
        verdict = {"file": file, "ratio": summary.dense_bytes / size, "ok": True, "against": against}
        console.json_object({**summary.to_json(), **verdict})
        return
    parts = [
        f"ok: {console.plural(len(summary.tensors), 'tensor')}",
        "all checksums match",
        f"{console.times(summary.dense_bytes / size)} ({summary.dense_bytes:,} dense bytes / {size:,} bytes on disk)",
        *([f"bit-identical to {files.shown(against)}"] if against is not None else []),
    ]
    console.line(", ".join(parts))


def _compare(reader: Reader, original: Checkpoint, file: str, against: str) -> None:
    """Raises `MismatchError`, which names the first tensor that differs, in the order of the file."""
    ours = set(reader.keys())
    missing = [name for name in original.tensors if name not in ours]
    differences: list[tuple[str, str]] = []
    for name in reader.keys():  # noqa: SIM118
        if name not in original.tensors:
            differences.append((name, f"not in {against}"))
            continue
        difference = _difference(reader.read(name), original.elements(name))
        if difference is not None:
            differences.append((name, difference))
    differences += [(name, "missing in the file") for name in missing]
    if differences:
        name, what = differences[0]
        count = len(differences)
        text = f"{what}; {console.plural(count, 'tensor')} differ{'s' if count == 1 else ''} from {against}"
        raise MismatchError(text, file=file, tensor=name)


def _difference(ours: Elements, theirs: Elements) -> str | None:
    if ours.info.dtype != theirs.info.dtype:
        return f"dtype {ours.info.dtype.name} in the file, {theirs.info.dtype.name} in the original"
    if ours.info.shape != theirs.info.shape:
        return f"shape {list(ours.info.shape)} in the file, {list(theirs.info.shape)} in the original"
    unequal = np.flatnonzero(ours.bits != theirs.bits)
    if not len(unequal):
        return None
    # Elements of 16 bytes are kept as bytes.
    per_element = max(1, len(ours.bits) // ours.info.numel)
    places = np.unique(unequal // per_element)
    return f"{len(places):,} of {ours.info.numel:,} elements differ, the first at flat index {int(places[0])}"
