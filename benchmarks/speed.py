"""Decoding and encoding beside copying memory and beside other coders: `make bench-speed`.

    python benchmarks/speed.py [--weights 20_000_000] [--network FILE ...] [--rounds 5] [--json FILE] [--plot FILE]

Cases are synthetic matrices, the checkpoints of $SWS_DATA/checkpoints and each FILE (see workloads.py). NNCodec takes
part where NNC_PYTHON names the python of an environment that has it.

One thread. Every figure is a ratio of CPU times inside this run: the contestants of a case take turns, and the median
of the rounds counts. A "copy" is numpy.copy of the dense float32 tensors; "out=" is into memory that is there already.
All other memory is new, as it is for a process that loads one model: glibc is told to give no freed memory out again.
Slow coders get a part of the weights, which the table says, and their time is scaled to all. The ids of the general
compressors are one byte for each weight.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from contestants import Contestant, Ids, coders, formats, nnc, savers
from rich.console import Console
from rich.table import Table
from workloads import Workload, checkpoints, networks, synthetic

import swsfmt
from swsfmt.entropy import backend

# Short turns are repeated until they last this long.
TURN = 0.02
MALLOC = "MALLOC_MMAP_THRESHOLD_"
IDS, IDS_THERE = "swsfmt, Huffman codes to ids", "swsfmt, Huffman codes to ids, out="
# Who is compared with whom: of those who give ids, NNCodec also with what gives floats.
LIKE = (
    ("bitarray to float32", "swsfmt.load"),
    ("bitarray to a list of ids", IDS),
    ("NNCodec", IDS),
    ("NNCodec", "swsfmt.load, file of ids"),
    ("NNCodec", "swsfmt.load"),
    ("zstd -3", IDS),
    ("zstd -3, out=", IDS_THERE),
    ("zstd -3", "swsfmt.load, file of ids"),
    ("zstd -3, out=", "swsfmt.load, file of ids, out="),
)


@dataclass(frozen=True)
class Figure:
    """over_copy, over_swsfmt : time over that of a copy, and of swsfmt's own function, the first contestant of that
    name. gigabytes : dense bytes for each second of this machine at this moment; what counts are the ratios.
    """

    case: str
    contestant: str
    over_copy: float
    over_swsfmt: float
    gigabytes: float
    part: float
    bytes: int | None


def seconds_of(contestant: Contestant) -> float:
    start = time.thread_time()
    own = contestant.run()
    return own if isinstance(own, float) else time.thread_time() - start


def median_times(contestants: list[Contestant], rounds: int) -> dict[str, float]:
    repeats = {c.name: max(1, int(TURN / max(seconds_of(c), 1e-6))) for c in contestants}
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            spent = sum(seconds_of(contestant) for _ in range(repeats[contestant.name]))
            times[contestant.name].append(spent / repeats[contestant.name] / contestant.part)
    return {name: statistics.median(found) for name, found in times.items()}


def figures_of(case: str, contestants: list[Contestant], own: str, dense: int, rounds: int) -> Iterator[Figure]:
    found = median_times(contestants, rounds)
    for contestant in contestants:
        each = found[contestant.name]
        over_copy, over_own = each / found["copy"], each / found[own]
        yield Figure(case, contestant.name, over_copy, over_own, dense / each / 1e9, contestant.part, contestant.size)


def measure(work: Workload, nnc_python: str | None, rounds: int) -> Iterator[Figure]:
    dense = sum(a.nbytes for a in work.tensors.values())
    ids = Ids(work)
    pairs = list(coders(ids))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        decoders = [*formats(work, folder), *(decoder for decoder, _ in pairs)]
        if nnc_python:
            decoders.append(stack.enter_context(nnc(ids, nnc_python)))
        yield from figures_of(f"decode: {work.name}", decoders, "swsfmt.load", dense, rounds)
    encoders = [*savers(work), *(encoder for _, encoder in pairs if encoder)]
    yield from figures_of(f"encode: {work.name}", encoders, "swsfmt.save", dense, rounds)


def chunk_tables(work: Workload) -> tuple[int, int]:
    """Bytes of the chunk tables, and of the file."""
    report = swsfmt.inspect(swsfmt.save(work.tensors))
    return report.sections["chunk_tables"], report.file_bytes


def start_up(rounds: int) -> tuple[int, float]:
    """The size of a small file, and the time of `sws decode` of it over that of `python -c "import numpy"`."""
    random = np.random.default_rng(0)
    array = random.integers(-8, 9, (90, 90)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.sws"
        swsfmt.save_file({"w": array}, path)
        out = path.with_suffix(".safetensors")
        commands = {
            "numpy": [sys.executable, "-c", "import numpy"],
            "sws": [Path(sys.executable).with_name("sws"), "decode", path, "-o", out, "--force"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[name].append(time.perf_counter() - start)
        return path.stat().st_size, statistics.median(times["sws"]) / statistics.median(times["numpy"])


@click.command()
@click.option("--weights", "count", default=20_000_000, show_default=True, help="Of each synthetic matrix.")
@click.option("--network", "files", multiple=True, type=click.Path(path_type=Path, exists=True), help="Repeatable.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw them there.")
def main(count: int, files: tuple[Path, ...], rounds: int, json_file: Path | None, plot: Path | None) -> None:
    """Print the ratios."""
    console = Console(width=130, highlight=False)
    load, nnc_python = os.getloadavg()[0], os.environ.get("NNC_PYTHON")
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, kernels: {backend.active()}")
    if not nnc_python:
        console.print("NNCodec is left out: NNC_PYTHON is not set.")
    shared = checkpoints()
    if not shared:
        console.print("The checkpoints are left out: SWS_DATA names no folder that has them.")
    figures: list[Figure] = []
    tables = Table("case", "bytes of the chunk tables", "of the file", "%", title="chunk tables")
    for source in (synthetic(count), networks([*shared, *files])):
        for work in source:
            if not work.quantised:
                continue
            found = list(measure(work, nnc_python, rounds))
            console.print(*tables_of(found), sep="\n")
            figures += found
            chunks, size = chunk_tables(work)
            tables.add_row(work.name, f"{chunks:,}", f"{size:,}", f"{chunks / size:.3%}".rstrip("%"))
    console.print(like_for_like(figures), tables, sep="\n")
    small, ratio = start_up(4 * rounds)
    console.print(f"sws decode of a file of {small:,} bytes: {ratio:.2f} times `python -c 'import numpy'`")
    if json_file:
        facts = {"weights": count, "rounds": rounds, "load": load, "cores": os.cpu_count(), "start_up": ratio}
        json_file.write_text(json.dumps(facts | {"figures": [asdict(f) for f in figures]}, indent=1) + "\n")
    if plot:
        draw(figures, plot)


def tables_of(figures: list[Figure]) -> Iterator[Table]:
    for case in dict.fromkeys(figure.case for figure in figures):
        columns = "time / copy", "time / swsfmt", "GB/s", "of the weights", "bytes"
        table = Table("", title=case, title_justify="left", min_width=100)
        for column in columns:
            table.add_column(column, justify="right")
        for figure in figures:
            if figure.case == case:
                size = "" if figure.bytes is None else f"{figure.bytes:,}"
                ratios = f"{figure.over_copy:.2f}", f"{figure.over_swsfmt:.2f}", f"{figure.gigabytes:.2f}"
                table.add_row(figure.contestant, *ratios, f"{figure.part:.0%}", size)
        yield table


def like_for_like(figures: list[Figure]) -> Table:
    """How many times as fast as another decoder, into the same kind of memory; NNCodec always gives ids."""
    over_copy = {(f.case, f.contestant): f.over_copy for f in figures}
    table = Table("case", title="times as fast", show_lines=True)
    for other, own in LIKE:
        table.add_column(f"{other} over {own}", justify="right")
    for case in dict.fromkeys(figure.case for figure in figures if figure.case.startswith("decode")):
        ratios = (over_copy.get((case, other), 0) / over_copy[case, own] for other, own in LIKE)
        table.add_row(case.removeprefix("decode: "), *(f"{ratio:.1f}" if ratio else "" for ratio in ratios))
    return table


def draw(figures: list[Figure], path: Path) -> None:
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys(f.case for f in figures if f.case.startswith("decode")))
    rows = -(-len(cases) // 3)
    drawing, panels = plt.subplots(rows, 3, figsize=(14, 4 * rows), layout="constrained", sharey=True, squeeze=False)
    for axes, case in zip(panels.flat, cases, strict=False):
        found = [f for f in figures if f.case == case][::-1]
        colours = ["#0072B2" if "swsfmt" in f.contestant else "#999999" for f in found]
        axes.barh([f.contestant for f in found], [f.over_copy for f in found], color=colours)
        axes.set(title=case, xlabel="time over a copy of the dense tensors", xscale="log")
        axes.axvline(1, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels.flat[len(cases) :]:
        axes.set_visible(False)
    drawing.savefig(path, dpi=100)


if __name__ == "__main__":
    if MALLOC not in os.environ:
        # Read when a process starts. Otherwise it would depend on what was freed before whether a copy pays for pages.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {MALLOC: str(1 << 17)})
    main()
