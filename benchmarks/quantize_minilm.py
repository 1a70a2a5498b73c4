"""all-MiniLM-L6-v2: whole files against the quality of its embeddings, beside what others make of it.

    NNC_PYTHON=... PEERS_PYTHON=... python benchmarks/quantize_minilm.py [--fresh] [--no-peers]

420 sentences of three kinds that nothing else uses (`texts.evaluation`); calibration on other sentences, and on random
words of the vocabulary for what needs no text of the user's. Cosines are of embeddings with those of the float model;
Spearman's correlation is that of the similarities of all pairs of sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from package_networks import Batches, minilm
from quantize_harness import (
    Metrics,
    Row,
    arguments,
    cosines,
    grouped,
    heading,
    kept_for_sources,
    our_rows,
    outputs,
    peer_rows,
    print_head,
    print_savings,
    print_sizes,
    statistics_of,
)  # fmt: skip
from quantize_peers import peers
from quantize_smollm2 import importance
from scipy.stats import spearmanr
from torch import Tensor, nn

from sws.quantize import Statistics

SHOW = ("cosine", "least", "Spearman")
QUALITIES = (0.98, 0.99, 0.995, 0.999)
LOSSES = (0.02, 0.016, 0.01, 0.005, 0.002, 0.0005)
# "small" saves half a percent more, in ten times the time.
PROFILES = ("default",)
ORDINARY = 999, 29000  # Numbers of the words of the vocabulary: what comes before is for special purposes.


def random_words(count: int = 1020, seed: int = 3) -> list[dict[str, Tensor]]:
    """Sequences of 8 to 40 random words between the two marks."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for length in np.linspace(8, 40, count // 16).astype(int):
        ids = torch.randint(*ORDINARY, (16, int(length)), generator=generator)
        ids[:, 0], ids[:, -1] = 101, 102
        batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    return batches


def embeddings(floats: Tensor, own: Tensor) -> Metrics:
    """Also how the similarities of all pairs of sentences agree."""
    above = np.triu_indices(len(floats), 1)
    ours, theirs = ((own.double() @ own.double().T).numpy()[above] for own in (own, floats))
    return {**cosines(floats, own), "Spearman": float(spearmanr(theirs, ours).statistic)}


def main() -> None:
    given = arguments(__doc__)
    trained = minilm()
    if trained is None:
        return
    batches = trained.measuring()
    floats = outputs(trained, trained.model, batches)

    def evaluate(model: nn.Module) -> Metrics:
        return embeddings(floats, outputs(trained, model, batches))

    heading(trained)
    kept = kept_for_sources(trained, given.fresh, given.kept)

    def files(name: str, losses: Sequence[float], inputs: str = "", batches: Callable[[], Batches] = list) -> list[Row]:
        def statistics() -> Statistics:
            return statistics_of(trained, inputs, batches, given.fresh)

        return our_rows(
            trained, evaluate, statistics if inputs else None, losses, name, show=SHOW, profiles=PROFILES, kept=kept
        )

    print_head(SHOW)
    rows = files("ours", LOSSES, "other sentences", trained.calibration)
    rows += files("ours, random words", (0.006, 0.003, 0.0004), "random words", random_words)
    if not given.no_peers:
        arrays = {name: tensor.numpy() for name, tensor in trained.model.state_dict().items()}
        which = peers(arrays, importance(trained.model, trained.calibration()[:16]))
        rows += peer_rows(trained, evaluate, given.fresh, which, show=SHOW, is_complete=given.kept)
    rows += files("ours, data-free", (0.01, 0.002, 0.0003))
    print_sizes(grouped(rows), "cosine", QUALITIES, lambda cosine: 1 - cosine)
    others = {"K-quants, with an importance matrix or not": "llama.cpp", "NNCodec with trellis": "NNCodec, trellis"}
    print_savings(rows, "ours, default", others, "cosine", QUALITIES, lambda cosine: 1 - cosine)


if __name__ == "__main__":
    main()
