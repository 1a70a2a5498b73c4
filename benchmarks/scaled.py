"""Levels and scales that are found in floats: sizes beside those given apart, and the time of the search.

    python benchmarks/scaled.py MODEL.safetensors [--layers 1] [--profile small]

The matrices of a network are quantised in turn to 8 bits with one scale a row, and to 4 bits in groups of 32 and of
128, and multiplied out: a float32 checkpoint as fake quantisation leaves it. `found` is its file, `given` that of its
levels and scales as `swsfmt.Scaled`, `zstd` the levels as int8 and the scales in a safetensors file through zstd -19.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import zstandard
from safetensors import safe_open
from safetensors.numpy import save as save_safetensors

import swsfmt
from swsfmt.codings.scaled import grid
from swsfmt.dtypes import F32
from swsfmt.tensor import Elements, TensorInfo

Array = np.ndarray[Any, Any]
FORMS = {"int8, row": (8, 0), "int4, 32": (4, 32), "int4, 128": (4, 128)}


def quantized(matrix: Array, bits: int, group: int) -> tuple[Array, Array]:
    """Levels, int8 of the matrix's shape, and scales, float32 of shape (rows, groups)."""
    blocks = matrix.reshape(len(matrix), -1, group or matrix.shape[1])
    scale = (np.abs(blocks).max(2, keepdims=True) / (2 ** (bits - 1) - 1)).astype(np.float32)
    levels = np.rint(blocks / np.where(scale > 0, scale, 1)).astype(np.int8)
    return levels.reshape(matrix.shape), scale[:, :, 0]


def product(levels: Array, scale: Array) -> Array:
    """What a checkpoint of fake quantisation holds."""
    wide = levels.reshape(len(levels), scale.shape[1], -1) * scale[:, :, None]
    return np.ascontiguousarray(wide.reshape(levels.shape), np.float32)


def one_matrix() -> None:
    """1536 x 384 weights with one scale a row, about 3.57 bits of entropy a level."""
    weights = np.random.default_rng(0).normal(0, 0.02, (1536, 384)).astype(np.float32)
    weights *= np.random.default_rng(1).lognormal(0, 0.3, (1536, 1)).astype(np.float32)
    scale = (weights.std(1, keepdims=True) * 0.35).astype(np.float16).astype(np.float32)
    levels = np.rint(weights / scale).astype(np.int8)
    counts = np.unique(levels, return_counts=True)[1] / levels.size
    array = product(levels, scale)
    print(f"1536 x 384, one scale a row: {len(np.unique(array)):,} distinct floats, "
          f"entropy of the levels {-(counts * np.log2(counts)).sum():.3f} bits")  # fmt: skip
    for profile in ("fast", "default", "small"):
        found = len(swsfmt.save({"a": array}, profile=profile)) * 8 / array.size
        given = len(swsfmt.save({"a": swsfmt.Scaled(levels, scale)}, profile=profile)) * 8 / array.size
        print(f"  {profile}: found {found:.3f}, given {given:.3f} bits a weight")


def network(path: str, layers: int, profile: Any) -> None:
    """Each form of quantisation on the matrices of a network."""
    with safe_open(path, "np") as file:
        wanted = [f".layer.{i}." for i in range(layers)] or [""]
        names = [name for name in list(file.keys()) if any(part in name for part in wanted)]
        state = {name: file.get_tensor(name) for name in names}
    matrices = {name for name, array in state.items() if array.ndim == 2 and array.shape[1] % 128 == 0}
    for form, (bits, group) in FORMS.items():
        parts = {name: quantized(state[name], bits, group) for name in matrices}
        floats = {name: product(*parts[name]) if name in parts else array for name, array in state.items()}
        given = {name: swsfmt.Scaled(*parts[name]) if name in parts else array for name, array in state.items()}
        apart = {f"{name}.{i}": part for name, own in parts.items() for i, part in enumerate(own)}
        apart |= {name: array for name, array in state.items() if name not in parts}
        packed = len(zstandard.ZstdCompressor(level=19).compress(save_safetensors(apart)))
        start = time.process_time()
        data = swsfmt.save(floats, profile=profile, threads=1)
        seconds = time.process_time() - start
        assert all(array.tobytes() == floats[name].tobytes() for name, array in swsfmt.load(data).items())
        apart_size = len(swsfmt.save(given, profile=profile))
        more = len(data) / apart_size - 1
        print(f"{form}: found {len(data):,}, given {apart_size:,} ({more:+.2%}), zstd {packed:,}; {seconds:.1f} s")


def searches() -> None:
    """What it takes to see that ordinary floats have no scales, beside a copy of them."""
    array = np.random.default_rng(0).normal(0, 0.02, (4096, 4096)).astype(np.float32)
    elements = Elements(TensorInfo(F32, array.shape), array.reshape(-1).view(F32.bits))
    times = []
    for call in (array.copy, lambda: grid.search(elements)):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    print(f"ordinary floats, {array.size:,}: copy {1e3 * times[0]:.2f} ms, search {1e3 * times[1]:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a safetensors file")
    parser.add_argument("--layers", type=int, default=0, help="only so many layers; 0 for all of the network")
    parser.add_argument("--profile", default="small")
    arguments = parser.parse_args()
    one_matrix()
    searches()
    if arguments.model:
        network(arguments.model, arguments.layers, arguments.profile)


if __name__ == "__main__":
    main()
