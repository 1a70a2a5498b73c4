"""What contexts of classes and sizes gain: `adaptive_contexts.py MODEL.safetensors`, or files of `sws quantize`.

Of .sws files: bytes of the profile small without these contexts, with those that need no classes, and with all of them,
beside the profile default; every file is read, and saved again.

Of a checkpoint of floats: what an adaptive coder with classes or scales as contexts would gain on dense grids.

Each matrix of MODEL, rounded to multiples of a quarter and then of half its standard deviation, in bits a weight:

order 0      the entropy of the levels of each matrix
classes      the payload of the default coding: static tables for each pair of a row class and a column class
adaptive     the payload of the profile small as it is, for the --largest matrices only, since it takes minutes
by classes   an adaptive coder whose contexts are the same pairs of classes
by scales    one whose contexts are the product of the root mean square of a row and of a column, in eighths of an
             octave: what a file with one scale for each row and each column would tell for nothing
both         the smaller one for each matrix
free         the entropy given the scales, as if the tables of all contexts were known: no coder with these contexts and
             no other has less

The three before the last are exact, whatever the order of the weights: each level is coded as decisions (zero? one?
... the sign), each decision of each context with the counts before it (Krichevsky and Trofimov 1981), so that learning
is paid for.
Labels of the classes are counted, scales are not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from classes import read, rounded  # noqa: E402

import swsfmt.numpy  # noqa: E402
from swsfmt.codings.adaptive import plan  # noqa: E402
from swsfmt.codings.adaptive.params import Params  # noqa: E402
from swsfmt.codings.clustering import find_classes  # noqa: E402
from swsfmt.entropy.rans import Classes  # noqa: E402

Array = npt.NDArray[Any]
STEPS_OF_OCTAVE = 8


def learned(zeros: Array, ones: Array) -> float:
    """What decisions take, in bits, with the estimate of Krichevsky and Trofimov for each context."""
    nats = gammaln(zeros + 0.5) + gammaln(ones + 0.5) - gammaln(zeros + ones + 1) - 2 * gammaln(0.5)
    return float(-nats.sum() / np.log(2))


def adaptive_bits(levels: Array, contexts: Array) -> float:
    """Of levels, each in a context (numbers from 0 on): a decision for each step of the magnitude, and the sign."""
    magnitudes = np.abs(levels)
    most = int(magnitudes.max()) + 1
    counts = np.bincount(contexts * most + magnitudes, minlength=(int(contexts.max()) + 1) * most).reshape(-1, most)
    # Of those that come to a decision: how many stop there, and how many go on.
    reach = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    stop = counts[:, :-1]
    bits = learned(stop, reach[:, :-1] - stop)
    signed = contexts[levels != 0]
    negative = np.bincount(signed[levels[levels != 0] < 0], minlength=len(counts))
    return bits + learned(negative, np.bincount(signed, minlength=len(counts)) - negative)


def entropy_bits(levels: Array) -> float:
    counts = np.unique(levels, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def given_bits(levels: Array, contexts: Array) -> float:
    """The entropy of levels given their contexts."""
    own, counts = np.unique(contexts * (1 << 20) + levels - levels.min(), return_counts=True)
    totals = np.bincount(own >> 20, weights=counts)
    return float((totals[totals > 0] * np.log2(totals[totals > 0])).sum() - (counts * np.log2(counts)).sum())


def class_contexts(levels: Array) -> tuple[Array, float]:
    """The pair of classes of each element, and what labels take, in bits."""
    offset = int(levels.min())
    symbols = (levels - offset).astype(np.uint16)
    classes = find_classes(symbols, np.abs(np.arange(symbols.max() + 1, dtype=np.int64) + offset))
    pairs = classes.rows[:, None].astype(np.int64) * classes.column_classes + classes.columns
    labels = len(classes.rows) * np.log2(classes.row_classes) + len(classes.columns) * np.log2(classes.column_classes)
    return pairs.ravel(), float(labels)


def scale_contexts(levels: Array) -> Array:
    squares = levels.astype(np.float64) ** 2
    rows, columns = (np.log2(squares.mean(axis=axis) + 1e-9) / 2 for axis in (1, 0))
    steps = np.rint(STEPS_OF_OCTAVE * (rows[:, None] + columns - np.log2(squares.mean()) / 2)).astype(np.int64)
    return np.unique(steps, return_inverse=True)[1].reshape(-1)


def payload_bits(array: Array, profile: Any) -> int:
    return 8 * len(swsfmt.numpy.save({"w": array}, profile=profile))


def contents(path: Path) -> dict[str, Any]:
    """What a file holds, scaled tensors in parts."""
    with swsfmt.numpy.safe_open(path) as file:
        parts = {name: file.get_parts(name) for name in file.keys()}  # noqa: SIM118
        return {name: file.get_tensor(name) if own is None else own for name, own in parts.items()}


def print_files(paths: Sequence[Path]) -> None:
    print("| file | default | small, no classes, no sizes | sizes | classes too | saved |")
    print("|---|---:|---:|---:|---:|---:|")
    for path in paths:
        state = contents(path)
        default = len(swsfmt.numpy.save(state, profile="default"))
        with (
            patch.object(Params, "with_classes", lambda params, classes: params),
            patch.object(plan, "find_classes", one_class),
        ):
            without = len(swsfmt.numpy.save(state, profile="small"))
        with patch.object(plan, "find_classes", one_class):
            sizes = len(swsfmt.numpy.save(state, profile="small"))
        small = len(swsfmt.numpy.save(state, profile="small"))
        cells = [path.stem, *(f"{size:,}" for size in (default, without, sizes, small)), f"{1 - small / without:.1%}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def one_class(symbols: Array, magnitudes: Array, threads: int = 1) -> Classes:
    return Classes(*(np.zeros(count, np.uint8) for count in symbols.shape), 1, 1)


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--largest", default=1, show_default=True, help="Matrices of which the profile small is measured.")
def main(models: tuple[Path, ...], largest: int) -> None:
    """Print the table."""
    if models[0].suffix == ".sws":
        print_files(models)
        return
    arrays = read(models[0])
    heads = ["matrices", "weights", "order 0", "classes", "adaptive", "by classes", "by scales", "both", "free"]
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1))
    for parts in (4, 2):
        names = sorted((own := rounded(arrays, parts)), key=lambda name: -own[name].size)
        for title, chosen, with_small in (
            (f"sigma / {parts}, all", names, False),
            (f"sigma / {parts}, the largest", names[:largest], True),
        ):
            if not chosen:
                continue
            sums = np.zeros(7)
            weights = 0
            for name in chosen:
                array = own[name]
                step = np.abs(array[array != 0]).min()
                levels = np.rint(array / step).astype(np.int64)
                flat = levels.ravel()
                contexts, labels = class_contexts(levels)
                by_classes = adaptive_bits(flat, contexts) + labels
                scales = scale_contexts(levels)
                by_scales, free = adaptive_bits(flat, scales), given_bits(flat, scales)
                small = payload_bits(array, "small") if with_small else 0
                default = payload_bits(array, "default")
                both = min(by_classes, by_scales)
                sums += [entropy_bits(flat), default, small, by_classes, by_scales, both, free]
                weights += array.size
            cells = [f"{value / weights:.4f}" if value else "" for value in sums]
            print("| " + " | ".join([title, f"{weights:,}", *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
