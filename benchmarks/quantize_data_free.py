"""Without any data: ours beside others that need none, at the sizes that they have.

    PEERS_PYTHON=... python benchmarks/quantize_data_free.py [--fresh] [--only WORD]

Round to nearest, NF4, HQQ and EntQuant's method, each in all its settings, on all-MiniLM-L6-v2 (420 sentences) and
CREPE tiny (frames of speech and tones). Of each of their files the mean cosine, and that of ours at the same size:
between the two files of ours next to it linear in the logarithm of 1 - cosine.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from package_networks import Trained, crepe_tiny, minilm
from quantize_harness import Metrics, arguments, cosines, heading, loss_at, our_rows, outputs, peer_rows, print_head
from quantize_peers import peers
from torch import Tensor, nn

SHOW = ("cosine", "least")
FAMILIES = ("round to nearest", "nf4", "hqq", "EntQuant's method")
NETWORKS: list[tuple[Callable[[], Trained | None], tuple[float, ...]]] = [
    (minilm, (0.2, 0.08, 0.03, 0.01, 0.003, 0.0008, 0.0002, 0.00003, 0.000005)),
    (crepe_tiny, (0.5, 0.15, 0.04, 0.01, 0.0025, 0.0005, 0.00005)),
]


def compare(trained: Trained, losses: tuple[float, ...], fresh: bool) -> None:
    batches = trained.measuring()
    floats = outputs(trained, trained.model, batches)

    def evaluate(model: nn.Module) -> Metrics:
        own: Tensor = outputs(trained, model, batches)
        return cosines(floats, own)

    heading(trained)
    arrays = {name: tensor.numpy() for name, tensor in trained.model.state_dict().items()}
    which = [peer for peer in peers(arrays) if peer.name.startswith(FAMILIES)]
    print_head(SHOW)
    ours = our_rows(trained, evaluate, None, losses, "ours, data-free", show=SHOW, profiles=("small",))
    theirs = peer_rows(trained, evaluate, fresh, which, show=SHOW)
    print("\n| file | bytes | cosine | ours at that size |\n|---|---:|---:|---:|")
    for row in sorted(theirs, key=lambda row: row.bytes):
        own = loss_at(ours, row.bytes, "cosine", lambda cosine: 1 - cosine)
        cosine = "" if own is None else f"{1 - own:.5g}"
        print(f"| {row.name} | {row.bytes:,} | {row.metrics['cosine']:.5g} | {cosine} |")


def main() -> None:
    given = arguments(__doc__)
    for make, losses in NETWORKS:
        trained = make() if given.only in make.__name__ else None
        if trained is not None:
            compare(trained, losses, given.fresh)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
