"""How the times of decoding and encoding grow with size and shrink with threads: `make bench-scaling`.

    python benchmarks/scaling.py [--weights N ...] [--threads N ...] [--rounds 5] [--json FILE] [--plot FILE]

Every figure is a ratio of times inside this run: the contestants of a size take turns, and the median of the rounds
counts. Each runs twice in its turn and the second time counts, so that none pays for memory that another gave back.

A "copy" is numpy.copy of the dense float32 tensor, in one thread if nothing else is said. "per weight" is the time for
one weight over that of the smallest size, "speed-up" the time of one thread over this one. What the machine has to give
at the moment shows in "CRC": checksums of the same bytes by one thread and by several, which share nothing; and what
its memory has to give in copies by several threads.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from workloads import weights

import swsfmt
from swsfmt.entropy import backend

CASES = {"dense, 16 values": 1.0, "sparse, 8 %": 0.08}


@dataclass(frozen=True)
class Figure:
    """nanoseconds : for one weight, of this machine at this moment; what counts are the ratios."""

    case: str
    work: str
    threads: int
    weights: int
    nanoseconds: float
    over_copy: float
    per_weight: float
    speed_up: float


Run = Callable[[], object]


def times_of(contestants: dict[tuple[str, int], Run], rounds: int) -> dict[tuple[str, int], list[float]]:
    times: dict[tuple[str, int], list[float]] = {key: [] for key in contestants}
    for _ in range(rounds):
        for key, run in contestants.items():
            run()
            start = time.perf_counter()
            run()
            times[key].append(time.perf_counter() - start)
    return times


def checksums(dense: npt.NDArray[np.float32], threads: int) -> None:
    """CRC-32, for which zlib lets other threads run, of pieces that fit into the cache."""
    data = dense.reshape(-1).view(np.uint8)
    pieces = [data[start : start + (1 << 18)] for start in range(0, len(data), 1 << 18)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda own: [zlib.crc32(piece) for piece in own], [pieces[i::threads] for i in range(threads)]))


def copy(dense: npt.NDArray[np.float32], threads: int) -> None:
    """Into new memory, a part of the rows by each thread."""
    out = np.empty_like(dense)
    parts = np.array_split(np.arange(len(dense)), threads)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda part: np.copyto(out[part[0] : part[-1] + 1], dense[part[0] : part[-1] + 1]), parts))


def ratio(times: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def measure(case: str, sizes: list[int], threads: list[int], rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    for size in sizes:
        dense, _ = weights(size, CASES[case])
        data = swsfmt.save({"w": dense})
        contestants: dict[tuple[str, int], Run] = {("copy", 1): partial(np.copy, dense)}
        for n in threads:
            if n > 1:
                contestants["copy", n] = partial(copy, dense, n)
            contestants["CRC", n] = partial(checksums, dense, n)
            contestants["decode", n] = partial(swsfmt.load, data, threads=n)
            contestants["encode", n] = partial(swsfmt.save, {"w": dense}, threads=n)
        # Small sizes take little time: more rounds make them as sure as the large ones.
        found = times_of(contestants, max(rounds, min(50, rounds * sizes[-1] // (10 * size))))
        for (work, n), times in found.items():
            each = statistics.median(times) / size * 1e9
            first = next((f for f in figures if (f.work, f.threads) == (work, n)), None)
            over_first = 1.0 if first is None else each / first.nanoseconds
            speed_up = ratio(found[work, 1], times)
            over_copy = ratio(times, found["copy", 1])
            figures.append(Figure(case, work, n, size, each, over_copy, over_first, speed_up))
    return figures


@click.command()
@click.option("--weights", "sizes", multiple=True, type=int, default=(1_000_000, 10_000_000, 50_000_000, 200_000_000))
@click.option("--threads", multiple=True, type=int, default=(1, 2))
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw them there.")
def main(
    sizes: tuple[int, ...], threads: tuple[int, ...], rounds: int, json_file: Path | None, plot: Path | None
) -> None:
    """Print times for each number of threads, of which one is always 1."""
    console = Console(width=120)
    load = os.getloadavg()[0]
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before, kernels: {backend.active()}",
        highlight=False,
    )
    figures = [f for case in CASES for f in measure(case, sorted(sizes), sorted({1, *threads}), rounds)]
    table = Table("case", "work", "threads", "weights", "ns / weight", "time / copy", "per weight", "speed-up")
    for f in figures:
        ratios = (f"{value:.2f}" for value in (f.nanoseconds, f.over_copy, f.per_weight, f.speed_up))
        table.add_row(f.case, f.work, str(f.threads), f"{f.weights:,}", *ratios)
    console.print(table)
    if json_file:
        facts = {"rounds": rounds, "load": load, "cores": os.cpu_count(), "figures": [asdict(f) for f in figures]}
        json_file.write_text(json.dumps(facts, indent=1) + "\n")
    if plot:
        draw(figures, plot)


def draw(figures: list[Figure], path: Path) -> None:
    import matplotlib.pyplot as plt

    drawing, panels = plt.subplots(1, len(CASES), figsize=(9, 4), layout="constrained", sharey=True)
    for axes, case in zip(panels, CASES, strict=True):
        for work, threads in dict.fromkeys((f.work, f.threads) for f in figures):
            line = [f for f in figures if (f.case, f.work, f.threads) == (case, work, threads)]
            label = f"{work}, {threads} thread{'s' if threads > 1 else ''}"
            axes.plot([f.weights for f in line], [f.nanoseconds for f in line], marker="o", label=label)
        axes.set(title=case, xlabel="weights", ylabel="ns for each weight", xscale="log", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    drawing.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
