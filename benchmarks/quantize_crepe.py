"""Small networks of convolutions, and one of LSTMs: whole files against the quality of their outputs.

    NNC_PYTHON=... PEERS_PYTHON=... python benchmarks/quantize_crepe.py [--fresh] [--no-peers] [--only WORD]

CREPE tiny (pitch of audio), facenet's R-Net (faces), resemblyzer (voices, three layers of LSTM). Inputs for measuring
and for calibration are of other texts and voices, and of other parts of the photographs (`package_networks`). Of CREPE
the fraction of frames whose pitch is within 50 cents of the float network's, all frames and those that it is sure of
(an output above 0.5; torchcrepe's users drop the others by its threshold of periodicity), which have a mean cosine of
their own too; of R-Net the relative error of its six numbers over all pictures, and the fraction of
them with the same answer, face or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from package_networks import Trained, cents, crepe_tiny, face_rnet, voice_encoder
from quantize_harness import (
    Metrics,
    arguments,
    cosines,
    grouped,
    heading,
    our_rows,
    outputs,
    peer_rows,
    print_head,
    print_sizes,
    statistics_of,
)  # fmt: skip
from torch import Tensor, nn

LOSSES = (0.02, 0.005, 0.002, 0.0007)
QUALITIES = (0.98, 0.99, 0.998, 0.999)
ERRORS = (0.2, 0.1, 0.05, 0.02)


def pitches(floats: Tensor, own: Tensor) -> Metrics:
    near = (cents(floats) - cents(own)).abs() <= 50
    sure = floats.max(1).values > 0.5
    return {
        **cosines(floats, own),
        "cosine, sure": cosines(floats[sure], own[sure])["cosine"],
        "50 cents": float(near.double().mean()),
        "50 cents, sure": float(near[sure].double().mean()),
    }


def answers(floats: Tensor, own: Tensor) -> Metrics:
    same = floats[:, :2].argmax(1) == own[:, :2].argmax(1)
    # Of six numbers that may all be near zero, a cosine tells little.
    error = float((own - floats).norm() / floats.norm())
    return {"relative error": error, **cosines(floats, own), "same answer": float(same.double().mean())}


NETWORKS: list[tuple[Callable[[], Trained | None], Callable[[Tensor, Tensor], Metrics], Sequence[str]]] = [
    (crepe_tiny, pitches, ("cosine", "least", "cosine, sure", "50 cents", "50 cents, sure")),
    (face_rnet, answers, ("relative error", "cosine", "same answer")),
    (voice_encoder, cosines, ("cosine", "least")),
]


def main() -> None:
    given = arguments(__doc__)
    for make, compare, show in NETWORKS:
        trained = make() if given.only in make.__name__ else None
        if trained is None:
            continue
        batches = trained.measuring()
        floats = outputs(trained, trained.model, batches)

        def evaluate(
            model: nn.Module, trained: Trained = trained, floats: Tensor = floats, batches: list[Tensor] = batches,
            compare: Callable[[Tensor, Tensor], Metrics] = compare,
        ) -> Metrics:  # fmt: skip
            return compare(floats, outputs(trained, model, batches))

        heading(trained)
        statistics = statistics_of(trained, "other inputs", trained.calibration, given.fresh)
        print_head(show)
        rows = our_rows(trained, evaluate, statistics, LOSSES, "ours", show=show)
        rows += our_rows(trained, evaluate, statistics, LOSSES, "ours, 8 paths", show=show, paths=8)
        rows += our_rows(trained, evaluate, None, (0.04, 0.01, 0.0025, 0.0005), "ours, data-free", show=show)
        if not given.no_peers:
            rows += peer_rows(trained, evaluate, given.fresh, show=show)
        if "relative error" in show:
            print_sizes(grouped(rows), "relative error", ERRORS, lambda error: error)
        else:
            for metric in show:
                if metric.startswith("cosine"):
                    print_sizes(grouped(rows), metric, QUALITIES, lambda cosine: 1 - cosine)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
