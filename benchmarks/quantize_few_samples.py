"""What little calibration costs: all-MiniLM-L6-v2 with 16 to 1,020 sentences, judged by others.

    python benchmarks/quantize_few_samples.py [--fresh] [--files [--only COUNT]]

Bits for each weight above the least possible, to be as good as with moments of the sentences that judge: half of the
binary logarithm of tr(H^-1 H') / n * det(H)^(1/n) (Stein's loss: the cost of feedback and steps by H where the truth is
H', at the same rate). Without --files only differences between the ways tell something, as 146 sentences that judge are
few, too: what the old fixed damping of the diagonal loses is set to 0. All sentences are those for calibration, and no
table measures on them. --files makes files, and prints their cosines on 146 sentences.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator

import texts
import torch
from package_models import MINILM_TOKENIZER, package_file
from package_networks import Batches, Trained, _encoded, minilm
from quantize_harness import Metrics, arguments, cosines, heading, our_rows, outputs, print_head, statistics_of
from torch import Tensor, nn

from sws.quantize import Statistics
from sws.quantize.shrinkage import effective_samples, shrunk

SIZES = (16, 64, 256)
LAYERS = ("layer.0.", "layer.2.", "layer.4.")
FILES = (16, 64, 256, 1020)
LOSSES = (0.007, 0.014)


def sentences(count: int) -> Iterator[list[str]]:
    """The first ones for calibration, in parts of which each is sorted by length."""
    first, done = texts.calibration(340), 0
    for stop in (*SIZES, 1020):
        for start in range(done, min(stop, count), 64):
            yield first[start : min(start + 64, stop, count)]
        done = stop


def damped(total: Tensor, part: float) -> Tensor:
    return total + part * total.diagonal().mean() * torch.eye(len(total), dtype=total.dtype)


def ledoit_wolf(total: Tensor, spread: float, count: int) -> Tensor:
    """Drawn towards the identity (Ledoit and Wolf 2004), as one multiple of it."""
    squares = float(total.square().sum())
    variance = (spread - squares / count) * count / (count - 1)
    share = min(0.999, variance / (squares - float(total.trace()) ** 2 / len(total)))
    return damped(total * (1 - share), 0.01) + share * total.diagonal().mean() * torch.eye(len(total))


def lost(moments: Tensor, truth: Tensor) -> float:
    """Bits for each weight, up to what the truth alone has."""
    lower = torch.linalg.cholesky(moments)
    spread = float(torch.cholesky_solve(truth, lower).trace()) / len(truth)
    return 0.5 * (math.log2(spread) + 2 * float(lower.diagonal().log2().mean()))


def ways(total: Tensor, spread: float, count: int, fixed: float) -> dict[str, Tensor]:
    known = effective_samples([total], [spread], [count])
    return {
        "fixed": damped(total, fixed),
        "a third of it": damped(total, fixed / 3),
        "three times": damped(total, fixed * 3),
        "ten times": damped(total, fixed * 10),
        "to the identity": ledoit_wolf(total, spread, count),
        "correlations": shrunk(total, known, 0.03)[0],
    }


def compare(statistics: Statistics, truth: Statistics, side: str, fixed: float) -> dict[str, float]:
    """The mean over some matrices, of the losses of the fixed damping."""
    sums: dict[str, list[float]] = {}
    for name, (own, *more) in statistics.moments.items():
        if more or not any(layer in name for layer in LAYERS):
            continue
        place = 0 if side == "columns" else len(own.columns)
        total, judge = (getattr(moments, side)[0][0].double() for moments in (own, truth.moments[name][0]))
        for way, moments in ways(total, float(own.spread[place, 0]), own.count, fixed).items():
            sums.setdefault(way, []).append(lost(moments, judge))
    means = {way: sum(values) / len(values) for way, values in sums.items()}
    return {way: value - means["fixed"] for way, value in means.items()}


def files(trained: Trained, encode: Callable[[list[str]], Batches], fresh: bool, only: str) -> None:
    batches = encode(texts.others(340))
    floats = outputs(trained, trained.model, batches)

    def evaluate(model: nn.Module) -> Metrics:
        return cosines(floats, outputs(trained, model, batches))

    print_head(("cosine", "least"))
    for count in FILES:
        if only not in ("", str(count)):
            continue
        own = statistics_of(trained, f"{count} sentences", lambda n=count: batches_of(encode, n), fresh)  # type: ignore[misc]
        our_rows(trained, evaluate, own, LOSSES, f"{count} sentences", show=("cosine", "least"), profiles=("default",))


def batches_of(encode: Callable[[list[str]], Batches], count: int) -> Batches:
    return [batch for part in sentences(count) for batch in encode(part)]


def main() -> None:
    makes_files = "--files" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--files"]
    given = arguments(__doc__)
    trained = minilm()
    if trained is None:
        return
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(package_file(*MINILM_TOKENIZER)))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding()

    def encode(lines: list[str]) -> Batches:
        return _encoded(tokenizer, lines)

    heading(trained)
    if makes_files:
        files(trained, encode, given.fresh, given.only)
        return
    # Other directions, too: those of the same seed are the same.
    truth = statistics_of(trained, "sentences that judge", lambda: encode(texts.others(340)), given.fresh, seed=10**6)
    for side, fixed in (("columns", 0.03), ("rows", 0.1)):
        for number, count in enumerate(SIZES):
            own = statistics_of(trained, f"{count} sentences", lambda n=count: batches_of(encode, n), given.fresh)  # type: ignore[misc]
            bits = compare(own, truth, side, fixed)
            if number == 0:
                print(f"\n| {side}, damping {fixed} | {' | '.join(bits)} |\n|---|{'---:|' * len(bits)}")
            print(f"| {count} sentences | {' | '.join(f'{value:+.3f}' for value in bits.values())} |", flush=True)


if __name__ == "__main__":
    main()
