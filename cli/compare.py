"""`sws compare`: what a smaller version of a model has kept of it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swsfmt import InputError, Limits

from . import console, files, options, progress

if TYPE_CHECKING:
    from sws.compare import OutputComparison, TensorComparison, TensorError
    from sws.compare.files import Model


_BARS = ".▁▂▃▄▅▆▇█"


@click.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("small", metavar="SMALL")
@click.option("--common", is_flag=True, help="Compare the tensors that both have; others are listed, no error.")
@click.option("--model", metavar="FILE.py:FUNCTION", help="Gives the network that the tensors go into.")
@click.option("--inputs", metavar="FILE.py:FUNCTION", help="Gives batches for the network.")
@click.option(
    "--forward",
    metavar="FILE.py:FUNCTION",
    help="(model, batch) -> outputs; without --inputs (model) -> outputs.  [default: the network is called]",
)
@click.option("--logits", is_flag=True, help="The outputs are logits: compare distributions too.")
@click.option("--text", metavar="FILE", help="Run both on a text; ORIGINAL is a folder that transformers loads.")
@click.option("--tokens", type=click.IntRange(2), metavar="N", help="Of the text, at most so many.")
@options.checkpoint
@options.limits
@options.as_json
def compare(
    original: str,
    small: str,
    common: bool,
    model: str | None,
    inputs: str | None,
    forward: str | None,
    logits: bool,
    text: str | None,
    tokens: int | None,
    key: str | None,
    strip_prefix: tuple[str, ...],
    limits: Limits,
    as_json: bool,
) -> None:
    """Compare SMALL with ORIGINAL, which are any checkpoints or .sws files.

    Every tensor: its relative error, the cosine, the greatest error, and how the errors are distributed. With --model,
    or --text, what the two compute as well. --key and --strip-prefix are for ORIGINAL.
    """
    if model is None and (inputs or forward or logits):
        raise click.UsageError("--inputs, --forward and --logits need --model, which gives the network")
    if model is not None and text is not None:
        raise click.UsageError("--text is for a folder that transformers loads, --model for one's own network")
    if tokens is not None and text is None:
        raise click.UsageError("--tokens is for --text")
    if files.STANDARD in (original, small):
        raise click.UsageError("a model from stdin cannot be compared: it is read more than once")
    _require_torch()
    from sws import compare as library
    from sws.compare import models
    from sws.quantize.sources import function

    origin: Model = files.checkpoint(original)
    task = None
    if text is not None:
        task = models.from_folder(original, small, text, most_tokens=tokens, limits=limits)
        origin = origin if task.tensors is None else task.tensors
    with progress.bar("comparing", as_json=as_json) as step:
        tensors = library.compare_tensors(
            origin, small, strict=not common, key=key, strip_prefix=strip_prefix, step=step, limits=limits
        )
    if model is not None:
        task = models.from_functions(
            origin,
            small,
            function(model),
            None if inputs is None else function(inputs),
            None if forward is None else function(forward),
            logits=logits,
            key=key,
            strip_prefix=strip_prefix,
            limits=limits,
        )
    outputs = None
    if task is not None:
        outputs = library.compare_outputs(
            task.original, task.small, task.batches, task.forward, logits=task.logits, targets=task.targets
        )
    sizes = {"original_bytes": _size(original), "small_bytes": _size(small)}
    if as_json:
        told = {**tensors.to_json(), "outputs": None if outputs is None else outputs.to_json()}
        console.json_object({"original": original, "small": small, **sizes, **told})
        return
    _show(tensors)
    for names, what in ((tensors.missing, "only in the original"), (tensors.unexpected, "not in the original")):
        for name in names:
            console.line(f"{name}: {what}")
    for name, theirs, ours in tensors.reshaped:
        console.line(f"{name}: shape {list(theirs)} in the original, {list(ours)} in the other")
    console.line(_total(tensors, sizes["small_bytes"]))
    if outputs is not None:
        console.line(_outputs(outputs))


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InputError("this needs torch; install it with: pip install 'swsfmt[torch]'")


def _size(path: str) -> int | None:
    """Bytes on disk of one file; None for a folder or an index, whose tensors are in others."""
    return os.stat(path).st_size if Path(path).is_file() and not path.endswith(".json") else None


def _show(tensors: TensorComparison) -> None:
    rows = [["tensor", "shape", "relative error", "cosine", "greatest", "differing", "errors, -rms to rms"]]
    for tensor in tensors.tensors:
        numbers = f"{tensor.relative_error:.3g}", f"{tensor.cosine:.6f}", f"{tensor.max_error:.3g}"
        rows.append([console.escape(tensor.name or ""), "x".join(map(str, tensor.shape)) or "scalar", *numbers])
        rows[-1] += [f"{tensor.differing / max(1, tensor.elements):.1%}", _bars(tensor.histogram)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    layout = "  ".join(f"{{:{'>' if 2 <= i < 6 else '<'}{width}}}" for i, width in enumerate(widths))
    console.block("\n".join(layout.format(*row).rstrip() for row in rows))


def _bars(histogram: tuple[int, ...]) -> str:
    """Two bins a character, its height by the logarithm of what they hold: few large errors are to be seen."""
    counts = [histogram[i] + histogram[i + 1] for i in range(0, len(histogram), 2)]
    top = math.log1p(max(counts))
    heights = [math.ceil(math.log1p(count) / top * (len(_BARS) - 1)) if count else 0 for count in counts]
    return "".join(_BARS[height] for height in heights)


def _total(tensors: TensorComparison, size: int | None) -> str:
    total = tensors.total
    parts = [
        f"{console.plural(len(tensors.tensors), 'tensor')}, {console.plural(total.elements, 'element')}",
        f"relative error {total.relative_error:.3g}",
        f"cosine {total.cosine:.6f}",
        f"greatest error {total.max_error:.3g}",
        *_warnings(total),
    ]
    if size is not None and total.elements:
        parts.append(f"{console.size(size)}, {8 * size / total.elements:.3f} bits an element")
    return ", ".join(parts)


def _warnings(total: TensorError) -> list[str]:
    return [f"{total.not_finite:,} are NaN or infinite in one of the two"] if total.not_finite else []


def _outputs(outputs: OutputComparison) -> str:
    parts = [
        f"outputs: {console.plural(outputs.vectors, 'vector')}",
        f"relative error {outputs.relative_error:.3g}",
        f"cosine {outputs.cosine:.6f}, the least {outputs.least_cosine:.6f}",
    ]
    if outputs.kl is not None and outputs.top1 is not None:
        parts += [f"KL {outputs.kl:.4g} nats", f"top-1 agreement {outputs.top1:.2%}"]
    if outputs.perplexity is not None and outputs.small_perplexity is not None:
        parts.append(f"perplexity {outputs.perplexity:.4g} and {outputs.small_perplexity:.4g}")
    return ", ".join(parts)
