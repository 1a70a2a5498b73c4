"""What retraining under the mixture prior costs: an epoch of it over an epoch of standard training.

    python benchmarks/epochs.py [--dataset mnist] [--model tutorialnet] [--batches 100]

One thread, batch 128; an "epoch" is that many batches, the two are run in turn, medians of three.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import Any

import torch

from sws.data import make_loaders
from sws.models import make_model
from sws.prior import init_mixture
from sws.train import retrain_soft_weight_sharing, train_standard
from sws.utils import set_seed


class Few:
    """The first batches of a loader."""

    def __init__(self, loader: Any, batches: int) -> None:
        self.dataset = loader.dataset
        self._batches = list(itertools.islice(loader, batches))

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Any:
        return iter(self._batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--model", default="tutorialnet")
    parser.add_argument("--batches", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    set_seed(0)
    loader, _, classes = make_loaders(args.dataset, 128)
    few = Few(loader, args.batches)
    model = make_model(args.model, classes)
    train_standard(model, few, None, epochs=1)
    prior = init_mixture(model, J=16, init_sigma=0.05)
    standard, retraining = [], []
    for _ in range(3):
        start = time.perf_counter()
        train_standard(model, few, None, epochs=1)
        between = time.perf_counter()
        retrain_soft_weight_sharing(model, prior, few, None, epochs=1)
        standard.append(between - start)
        retraining.append(time.perf_counter() - between)
    one, other = statistics.median(standard), statistics.median(retraining)
    print(f"{args.model} on {args.dataset}, {len(few)} batches of 128, one thread:")
    print(f"standard {one:.2f} s, retraining {other:.2f} s, ratio {other / one:.2f}")


if __name__ == "__main__":
    main()
