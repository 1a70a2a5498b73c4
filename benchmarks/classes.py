"""The coding with classes beside the other two: `benchmarks/classes.py [--small] [MODEL.safetensors]`.

A row for each network of SWS_DATA, and for the matrices of MODEL, each rounded to multiples of a quarter, then of half
its standard deviation (all-MiniLM-L6-v2, in the documentation): the bytes of the file in each profile; the processor
time of one thread for decoding, in nanoseconds an element, with Huffman codes, and with classes with and without vector
instructions; and for encoding, in copies of the tensors. Times are the least of several. Large networks have a size in
the profile `small`, which takes minutes, with --small only.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HERE / "tests" / "helpers")]

from data import data_folder  # noqa: E402

import swsfmt  # noqa: E402
import swsfmt.checkpoints  # noqa: E402
import swsfmt.numpy  # noqa: E402
from swsfmt.entropy import backend  # noqa: E402

Arrays = dict[str, np.ndarray[Any, Any]]
REPEATS = 9


def rounded(arrays: Arrays, parts: int) -> Arrays:
    """The matrices, each on a grid of its own standard deviation divided by `parts`."""
    out = {}
    for name, array in arrays.items():
        if array.ndim == 2 and array.dtype == np.float32:
            step = np.float32(array.std() / parts)
            out[name] = (np.rint(array / step) * step + np.float32(0)).astype(np.float32)
    return out


def read(path: Path) -> Arrays:
    file = io.BytesIO()
    swsfmt.checkpoints.convert(path, file, profile="fast")
    return swsfmt.load(file.getvalue())


def cases() -> Iterator[tuple[str, Arrays]]:
    folder = data_folder()
    for path in sorted((folder / "checkpoints").glob("*.pt")) if folder else []:
        yield path.stem, read(path)
    for name in sys.argv[1:]:
        if name == "--small":
            continue
        arrays = read(Path(name))
        for parts in (4, 2):
            yield f"{Path(name).stem}, sigma / {parts}", rounded(arrays, parts)


def least(calls: list[Callable[[], Any]], repeats: int = REPEATS) -> list[float]:
    """The processor time of each, taken in turns."""
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for number, call in enumerate(calls):
            start = time.process_time()
            call()
            best[number] = min(best[number], time.process_time() - start)
    return best


def without_vectors(data: bytes) -> None:
    with backend.without_vectors():
        swsfmt.load(data, threads=1)


def row(arrays: Arrays, small: bool) -> list[str]:
    files = {profile: swsfmt.save(arrays, profile=profile, threads=1) for profile in ("fast", "default")}  # type: ignore[arg-type]
    sizes = [len(data) for data in files.values()]
    sizes.append(len(swsfmt.save(arrays, profile="small")) if small else 0)
    fast, default = files.values()
    decoding = least(
        [
            lambda: swsfmt.load(fast, threads=1),
            lambda: swsfmt.load(default, threads=1),
            lambda: without_vectors(default),
        ]
    )
    copying, *encoding = least(
        [
            lambda: [array.copy() for array in arrays.values()],
            lambda: swsfmt.save(arrays, profile="fast", threads=1),
            lambda: swsfmt.save(arrays, threads=1),
        ],
        3,
    )
    elements = sum(array.size for array in arrays.values())
    cells = [f"{size:,}" if size else "" for size in sizes]
    cells += [f"{1e9 * seconds / elements:.2f}" for seconds in decoding]
    return cells + [f"{seconds / copying:.0f}" for seconds in encoding]


def main() -> None:
    heads = ["", "fast", "default", "small", "decode fast", "default", "no vectors", "encode fast", "default"]
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1))
    for name, arrays in cases():
        small = "--small" in sys.argv or sum(array.nbytes for array in arrays.values()) < 1 << 24
        print("| " + " | ".join([name, *row(arrays, small)]) + " |", flush=True)


if __name__ == "__main__":
    main()
