"""Decoding and encoding beside copying memory and beside other coders: `make bench`.

    python benchmarks/speed.py [--weights 20_000_000] [--rounds 5] [--json FILE] [--plot FILE]

One thread. Every figure is a ratio of times inside this run: the contestants of a case take turns, and the median of
the rounds counts. A "copy" is numpy.copy of the dense float32 tensor. Slow coders get a part of the weights, which the
table says, and their time is scaled to all. The ids of the general compressors are one byte for each weight.
"""

from __future__ import annotations

import io
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import brotli  # type: ignore[import-not-found]
import click
import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
import zstandard  # type: ignore[import-not-found]
from bitarray import bitarray, decodetree
from bitarray.util import canonical_huffman
from rich.console import Console
from rich.table import Table
from synthetic import VALUES, weights

import swsfmt
from swsfmt.entropy import adaptive, kernels
from swsfmt.entropy.adaptive import Model

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Contestant:
    """part : of the weights that `run` deals with."""

    name: str
    run: Callable[[], object]
    part: float = 1.0


@dataclass(frozen=True)
class Figure:
    """over_copy : time over that of a copy."""

    case: str
    contestant: str
    over_copy: float
    part: float
    bytes: int | None = None


def median_times(contestants: list[Contestant], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            start = time.perf_counter()
            contestant.run()
            times[contestant.name].append((time.perf_counter() - start) / contestant.part)
    return {name: statistics.median(found) for name, found in times.items()}


def decoders(dense: Array, ids: npt.NDArray[np.uint8], sizes: dict[str, int]) -> list[Contestant]:
    small = swsfmt.save({"w": dense}, profile="small", contexts="light")
    fast = swsfmt.save({"w": dense})
    plain = safetensors.numpy.save({"w": dense})
    pickled = io.BytesIO()
    torch.save({"w": torch.from_numpy(dense)}, pickled)
    packed = {
        "zstd -3 to ids": zstandard.ZstdCompressor(3).compress(ids),
        "zstd -19 to ids": zstandard.ZstdCompressor(19).compress(ids.ravel()[: ids.size // 8]),
        "brotli to ids": brotli.compress(ids.ravel()[: ids.size // 8].tobytes(), quality=9),
    }
    part = ids.ravel()[: ids.size // 50]
    codes, _, _ = canonical_huffman({int(i): int(n) for i, n in enumerate(np.bincount(part)) if n})
    tree = decodetree(codes)
    coded = bitarray()
    coded.encode(codes, part.tolist())
    book = kernels.PrefixCode.optimal(np.bincount(ids.ravel(), minlength=VALUES + 1))
    stream = kernels.encode_symbols(ids.ravel().astype(np.uint16), book)
    sizes |= {"swsfmt.load": len(fast), "swsfmt.load, small": len(small), "safetensors": len(plain)}
    sizes |= {name: len(data) for name, data in packed.items() if "19" not in name and "brotli" not in name}
    expand = zstandard.ZstdDecompressor().decompress

    def torch_load() -> object:
        pickled.seek(0)
        return torch.load(pickled, weights_only=True)

    return [
        Contestant("copy", lambda: np.copy(dense)),
        Contestant("swsfmt.load", lambda: swsfmt.load(fast, threads=1)),
        Contestant("swsfmt.load, small", lambda: swsfmt.load(small, threads=1)),
        Contestant("Huffman codes to ids", lambda: kernels.decode_symbols(stream, 0, ids.size, book)),
        Contestant("safetensors", lambda: safetensors.numpy.load(plain)),
        Contestant("torch.load", torch_load),
        Contestant("zstd -3 to ids", lambda: expand(packed["zstd -3 to ids"])),
        Contestant("zstd -19 to ids", lambda: expand(packed["zstd -19 to ids"]), 1 / 8),
        Contestant("brotli to ids", lambda: brotli.decompress(packed["brotli to ids"]), 1 / 8),
        Contestant("bitarray to ids", lambda: list(coded.decode(tree)), 1 / 50),
    ]


def encoders(dense: Array, ids: npt.NDArray[np.uint8]) -> list[Contestant]:
    part = ids.astype(np.uint16)[: len(ids) // 20]
    model = Model(1, 1, (VALUES, 0), zeros=bool((ids == 0).any()), light=True)
    return [
        Contestant("copy", lambda: np.copy(dense)),
        Contestant("swsfmt.save", lambda: swsfmt.save({"w": dense}, threads=1)),
        Contestant("adaptive coder, light", lambda: adaptive.encode(part, model), len(part) / len(ids)),
    ]


@click.command()
@click.option("--weights", "count", default=20_000_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures there.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw them there.")
def main(count: int, rounds: int, json_file: Path | None, plot: Path | None) -> None:
    console, figures = Console(), []
    load = os.getloadavg()[0]
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, kernels: {kernels.active()}")
    for case, density in (("dense, 16 values", 1.0), ("sparse, 8 %", 0.08), ("sparse, 1 %", 0.01)):
        dense, ids = weights(count, density)
        for what, make in (("decode", decoders), ("encode", encoders)):
            sizes: dict[str, int] = {}
            contestants = make(dense, ids, sizes) if make is decoders else encoders(dense, ids)
            found = median_times(contestants, rounds)
            for contestant in contestants:
                over = found[contestant.name] / found["copy"]
                size = sizes.get(contestant.name)
                figures.append(Figure(f"{what}: {case}", contestant.name, over, contestant.part, size))
    table = Table("case", "contestant", "time / copy", "of the weights", "bytes")
    for figure in figures:
        size = "" if figure.bytes is None else f"{figure.bytes:,}"
        table.add_row(figure.case, figure.contestant, f"{figure.over_copy:.2f}", f"{figure.part:.0%}", size)
    console.print(table)
    if json_file:
        facts = {"weights": count, "rounds": rounds, "load": load, "cores": os.cpu_count()}
        json_file.write_text(json.dumps(facts | {"figures": [asdict(f) for f in figures]}, indent=1) + "\n")
    if plot:
        draw(figures, plot)


def draw(figures: list[Figure], path: Path) -> None:
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys(f.case for f in figures if f.case.startswith("decode")))
    drawing, panels = plt.subplots(1, len(cases), figsize=(13, 4), layout="constrained", sharey=True)
    for axes, case in zip(panels, cases, strict=True):
        rows = [f for f in figures if f.case == case][::-1]
        colours = ["#0072B2" if "swsfmt" in f.contestant or "Huffman" in f.contestant else "#999999" for f in rows]
        axes.barh([f.contestant for f in rows], [f.over_copy for f in rows], color=colours)
        axes.set(title=case, xlabel="time over a copy of the dense tensor", xscale="log")
        axes.axvline(1, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
