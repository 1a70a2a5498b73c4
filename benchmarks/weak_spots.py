"""Float32 matrices of more values than a codebook holds, beside general compressors: `python benchmarks/weak_spots.py`.

It prints a table for docs/sizes.md: ratios, dense bytes over all bytes, of matrices of 1,024 x 1,024. With `--pruned`
and a profile it prints, of larger ones that are pruned, what they take over the values alone and the entropy of their
positions, and how long they decode beside a copy: as they are, and what no decoder can go below, which is their memory,
new and written once, with their positions and their values, each as a file of its own.
"""

from __future__ import annotations

import argparse
import lzma
import math
import os
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import zstandard

import swsfmt
from swsfmt.codings.base import Profile

Matrix = npt.NDArray[np.float32]
_SHAPE, _LARGE = (1024, 1024), (4096, 4096)
_ROUNDS = 9
MALLOC = "MALLOC_MMAP_THRESHOLD_"


def matrices() -> dict[str, Matrix]:
    """Pruned and not quantised; and of just as many values as a codebook holds, and one more."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=_SHAPE).astype(np.float32)
    zero = np.float32(0)
    pruned = {f"{p:.0%} pruned": np.where(rng.random(_SHAPE) < p, zero, weights) for p in (0.9, 0.99)}
    rows = np.where(np.arange(_SHAPE[0])[:, None] < 102, weights, zero)
    return {**pruned, "90% of the rows zero": rows, **{f"{v:,} values": _skewed(rng, v) for v in (4095, 4096)}}


def _skewed(rng: np.random.Generator, values: int) -> Matrix:
    """All of so many values occur, a few of them far more often than the others."""
    book = rng.normal(size=values).astype(np.float32)
    count = _SHAPE[0] * _SHAPE[1]
    often = np.minimum(rng.geometric(0.05, count - values), values) - 1
    matrix: Matrix = book[np.concatenate([np.arange(values), often])].reshape(_SHAPE)
    return matrix


def ratios(matrix: Matrix) -> dict[str, float]:
    """Of each way to store it."""
    plain = matrix.tobytes()
    given: dict[str, Any] = {"weights": matrix}
    sizes = {
        "zlib": len(zlib.compress(plain)),
        "zstd -19": len(zstandard.ZstdCompressor(19).compress(plain)),
        "xz -9": len(lzma.compress(plain, preset=9)),
        **{f".sws, {profile}": len(swsfmt.save(given, profile=profile)) for profile in get_args(Profile)},
    }
    return {name: len(plain) / size for name, size in sizes.items()}


def pruned(profile: Profile) -> None:
    """Normal weights, 90, 99 and 99.9 % of them zero."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=_LARGE).astype(np.float32)
    heads = [
        "pruned",
        "bytes",
        "over values and entropy of positions",
        "decoding, copies",
        "memory",
        "positions",
        "values",
    ]
    print("| " + " | ".join(heads) + " |\n|---|" + "---:|" * (len(heads) - 1))
    for share in (0.9, 0.99, 0.999):
        matrix = np.where(rng.random(_LARGE) < share, np.float32(0), weights)
        data = swsfmt.save({"weights": matrix}, profile=profile)
        is_zero = matrix == 0
        of_values = swsfmt.save({"values": matrix[~is_zero]}, profile=profile)
        of_places = swsfmt.save({"places": ~is_zero}, profile=profile)
        zeros = float(is_zero.mean())
        positions = -matrix.size * (zeros * math.log2(zeros) + (1 - zeros) * math.log2(1 - zeros)) / 8
        copy, memory = seconds_of(matrix.copy), seconds_of(lambda: np.full(_LARGE, np.float32(1)))
        loads = [seconds_of(partial(swsfmt.load, file, threads=1)) for file in (data, of_places, of_values)]
        copies = [f"{seconds / copy:.2f}" for seconds in (loads[0], memory, *loads[1:])]
        over = len(data) / (len(of_values) + positions)
        print("| " + " | ".join([f"{share:.1%}", f"{len(data):,}", f"{over:.4f}", *copies]) + " |")


def seconds_of(call: Callable[[], object]) -> float:
    """Of the processor, the least of some."""
    times = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pruned", metavar="PROFILE", choices=get_args(Profile))
    profile = parser.parse_args().pruned
    if profile is not None:
        pruned(profile)
        return
    for number, (name, matrix) in enumerate(matrices().items()):
        row = ratios(matrix)
        if number == 0:
            print("| weights |", " | ".join(row), "|")
            print("|---|" + "---:|" * len(row))
        print(f"| {name} |", " | ".join(f"{ratio:.2f}" for ratio in row.values()), "|")


if __name__ == "__main__":
    if MALLOC not in os.environ:
        # As in `speed.py`: a copy pays for pages.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {MALLOC: str(1 << 17)})
    main()
