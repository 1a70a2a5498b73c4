"""Which coding is for what: one matrix of each kind, in every profile, beside zstd -19.

python benchmarks/which_coding.py [-o docs/which_coding.png]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import matplotlib.pyplot as plt
import numpy as np
import zstandard
from rich.console import Console
from rich.table import Table

import swsfmt

PROFILES = ("fast", "default", "small")
SHAPE = (512, 768)
Array = np.ndarray[Any, Any]


def kinds() -> dict[str, Array]:
    """Matrices as models have them, by what they are; rows and columns of different sizes."""
    random = np.random.default_rng(0)
    spread = np.exp(random.normal(0, 0.4, (SHAPE[0], 1)) + random.normal(0, 0.4, (1, SHAPE[1])))
    weights = (random.normal(size=SHAPE) * spread * 0.05).astype(np.float32)
    step = np.float32(np.std(weights) / 4)
    grid = np.round(weights / step).astype(np.int32)
    few = (np.clip(grid // 4, -3, 3) * step).astype(np.float32)
    pruned = np.where(np.abs(weights) > np.quantile(np.abs(weights), 0.95), 1, 0).astype(np.float32)
    scales = (np.abs(weights).max(1, keepdims=True) / 7).astype(np.float32)
    rare = grid.astype(np.float32) * step
    outliers = random.random(SHAPE) < 0.02
    rare[outliers] = weights[outliers]
    return {
        "7 values, 95 % pruned": few * pruned,
        "a grid of step sigma / 4": (grid * step).astype(np.float32),
        "a grid, 2 % outliers": rare,
        "int4 with a scale for each row": (np.round(weights / scales) * scales).astype(np.float32),
        "floats, 95 % pruned": weights * pruned,
        "float32": weights,
        "float16": weights.astype(np.float16),
        "float32 of 10,000 values": np.cos(np.arange(SHAPE[0] * SHAPE[1]) % 10007).astype(np.float32).reshape(SHAPE),
        "token ids, int64": (random.zipf(1.3, SHAPE) % 30000).astype(np.int64),
    }


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A picture of the table.")
def main(output: Path | None) -> None:
    """Print the table, and draw it."""
    table = Table(title="Whole files over the bytes of their elements, and the coding that default takes")
    for column in ("matrix", "dtype", *PROFILES, "zstd -19", "coding"):
        table.add_column(column, justify="left" if column in ("matrix", "dtype", "coding") else "right")
    fractions: dict[str, list[float]] = {}
    for name, array in kinds().items():
        files = [swsfmt.save({"weight": array}, profile=profile) for profile in PROFILES]
        sizes = [*map(len, files), len(zstandard.ZstdCompressor(level=19).compress(array.tobytes()))]
        fractions[name] = [size / array.nbytes for size in sizes]
        coding = swsfmt.inspect(files[1]).tensors[0].coding
        table.add_row(name, str(array.dtype), *(f"{part:.3f}" for part in fractions[name]), coding)
    Console(width=120).print(table)
    if output is not None:
        draw(fractions, output)


def draw(fractions: dict[str, list[float]], output: Path) -> None:
    """Bars, a group for each matrix."""
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    places = np.arange(len(fractions))[::-1]
    for i, label in enumerate((*PROFILES, "zstd -19")):
        axes.barh(places - 0.2 * i + 0.3, [own[i] for own in fractions.values()], 0.2, label=label)
    axes.set_yticks(places, list(fractions))
    axes.set_xlabel("size of the file / bytes of its elements")
    axes.legend()
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main()
