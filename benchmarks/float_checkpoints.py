"""Float checkpoints without loss: whole files as fractions of their elements, beside general compressors.

    python benchmarks/float_checkpoints.py

The weights come from packages (`package_models`), or are normal ones of which most were pruned. Peers compress the
safetensors file of the same tensors: zipnn where it is installed, zstd -19, xz -9. Times are CPU time in one thread,
over that of a copy into new memory, least of three. `bound` is what the pruned ones take with positions at their
entropy, and non-zero values as the file of those alone has them.
"""

from __future__ import annotations

import lzma
import math
import time
from collections.abc import Callable
from typing import Any

import safetensors.torch
import torch
import zstandard
from package_models import CREPE_FULL, MINILM, SILERO_VAD, package_file

import swsfmt.torch

State = dict[str, torch.Tensor]


def cpu_time(function: Callable[[], Any], times: int = 3) -> float:
    """Of the fastest run, in seconds."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def states() -> dict[str, State]:
    """The checkpoints by name, in every dtype that is measured."""
    out: dict[str, State] = {}
    for name, source, dtypes in (
        ("MiniLM", MINILM, (torch.bfloat16, torch.float16, torch.float32)),
        ("CREPE full", CREPE_FULL, (torch.float32, torch.bfloat16)),
        ("silero-vad 16k", SILERO_VAD, (torch.float32,)),
    ):
        path = package_file(*source)
        if path is None:
            continue
        is_safetensors = path.suffix == ".safetensors"
        state = safetensors.torch.load_file(path) if is_safetensors else torch.load(path, weights_only=True)
        for dtype in dtypes:
            cast = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
            out[f"{name} {str(dtype).removeprefix('torch.')}"] = {k: v.contiguous() for k, v in cast.items()}
    return out


PRUNED = (0.9, 0.99, 0.999)


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


def row(name: str, state: State, bound: float | None = None) -> str:
    """Of the table."""
    raw = sum(value.numel() * value.element_size() for value in state.values())
    peer = safetensors.torch.save(state)
    data = swsfmt.torch.save(state, threads=1)
    sizes = [
        len(data),
        len(swsfmt.torch.save(state, profile="small")),
        bound,
        zipnn_size(peer, state),
        len(zstandard.ZstdCompressor(level=19).compress(peer)),
        len(lzma.compress(peer, preset=9)),
    ]
    copy = cpu_time(lambda: [value.clone() for value in state.values()])
    decoding = cpu_time(lambda: swsfmt.torch.load(data, threads=1)) / copy
    encoding = cpu_time(lambda: swsfmt.torch.save(state, threads=1)) / copy
    fractions = ["" if size is None else f"{size / raw:.4f}" for size in sizes]
    return "| " + " | ".join([name, f"{raw / 1e6:.1f}", *fractions, f"{decoding:.2f}", f"{encoding:.1f}"]) + " |"


def main() -> None:
    heads = ["of the elements", "MB", "default", "small", "bound", "zipnn", "zstd -19", "xz -9", "decoding", "encoding"]
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1), flush=True)
    for part in PRUNED:
        state = pruned(part)
        print(row(f"normal float32, {part:.1%} zeros", state, pruned_bound(state)), flush=True)
    for name, state in states().items():
        print(row(name, state), flush=True)


if __name__ == "__main__":
    main()
