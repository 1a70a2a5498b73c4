"""A few steps of training after quantising (`sws quantize --tune`): bytes and quality before and after.

    python benchmarks/quantize_tuning.py [--only crepe|rnet|minilm] [--factors 0|1|2] [--rate R] [--steps N]

Trained and judged on batches of the calibration alone, a fifth of which judges. The metric and "its error", which is
the error that training is about, are of other inputs (`package_networks`). A tuned file is larger, for its factors are
on no grid: it counts by the bytes that a file without tuning takes for the same metric, linear in the logarithm of the
loss between files with finer steps. --factors, --rate and --steps are to be chosen by the errors on the batches that
judge.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from package_networks import Trained, crepe_tiny, face_rnet, minilm
from quantize_crepe import answers, pitches
from quantize_harness import Metrics, Row, cosines, heading, outputs, size_at, statistics_of, with_tensors
from torch import Tensor

from sws.quantize import Network, QuantizedModel
from sws.quantize.outputs import OutputError
from sws.quantize.tuning import Tuning, tune
from swsfmt.torch import Scaled

# Of steps: files without tuning to be compared with.
FINER = (0.95, 0.9, 0.85, 0.8)
HELD_OUT = 5
# Its errors go up and down from file to file.
RNET = (0.03, 0.014, 0.007, 0.0035, 0.002)


@dataclass(frozen=True)
class Case:
    """inputs : of the statistics. loss : of the metric. expected : losses that decide the steps of files"""

    make: Callable[[], Trained | None]
    inputs: str
    compare: Callable[[Tensor, Tensor], Metrics]
    metric: str
    loss: Callable[[float], float]
    expected: tuple[float, ...]
    steps: int


def from_cosine(cosine: float) -> float:
    return 1 - cosine


def from_error(error: float) -> float:
    return error**2


CASES = {
    "crepe": Case(crepe_tiny, "other inputs", pitches, "cosine", from_cosine, (0.02, 0.002), 60),
    "rnet": Case(face_rnet, "other inputs", answers, "relative error", from_error, RNET, 60),
    "minilm": Case(minilm, "other sentences", cosines, "cosine", from_cosine, (0.016, 0.005), 40),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--factors", type=int, default=Tuning.factors, help="0: vectors alone, 2: those of columns too")
    parser.add_argument("--rate", type=float, default=Tuning.rate)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--losses", type=float, nargs="*", help="that are to be expected, in place of the table's")
    given = parser.parse_args()
    for name, case in CASES.items():
        trained = case.make() if given.only in (None, name) else None
        if trained is not None:
            tuning = Tuning(given.steps or case.steps, given.rate, given.factors)
            heading(trained)
            print(f"{tuning}\n\n| file | bytes | {case.metric} | its error | error on held-out batches | CPU s |")
            print("|---|---:|---:|---:|---:|---:|", flush=True)
            print_rows(trained, case, given.losses or case.expected, tuning)


def print_rows(trained: Trained, case: Case, losses: tuple[float, ...], tuning: Tuning) -> None:
    """Before and after for each loss that is to be expected, and what it is worth."""
    measuring, calibration = trained.measuring(), trained.calibration()
    held_out = calibration[::HELD_OUT]
    batches = [batch for number, batch in enumerate(calibration) if number % HELD_OUT]
    floats = outputs(trained, trained.model, measuring)
    network = Network(trained.model.state_dict(), statistics_of(trained, case.inputs, trained.calibration, fresh=False))
    weights = sum(parameter.numel() for parameter in trained.model.parameters())

    judge = OutputError(trained.model, measuring, trained.forward)

    def file(tensors: Mapping[str, Tensor | Scaled]) -> Row:
        own = QuantizedModel(tensors)
        metrics = with_tensors(
            trained, own.state_dict(), lambda model: case.compare(floats, outputs(trained, model, measuring))
        )
        return Row("", own.size(), metrics | {"error": judge.measure(tensors)})

    def loss(row: Row) -> float:
        return case.loss(row.metrics[case.metric])

    ratios, errors = [], []
    for step in (math.sqrt(24 * expected / weights) for expected in losses):
        tensors = network.quantize(step)
        start = time.process_time()
        tuned = tune(trained.model, tensors, batches, held_out, tuning, trained.forward)
        seconds = time.process_time() - start
        rows, after = [file(tensors)], file(tuned.tensors)
        print_row("before", rows[0], case.metric, tuned.before, 0)
        print_row(f"after {tuned.steps} steps", after, case.metric, tuned.after, seconds)
        for finer in FINER:
            if loss(rows[-1]) > loss(after):
                rows.append(file(network.quantize(finer * step)))
        same = size_at(rows, case.metric, after.metrics[case.metric], case.loss)
        text = "is worth no bytes" if same is None else f"is worth {same / after.bytes - 1:.1%} of its bytes"
        print(f"| the loss falls by {1 - loss(after) / loss(rows[0]):.1%}; the file {text} ||||||", flush=True)
        ratios.append(loss(after) / loss(rows[0]))
        errors.append(after.metrics["error"] / rows[0].metrics["error"])
    means = [1 - math.exp(sum(map(math.log, own)) / len(own)) for own in (ratios, errors)]
    print(
        f"\nthe loss falls by {means[0]:.1%}, the error by {means[1]:.1%}: geometric means of {len(ratios)}", flush=True
    )


def print_row(name: str, row: Row, metric: str, error: float, seconds: float) -> None:
    own = f"{row.metrics[metric]:.5f} | {row.metrics['error']:.4g}"
    print(f"| {name} | {row.bytes:,} | {own} | {error:.4g} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
