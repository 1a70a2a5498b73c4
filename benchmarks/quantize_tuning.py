"""A few steps of training after quantising (`sws quantize --tune`): bytes and quality before and after.

    python benchmarks/quantize_tuning.py [--only crepe|rnet|minilm] [--factors 0|1|2] [--rate R] [--steps N]

Trained and judged on batches of the calibration alone, a fifth of which judges; the metric is of other inputs
(`package_networks`). A tuned file is larger, for its factors are on no grid: it counts by the bytes that a file without
tuning takes for the same metric, linear in the logarithm of the loss between files with finer steps. --factors,
--rate and --steps are to be chosen by the errors on the batches that judge.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial

import torch
from package_networks import Trained, crepe_tiny, face_rnet, minilm
from quantize_crepe import answers, pitches
from quantize_harness import Metrics, Row, cosines, heading, outputs, size_at, statistics_of, with_tensors
from torch import Tensor, nn

from sws.quantize import Network, QuantizedModel
from sws.quantize.tuning import Tuning, tune

# Of steps: files without tuning to be compared with.
FINER = (1.0, 0.95, 0.9, 0.85, 0.8)
HELD_OUT = 5

Compare = Callable[[Tensor, Tensor], Metrics]
Network_ = tuple[Callable[[], Trained | None], str, Compare, str, Callable[[float], float], tuple[float, ...], int]

# What it is, inputs of its statistics, metric and its loss, losses to be expected, steps.
NETWORKS: dict[str, Network_] = {
    "crepe": (crepe_tiny, "other inputs", pitches, "cosine", lambda cosine: 1 - cosine, (0.02, 0.002), 60),
    "rnet": (face_rnet, "other inputs", answers, "relative error", lambda error: error**2, (0.02, 0.002), 60),
    "minilm": (minilm, "other sentences", cosines, "cosine", lambda cosine: 1 - cosine, (0.016, 0.005), 40),
}


def evaluated(trained: Trained, compare: Compare, floats: Tensor, batches: list[object], model: nn.Module) -> Metrics:
    return compare(floats, outputs(trained, model, batches))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--factors", type=int, default=Tuning.factors, help="0: vectors alone, 2: those of columns too")
    parser.add_argument("--rate", type=float, default=Tuning.rate)
    parser.add_argument("--steps", type=int)
    parser.add_argument(
        "--losses", type=float, nargs="*", help="that are to be expected, in place of those of the table"
    )
    given = parser.parse_args()
    for name, (make, inputs, compare, metric, loss, losses, steps) in NETWORKS.items():
        trained = make() if given.only in (None, name) else None
        if trained is None:
            continue
        tuning = Tuning(given.steps or steps, given.rate, given.factors)
        one_network(trained, inputs, compare, metric, loss, given.losses or losses, tuning)


def one_network(
    trained: Trained, inputs: str, compare: Compare, metric: str, loss: Callable[[float], float],
    losses: tuple[float, ...], tuning: Tuning,
) -> None:  # fmt: skip
    """Rows of its table."""
    measuring, calibration = trained.measuring(), trained.calibration()
    held_out = calibration[::HELD_OUT]
    batches = [batch for number, batch in enumerate(calibration) if number % HELD_OUT]
    floats = outputs(trained, trained.model, measuring)
    evaluate = partial(evaluated, trained, compare, floats, measuring)
    network = Network(trained.model.state_dict(), statistics_of(trained, inputs, trained.calibration, fresh=False))
    heading(trained)
    print(f"{tuning}\n\n| file | bytes | {metric} | error on held-out batches | CPU s |\n|---|---:|---:|---:|---:|")
    weights = sum(parameter.numel() for parameter in trained.model.parameters())
    for expected in losses:
        rows = []
        for finer in FINER:
            start = time.process_time()
            quantized = QuantizedModel(network.quantize(finer * math.sqrt(24 * expected / weights)))
            seconds = time.process_time() - start
            rows.append(Row("", quantized.size(), with_tensors(trained, quantized.state_dict(), evaluate)))
            if finer == 1:
                start = time.process_time()
                tuned = tune(trained.model, quantized.tensors, batches, held_out, tuning, trained.forward)
                own = QuantizedModel(tuned.tensors)
                after = Row("", own.size(), with_tensors(trained, own.state_dict(), evaluate))
                print_row("before", rows[0], metric, tuned.before, seconds)
                name = f"after {tuned.steps} steps"
                print_row(name, after, metric, tuned.after, time.process_time() - start)
            value = after.metrics[metric]
            if finer < 1 and loss(rows[-1].metrics[metric]) < loss(value):
                break
        old, new = loss(rows[0].metrics[metric]), loss(value)
        same = size_at(rows, metric, value, loss)
        text = "is worth no bytes" if same is None else f"is worth {same / after.bytes - 1:.1%} of its bytes"
        print(f"| the loss falls by {1 - new / old:.1%}; the file {text} |||||", flush=True)


def print_row(name: str, row: Row, metric: str, error: float, seconds: float) -> None:
    print(f"| {name} | {row.bytes:,} | {row.metrics[metric]:.5f} | {error:.4g} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
