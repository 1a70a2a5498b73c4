"""Peak memory of loading and of encoding beside the sizes of tensors and file: `make bench-memory`.

    python benchmarks/memory.py [--weights 50_000_000] [--threads N] [--json FILE]

Each figure is of a process of its own: its peak (VmHWM of /proc, which is what ru_maxrss tells, but does not begin
with the peak of the parent) less that of a process that only imports the same. Loading may take dense size + file
size + 64 MiB, encoding from a safetensors file 2 x the largest tensor + file size + 64 MiB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

SLACK = 64 << 20
MIB = 1 << 20
TENSORS = 3

PEAK = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10)
"""
ENCODE = "import sys, numpy, safetensors, sws.cli, sws.cli.encode, concurrent.futures\n"
LOAD = "import sys, swsfmt\n"
TORCH = "import sys, torch, swsfmt.torch\n"
WORK = {
    "encode": (ENCODE, "sws.cli.main(['encode', *sys.argv[1:]], standalone_mode=False)\n"),
    "load_file": (LOAD, "kept = swsfmt.load_file(sys.argv[1], threads=int(sys.argv[2]))\n"),
    "torch load_file": (TORCH, "kept = swsfmt.torch.load_file(sys.argv[1], threads=int(sys.argv[2]))\n"),
    "torch load_file, float16": (
        TORCH,
        "kept = swsfmt.torch.load_file(sys.argv[1], threads=int(sys.argv[2]), dtype=torch.float16)\n",
    ),
}

Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.generic]]


def _levels(dtype: str, density: float) -> Draw:
    """16 values, `density` of them not zero."""

    def draw(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.generic]:
        ids = random.integers(1, 17, shape, dtype=np.uint8)
        ids[random.random(shape, dtype=np.float32) >= density] = 0
        return ids.astype(dtype)

    return draw


def _normal(dtype: str, through: str) -> Draw:
    def draw(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.generic]:
        return random.standard_normal(shape, dtype=np.float32).astype(through).astype(dtype)

    return draw


CASES: dict[str, Draw] = {
    "float32, dense, 16 values": _levels("f4", 1.0),
    "float32, sparse, 8 %": _levels("f4", 0.08),
    "float32, sparse, 1 %": _levels("f4", 0.01),
    "float32, any values": _normal("f4", "f4"),
    "float32 that is float16": _normal("f4", "f2"),
    "float16, sparse, 8 %": _levels("f2", 0.08),
    "float64, sparse, 8 %": _levels("f8", 0.08),
    "int64, dense, 16 values": _levels("i8", 1.0),
    "uint8, dense, 16 values": _levels("u1", 1.0),
    "uint8, sparse, 8 %": _levels("u1", 0.08),
}


@dataclass(frozen=True)
class Figure:
    """All in bytes. dense : of all tensors. largest : of one. file : of the .sws file."""

    case: str
    work: str
    dense: int
    largest: int
    file: int
    peak: int
    allowed: int


def peak(work: str, *arguments: object) -> int:
    """Bytes above the peak of a process that only imports."""
    imports, code = WORK[work]
    found = []
    for program in (imports, imports + code):
        command = [sys.executable, "-c", program + PEAK, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(int(done.stdout.splitlines()[-1]))
    return found[1] - found[0]


def measure(case: str, weights: int, threads: int, folder: Path) -> list[Figure]:
    shape = (weights // 1000, 1000)
    random = np.random.default_rng(0)
    tensors = {f"layer{number}": CASES[case](random, shape) for number in range(TENSORS)}
    largest = tensors["layer0"].nbytes
    source, file = folder / "model.safetensors", folder / "model.sws"
    safetensors.numpy.save_file(tensors, source)
    del tensors
    dense = TENSORS * largest
    peaks = {"encode": peak("encode", source, "-o", file, "--force", "--threads", threads)}
    peaks |= {work: peak(work, file, threads) for work in WORK if work != "encode" and wanted(work, case)}
    size = file.stat().st_size
    allowed = dict.fromkeys(peaks, dense + size + SLACK) | {"encode": 2 * largest + size + SLACK}
    if "torch load_file, float16" in peaks:
        # What is kept is half as large; the largest tensor is there twice for a moment.
        allowed["torch load_file, float16"] = dense // 2 + largest + size + SLACK
    return [Figure(case, work, dense, largest, size, found, allowed[work]) for work, found in peaks.items()]


def wanted(work: str, case: str) -> bool:
    return "float16" not in work or case.startswith("float32")


@click.command()
@click.option("--weights", default=50_000_000, show_default=True, help="Of each of three tensors.")
@click.option("--threads", default=os.cpu_count() or 1, show_default=True)
@click.option("--case", "cases", multiple=True, type=click.Choice(list(CASES)), help="Repeatable.  [default: all]")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there.")
def main(weights: int, threads: int, cases: tuple[str, ...], json_file: Path | None) -> None:
    """Print the peaks, and what they may be. Exit with 1 where one is above."""
    figures = []
    for case in cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            figures += measure(case, weights, threads, Path(folder))
    table = Table("case", "work", *("dense", "largest", "file", "peak", "allowed", "peak / allowed"), title="MiB")
    for f in figures:
        sizes = (f"{size / MIB:.0f}" for size in (f.dense, f.largest, f.file, f.peak, f.allowed))
        table.add_row(f.case, f.work, *sizes, f"{f.peak / f.allowed:.2f}")
    Console(width=140).print(table)
    if json_file:
        facts = {"weights": weights, "threads": threads, "figures": [asdict(f) for f in figures]}
        json_file.write_text(json.dumps(facts, indent=1) + "\n")
    sys.exit(any(f.peak > f.allowed for f in figures))


if __name__ == "__main__":
    main()
