"""Files of many tensors, small tensors, vectors and threads, beside safetensors: `make bench-many`.

    python benchmarks/many_tensors.py [--tensors 100_000] [--rounds 3] [--json FILE]

Contestants take turns in this one process, and the least time of each counts: CPU time of one thread, but for two
threads beside one, where it is the time that passes, and for `sws inspect`, which is a process of its own.

Half of the many tensors are 8 x 4 random floats, the other half constants, as experts and adapters have them. The small
ones have 100 elements of about 16 values, a fifth of them zeros. The vectors have a million elements; times are over
that of the square matrix of the same elements. LeNet-5 is the file of the zoo. Goals are those of the project.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
from rich.console import Console
from rich.table import Table

import swsfmt
import swsfmt.torch as swsfmt_torch

ROOT = Path(__file__).resolve().parent.parent
ELEMENTS = 1_000_000
SHAPES = ((1, ELEMENTS), (ELEMENTS, 1), (ELEMENTS,), (1, 1, ELEMENTS))
SMALL_TENSORS = 2000

Arrays = dict[str, np.ndarray[Any, Any]]
Run = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """milliseconds : of what is measured, on this machine at this moment.
    ratio : over what it is compared with; None where the goal is a time.
    goal : the most that the ratio may be, or the milliseconds.
    """

    what: str
    milliseconds: float
    compared_with: str
    ratio: float | None
    goal: float


def least(runs: dict[str, Run], rounds: int, clock: Clock = time.process_time) -> dict[str, float]:
    """Milliseconds of each of the contestants, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run()
            times[name].append(1e3 * (clock() - start))
    return {name: min(found) for name, found in times.items()}


def many(count: int) -> Arrays:
    rng = np.random.default_rng(0)
    return {
        f"model.layers.{i // 512}.experts.{i % 512}.w": rng.random((8, 4)).astype(np.float32)
        if i % 2
        else np.full((8, 4), i % 5, np.float32)
        for i in range(count)
    }


def last_tensor(opened: Any) -> None:
    with opened as file:
        file.get_tensor(list(file.keys())[-1])


def of_many(count: int, rounds: int, folder: Path) -> Iterator[Figure]:
    tensors = many(count)
    ours, theirs = str(folder / "m.sws"), str(folder / "m.safetensors")
    tasks: dict[str, tuple[Run, Run, float]] = {
        "save": (
            lambda: swsfmt.save_file(tensors, ours, threads=1),
            lambda: safetensors.numpy.save_file(tensors, theirs),
            10,
        ),
        "load": (lambda: swsfmt.load_file(ours, threads=1), lambda: safetensors.numpy.load_file(theirs), 5),
        "open, one tensor": (
            lambda: last_tensor(swsfmt.safe_open(ours)),
            lambda: last_tensor(safetensors.safe_open(theirs, "np")),
            5,
        ),
    }
    for name, (our_run, their_run, goal) in tasks.items():
        times = least({"swsfmt": our_run, "safetensors": their_run}, rounds)
        ratio = times["swsfmt"] / times["safetensors"]
        yield Figure(f"{name}: {count:,} tensors", times["swsfmt"], "safetensors", ratio, goal)
    yield Figure(f"sws inspect: {count:,} tensors", inspect_milliseconds(ours), "", None, count / 10)


def inspect_milliseconds(path: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "sws", "inspect", path], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def of_small(rounds: int) -> Iterator[Figure]:
    rng = np.random.default_rng(0)
    kinds: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
        "16 values, flat": lambda: (np.rint(rng.normal(0, 2, 100)) / 8).astype(np.float32),
        "16 values, 10 x 10": lambda: (np.rint(rng.normal(0, 2, (10, 10))) / 8).astype(np.float32),
        "random floats": lambda: rng.random(100).astype(np.float32),
        "sparse, 10 x 10": lambda: (rng.integers(1, 9, (10, 10)) * (rng.random((10, 10)) < 0.1)).astype(np.float32),
        "small integers": lambda: rng.integers(-40, 40, 100),
    }
    for name, kind in kinds.items():
        tensors = {f"layer.{i}.w": kind() for i in range(SMALL_TENSORS)}
        times = least({"swsfmt": partial(swsfmt.save, tensors, threads=1)}, rounds)
        yield Figure(f"encode 100 elements: {name}", times["swsfmt"] / SMALL_TENSORS, "", None, 0.3)


def of_vectors(rounds: int) -> Iterator[Figure]:
    rng = np.random.default_rng(0)
    values = rng.integers(-8, 8, ELEMENTS).astype(np.float32)
    for name, elements in (("5 % live", values * (rng.random(ELEMENTS) < 0.05)), ("dense", values)):
        shapes = ((1000, 1000), *SHAPES)
        runs: dict[str, Run] = {
            str(shape): partial(swsfmt.save, {"a": elements.astype(np.float32).reshape(shape)}, threads=1)
            for shape in shapes
        }
        times = least(runs, 2 * rounds + 1)
        square = times.pop(str((1000, 1000)))
        for shape, milliseconds in times.items():
            yield Figure(f"encode {shape}, {name}", milliseconds, "1000 x 1000", milliseconds / square, 1.5)


def of_load(rounds: int) -> Iterator[Figure]:
    data = (ROOT / "zoo" / "lenet5.sws").read_bytes()
    same = safetensors.torch.save(swsfmt_torch.load(data))
    runs: dict[str, Run] = {
        "swsfmt": partial(swsfmt_torch.load, data, threads=1),
        "safetensors": partial(safetensors.torch.load, same),
    }
    times = least(runs, 100 * rounds, time.perf_counter)
    yield Figure("load LeNet-5", times["swsfmt"], "safetensors", times["swsfmt"] / times["safetensors"], 1.3)

    rng = np.random.default_rng(0)
    sizes = [(384, 384)] * 24 + [(1536, 384)] * 12 + [(384,)] * 60
    data = swsfmt.save({f"t{i}": (np.rint(rng.normal(0, 4, s)) / 16).astype(np.float32) for i, s in enumerate(sizes)})
    out = swsfmt.load(data)
    runs = {str(threads): partial(swsfmt.load, data, threads=threads, out=out) for threads in (1, 2)}
    times = least(runs, 10 * rounds, time.perf_counter)
    yield Figure(f"load {len(sizes)} tensors, two threads", times["2"], "one thread", times["2"] / times["1"], 1)


@click.command(help=__doc__)
@click.option("--tensors", default=100_000, show_default=True, help="Of the file of many tensors.")
@click.option("--rounds", default=3, show_default=True, help="Turns of each contestant; short ones have more.")
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(tensors: int, rounds: int, json_path: Path | None) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    figures: list[Figure] = []
    table = Table("what", title="Times, and over whose they are")
    for column in ("ms", "over", "ratio", "goal"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        parts = (of_many(tensors, rounds, Path(folder)), of_small(rounds), of_vectors(rounds), of_load(rounds))
        for part in parts:
            for figure in part:
                figures.append(figure)
                timed = figure.ratio is None
                missed = (figure.milliseconds if timed else figure.ratio or 0) > figure.goal
                table.add_row(
                    figure.what,
                    f"{figure.milliseconds:,.3f}",
                    figure.compared_with,
                    "" if timed else f"{figure.ratio:.2f}",
                    f"{figure.goal:,g}" + (" ms" if timed else ""),
                    style="bold red" if missed else None,
                )
    Console(width=120).print(table)
    if json_path:
        json_path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
