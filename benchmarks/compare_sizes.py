"""Sizes of the same checkpoint in the formats that people use.

    python benchmarks/compare_sizes.py [CHECKPOINT ...]        (default: the *.pt files of $SWS_DATA/checkpoints)

Every column is the size of a whole file that gives the state_dict back bit for bit; the general compressors run at
their strongest setting on the .safetensors file. The last column is dense bytes / bytes of the .sws file.
"""

from __future__ import annotations

import io
import lzma
import os
import sys
from pathlib import Path

import brotli
import safetensors.torch
import torch
import zstandard

import swsfmt.torch


def sizes(checkpoint: dict[str, torch.Tensor]) -> dict[str, int]:
    """Bytes of each form."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    plain = safetensors.torch.save({name: tensor.contiguous() for name, tensor in checkpoint.items()})
    return {
        "torch.save": len(buffer.getvalue()),
        "safetensors": len(plain),
        "zstd -22": len(zstandard.ZstdCompressor(22).compress(plain)),
        "brotli -11": len(brotli.compress(plain, quality=11, lgwin=24)),
        "xz -9e": len(lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME)),
        ".sws": len(swsfmt.torch.save(checkpoint)),
    }


def main() -> None:
    folder = Path(os.environ.get("SWS_DATA", Path(__file__).parents[2] / "shared" / "data")) / "checkpoints"
    paths = [Path(p) for p in sys.argv[1:]] or sorted(folder.glob("*.pt"))
    for i, path in enumerate(paths):
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
        found = sizes(checkpoint)
        if i == 0:
            print("| checkpoint |", " | ".join(found), "| ratio of .sws |")
            print("|---|" + "---:|" * (len(found) + 1))
        dense = sum(tensor.nbytes for tensor in checkpoint.values())
        print(
            f"| {path.stem} |", " | ".join(f"{size:,}" for size in found.values()), f"| {dense / found['.sws']:.2f} |"
        )


if __name__ == "__main__":
    main()
