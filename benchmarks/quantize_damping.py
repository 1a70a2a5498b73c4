"""How much the diagonals of moments are damped: files with several factors, judged by inputs to choose settings by.

    python benchmarks/quantize_damping.py [--fresh] [--only WORD]

Of resemblyzer, CREPE tiny and all-MiniLM-L6-v2, with the statistics of their tables; two files (profile default) for
each pair of factors, of columns and of rows, and bytes at a mean cosine of .99, linear in the logarithm of 1 - cosine
through both.
"""

from __future__ import annotations

import math

import numpy as np
from package_networks import Trained, crepe_tiny, minilm, voice_encoder
from quantize_ablation import moments
from quantize_harness import arguments, cosines, heading, outputs, statistics_of, with_tensors
from torch import nn

import swsfmt.torch
from sws.quantize import Network, QuantizedModel, Statistics

FACTORS = ((0.02, 0.1), (0.02, 0.01), (0.02, 0.001), (0.002, 0.1), (0.002, 0.001))
WANTED = 0.01


def compare(trained: Trained, statistics: Statistics, losses: tuple[float, float]) -> None:
    batches = trained.choosing()
    floats = outputs(trained, trained.model, batches)
    weights = sum(p.numel() for p in trained.model.parameters())

    def loss_of(model: nn.Module) -> dict[str, float]:
        return {"loss": 1 - cosines(floats, outputs(trained, model, batches))["cosine"]}

    heading(trained)
    print("| columns | rows | bytes: 1 - cosine | | bytes at .99 |\n|---:|---:|---:|---:|---:|")
    for of_columns, of_rows in FACTORS:
        with moments((of_columns, of_rows), shrinks=True):
            network = Network(trained.model.state_dict(), statistics)
        points = []
        for loss in losses:
            made = QuantizedModel(network.quantize(math.sqrt(24 * loss / weights)))
            own = with_tensors(trained, made.state_dict(), loss_of)["loss"]
            points.append((len(swsfmt.torch.save(made.tensors)), own))
        sizes, logs = np.array([size for size, _ in points]), np.log([own / WANTED for _, own in points])
        at = sizes[0] - logs[0] * (sizes[1] - sizes[0]) / (logs[1] - logs[0])
        files = " | ".join(f"{size:,}: {own:.5f}" for size, own in points)
        print(f"| {of_columns:g} | {of_rows:g} | {files} | {at:,.0f} |", flush=True)


def main() -> None:
    given = arguments(__doc__)
    for name, make, inputs, losses in (
        ("voice", voice_encoder, "other inputs", (0.03, 0.01)),
        ("crepe", crepe_tiny, "other inputs", (0.016, 0.006)),
        ("minilm", minilm, "other sentences", (0.016, 0.006)),
    ):
        trained = make() if given.only in name else None
        if trained is not None:
            compare(trained, statistics_of(trained, inputs, trained.calibration, given.fresh), losses)


if __name__ == "__main__":
    main()
