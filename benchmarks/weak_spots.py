"""Where the format makes nothing smaller, and general compressors do: `python benchmarks/weak_spots.py`.

It prints a table for README.md: ratios, dense bytes over all bytes, of float32 matrices of 1,024 x 1,024.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

import swsfmt

Matrix = npt.NDArray[np.float32]
_SHAPE = (1024, 1024)


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
        ".sws": len(swsfmt.save(given)),
        ".sws, small": len(swsfmt.save(given, profile="small")),
    }
    return {name: len(plain) / size for name, size in sizes.items()}


def main() -> None:
    for number, (name, matrix) in enumerate(matrices().items()):
        row = ratios(matrix)
        if number == 0:
            print("| weights |", " | ".join(row), "|")
            print("|---|" + "---:|" * len(row))
        print(f"| {name} |", " | ".join(f"{ratio:.2f}" for ratio in row.values()), "|")


if __name__ == "__main__":
    main()
