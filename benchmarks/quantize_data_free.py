"""Without any data: ours beside others that need none, at the sizes that they have.

    PEERS_PYTHON=... python benchmarks/quantize_data_free.py [--fresh] [--only WORD]

Round to nearest, NF4, HQQ and EntQuant's method, each in all its settings, on all-MiniLM-L6-v2 (420 sentences), CREPE
tiny (frames of speech and tones), facenet's R-Net and resemblyzer (inputs of `quantize_crepe.py`). Of each of their
files the mean cosine, of R-Net the relative error, and that of ours at the same size: between the two files of ours
next to it linear in the logarithm of the error, or of 1 - cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from package_networks import Trained, crepe_tiny, face_rnet, minilm, voice_encoder
from quantize_crepe import answers, pitches
from quantize_harness import Metrics, arguments, cosines, heading, loss_at, our_rows, outputs, peer_rows, print_head
from quantize_minilm import embeddings
from quantize_peers import peers
from torch import Tensor, nn

FAMILIES = ("round to nearest", "nf4", "hqq", "EntQuant's method")


@dataclass(frozen=True)
class Case:
    """losses : of our files. show : the metrics, first the one that counts. profile : of our files"""

    make: Callable[[], Trained | None]
    losses: Sequence[float]
    compare: Callable[[Tensor, Tensor], Metrics] = cosines
    show: Sequence[str] = ("cosine", "least")
    profile: str = "small"


CASES = [
    # "small" saves half a percent of MiniLM, and takes ten times as long.
    Case(minilm, (0.2, 0.08, 0.03, 0.01, 0.003, 0.0008, 0.0002, 0.00003, 0.000005), embeddings, profile="default"),
    Case(crepe_tiny, (0.5, 0.15, 0.04, 0.01, 0.0025, 0.0005, 0.00005), pitches),
    Case(face_rnet, (0.15, 0.05, 0.015, 0.004, 0.001, 0.0003, 0.00005, 0.00001), answers, ("relative error", "cosine")),
    Case(voice_encoder, (0.3, 0.1, 0.03, 0.01, 0.0025, 0.0005, 0.00005)),
]


def compare(case: Case, trained: Trained, fresh: bool) -> None:
    batches = trained.measuring()
    floats = outputs(trained, trained.model, batches)
    metric = case.show[0]

    def evaluate(model: nn.Module) -> Metrics:
        return case.compare(floats, outputs(trained, model, batches))

    def loss(value: float) -> float:
        return 1 - value if metric == "cosine" else value

    heading(trained)
    arrays = {name: tensor.numpy() for name, tensor in trained.model.state_dict().items()}
    which = [peer for peer in peers(arrays) if peer.name.startswith(FAMILIES)]
    print_head(case.show)
    ours = our_rows(trained, evaluate, None, case.losses, "ours, data-free", show=case.show, profiles=(case.profile,))
    theirs = peer_rows(trained, evaluate, fresh, which, show=case.show)
    print(f"\n| file | bytes | {metric} | ours at that size | better |\n|---|---:|---:|---:|---|")
    for row in sorted(theirs, key=lambda row: row.bytes):
        own = loss_at(ours, row.bytes, metric, loss)
        value = row.metrics[metric]
        text, better = "", ""
        if own is not None:
            text, better = f"{1 - own if metric == 'cosine' else own:.5g}", "ours" if own < loss(value) else "theirs"
        print(f"| {row.name} | {row.bytes:,} | {value:.5g} | {text} | {better} |")


def main() -> None:
    given = arguments(__doc__)
    for case in CASES:
        trained = case.make() if given.only in case.make.__name__ else None
        if trained is not None:
            compare(case, trained, given.fresh)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
