"""Float checkpoints without loss: whole files as fractions of their elements, beside general compressors.

    python benchmarks/float_checkpoints.py [--only MiniLM ...] [--without-slow] [--cache FILE]

The weights come from packages (`package_models`), or are normal ones of which most were pruned. Peers compress the
safetensors file of the same tensors: zipnn where it is installed, zstd -19, xz -9. Times are CPU time in one thread,
least of three, over that of a copy into memory that is new to the process; decoding is into new memory too, encoding
has the memory of a process that has been at work for a while. `bound` is what the pruned ones take with positions at
their entropy, and non-zero values as the file of those alone has them.

zstd and xz take minutes; their sizes are kept in a file from run to run, by the contents of what they compressed.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import lzma
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import safetensors.torch
import torch
import zstandard
from package_models import CREPE_FULL, MINILM, SILERO_VAD, package_file

import swsfmt.torch

State = dict[str, torch.Tensor]

# Of malloc.h: blocks above this size come from the system, and go back to it; memory above it goes back at the end.
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
SLOW: dict[str, Callable[[bytes], bytes]] = {
    "zstd -19": lambda data: zstandard.ZstdCompressor(level=19).compress(data),
    "xz -9": lambda data: lzma.compress(data, preset=9),
}
CHECKPOINTS = (
    ("MiniLM", MINILM, (torch.bfloat16, torch.float16, torch.float32)),
    ("CREPE full", CREPE_FULL, (torch.float32, torch.bfloat16)),
    ("silero-vad 16k", SILERO_VAD, (torch.float32,)),
)
PRUNED = (0.9, 0.99, 0.999)


def cpu_time(function: Callable[[], Any], times: int = 3) -> float:
    """Of the fastest run, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def new_memory(is_new: bool) -> None:
    """Whether larger arrays are in new memory. By default it depends on what was freed before."""
    malloc = ctypes.CDLL(None)
    malloc.mallopt(MMAP_THRESHOLD, 1 << 17 if is_new else 1 << 25)
    malloc.mallopt(TRIM_THRESHOLD, 1 << 17 if is_new else 1 << 30)


def states(is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, State, float | None]]:
    """The checkpoints that are wanted, each with its name and the bound of its size in bytes, if there is one."""
    for part in PRUNED:
        name = f"normal float32, {part:.1%} zeros"
        if is_wanted(name):
            state = pruned(part)
            yield name, state, pruned_bound(state)
    for checkpoint, source, dtypes in CHECKPOINTS:
        names = {dtype: f"{checkpoint} {str(dtype).removeprefix('torch.')}" for dtype in dtypes}
        path = package_file(*source) if any(map(is_wanted, names.values())) else None
        if path is None:
            continue
        is_safetensors = path.suffix == ".safetensors"
        state = safetensors.torch.load_file(path) if is_safetensors else torch.load(path, weights_only=True)
        for dtype, name in names.items():
            if is_wanted(name):
                cast = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
                yield name, {key: value.contiguous() for key, value in cast.items()}, None


def pruned(part: float) -> State:
    """Normal weights of which so many are zero."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2048, 2048, generator=generator) * 0.02
    return {"weight": torch.where(torch.rand(weight.shape, generator=generator) < part, 0, weight)}


def pruned_bound(state: State) -> float:
    """In bytes."""
    weight = state["weight"]
    values = weight[weight != 0]
    part = values.numel() / weight.numel()
    positions = -weight.numel() * (part * math.log2(part) + (1 - part) * math.log2(1 - part)) / 8
    return positions + len(swsfmt.torch.save({"values": values}))


def zipnn_size(data: bytes, state: State) -> int | None:
    """None where zipnn is not installed."""
    try:
        from zipnn import ZipNN
    except ImportError:
        return None
    dtype = max(state.values(), key=torch.Tensor.numel).dtype
    return len(ZipNN(bytearray_dtype=str(dtype).removeprefix("torch."), threads=1).compress(bytearray(data)))


class Sizes:
    """What slow compressors make of data, kept in a file. is_off : nothing is compressed that is not there"""

    def __init__(self, path: Path, is_off: bool) -> None:
        self._path, self._is_off = path, is_off
        self._known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, data: bytes, name: str) -> int | None:
        key = f"{name} {hashlib.sha256(data).hexdigest()}"
        if key not in self._known and not self._is_off:
            self._known[key] = len(SLOW[name](data))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._known, indent=1) + "\n")
        return self._known.get(key)


def row(name: str, state: State, bound: float | None, slow: Sizes) -> str:
    """Of the table."""
    raw = sum(value.numel() * value.element_size() for value in state.values())
    peer = safetensors.torch.save(state)
    data = swsfmt.torch.save(state, threads=1)
    sizes = [
        len(data),
        len(swsfmt.torch.save(state, profile="small")),
        bound,
        zipnn_size(peer, state),
        *(slow.of(peer, name) for name in SLOW),
    ]
    new_memory(True)
    copy = cpu_time(lambda: [value.clone() for value in state.values()], 9)
    decoding = cpu_time(lambda: swsfmt.torch.load(data, threads=1)) / copy
    new_memory(False)
    encoding = cpu_time(lambda: swsfmt.torch.save(state, threads=1)) / copy
    fractions = ["" if size is None else f"{size / raw:.4f}" for size in sizes]
    return "| " + " | ".join([name, f"{raw / 1e6:.1f}", *fractions, f"{decoding:.2f}", f"{encoding:.1f}"]) + " |"


@click.command()
@click.option("--only", multiple=True, help="Rows whose names have this in them; repeatable.")
@click.option("--without-slow", is_flag=True, help="zstd and xz only where their sizes are known.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path.home() / ".cache" / "swsfmt" / "float_checkpoints.json",
    show_default=True,
    help="Sizes that zstd and xz have made.",
)
def main(only: tuple[str, ...], without_slow: bool, cache: Path) -> None:
    """Print the table."""
    slow = Sizes(cache, without_slow)
    heads = ["of the elements", "MB", "default", "small", "bound", "zipnn", *SLOW, "decoding", "encoding"]
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1), flush=True)
    for name, state, bound in states(lambda name: not only or any(part in name for part in only)):
        print(row(name, state, bound, slow), flush=True)


if __name__ == "__main__":
    main()
