"""What each ingredient of the quantiser is worth: a network with one of them switched off at a time.

    python benchmarks/quantize_ablation.py [--fresh] [--only WORD]

Bytes of whole files (profile default) at a mean cosine of .99, between two files linear in the logarithm of 1 - cosine:
of all-MiniLM-L6-v2 on 180 of the sentences of `quantize_minilm.py`, of CREPE tiny and resemblyzer on all inputs of
`quantize_crepe.py`, each with the statistics of these; of facenet's R-Net on its pictures at a relative error of .05.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from package_networks import Trained, crepe_tiny, face_rnet, minilm, voice_encoder
from quantize_harness import (
    Metrics,
    Row,
    arguments,
    cosines,
    heading,
    outputs,
    print_head,
    print_row,
    size_at,
    statistics_of,
    with_tensors,
)
from torch import Tensor, nn

import swsfmt.torch
from sws.quantize import Network, QuantizedModel, Statistics, matrix
from sws.quantize import network as networks
from sws.quantize.factors import Factors, factors
from sws.quantize.layout import Layout
from sws.quantize.shrinkage import COLUMN_DAMPING, ROW_DAMPING


@dataclass(frozen=True)
class Quality:
    """loss : of the metric, as c foretells it"""

    metric: str
    wanted: float
    loss: Callable[[float], float]


COSINE = Quality("cosine", 0.99, lambda cosine: 1 - cosine)
ERROR = Quality("relative error", 0.05, lambda error: error**2 / 2)
Change = Callable[[Network], None]


def each(change: Callable[[Factors], Factors]) -> Change:
    """Of all factors of a network."""

    def changed(network: Network) -> None:
        for own in network._factors.values():
            own[:] = [change(one) for one in own]

    return changed


def changed_blocks(own: Factors, change: Callable[[Tensor], Tensor]) -> list[Tensor] | Tensor:
    """Of the columns. Where they do not know of each other anyway, they are a diagonal."""
    if isinstance(own.columns, Tensor):
        return change(own.columns.diag()).diagonal()
    return [change(block) for block in own.columns]


def no_column_feedback(own: Factors) -> Factors:
    return replace(own, columns=changed_blocks(own, lambda block: block.diagonal().diag()))


def no_row_feedback(own: Factors) -> Factors:
    return replace(own, rows=own.row_diagonal.float())


def no_gradients(own: Factors) -> Factors:
    """All rows count the same, as much as they do together."""
    return replace(own, rows=torch.full_like(own.row_diagonal, own.row_diagonal.log().mean().exp()).float())


def no_feedback(own: Factors) -> Factors:
    return no_row_feedback(no_column_feedback(own))


@contextmanager
def steps(rows: bool, columns: bool) -> Iterator[None]:
    """Steps of each row, or column, or not: then the geometric mean of them."""
    usual = matrix._steps

    def own(of_rows: Tensor, of_columns: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        parts = [
            values if is_own else torch.full_like(values, values.log().mean().exp())
            for values, is_own in ((of_rows, rows), (of_columns, columns))
        ]
        return usual(parts[0], parts[1], layout)

    matrix._steps = own
    try:
        yield
    finally:
        matrix._steps = usual


@contextmanager
def moments(damping: tuple[float, float], shrinks: bool) -> Iterator[None]:
    """Of which the factors are made: damped so, and their correlations shrunk or not."""
    usual = networks.factors
    networks.factors = lambda roles, samples: factors(roles, samples, damping=damping, shrinks=shrinks)
    try:
        yield
    finally:
        networks.factors = usual


def one_step(network: Network) -> None:
    """The same step for all matrices, and so without sensitivities of tensors."""
    units = {name: _unit(own) for name, own in network._factors.items()}
    weights = {name: network.tensors[name].numel() for name in units}
    mean = sum(units[name] * weights[name] for name in units) / sum(weights.values())
    for name, own in network._factors.items():
        scale = math.exp(mean - units[name])
        own[:] = [_scaled(one, scale) for one in own]


def _unit(own: list[Factors]) -> float:
    return sum(float(one.row_diagonal.log().mean() + one.column_diagonal.log().mean()) for one in own) / len(own)


def _scaled(own: Factors, scale: float) -> Factors:
    return replace(own, columns=changed_blocks(own, lambda block: block * scale))


def main() -> None:
    given = arguments(__doc__)
    for name, make, inputs, quality in (
        ("minilm", lambda: minilm(sentences=60), "other sentences", COSINE),
        ("crepe", crepe_tiny, "other inputs", COSINE),
        ("rnet", face_rnet, "other inputs", ERROR),
        ("voice", voice_encoder, "other inputs", COSINE),
    ):
        trained = make() if given.only in name else None
        if trained is not None:
            ablate(trained, statistics_of(trained, inputs, trained.calibration, given.fresh), quality)


def ablate(trained: Trained, statistics: Statistics, quality: Quality) -> None:
    batches = trained.measuring()
    floats = outputs(trained, trained.model, batches)

    def evaluate(model: nn.Module) -> Metrics:
        own = outputs(trained, model, batches)
        return {**cosines(floats, own), "relative error": float((own - floats).norm() / floats.norm())}

    def files(name: str, change: Change | None = None, **options: float) -> None:
        network = Network(trained.model.state_dict(), statistics)
        if change is not None:
            change(network)
        weights = sum(p.numel() for p in trained.model.parameters())
        rows, wanted = [], quality.loss(quality.wanted)
        loss = wanted
        for _ in range(4):
            result = QuantizedModel(network.quantize(math.sqrt(24 * loss / weights), **options))
            metrics = with_tensors(trained, result.state_dict(), evaluate)
            rows.append(Row(name, len(swsfmt.torch.save(result.tensors)), metrics))
            print_row(rows[-1], (quality.metric,))
            size = size_at(rows, quality.metric, quality.wanted, quality.loss)
            if size is not None:
                sizes[name] = size
                return
            # A little further than where it should be, so that it lies between the two.
            loss *= (wanted / quality.loss(metrics[quality.metric])) ** 1.15

    sizes: dict[str, float] = {}
    heading(trained)
    print_head((quality.metric,))
    files("all")
    files("without rates: the nearest level", rate=0)
    files("without the feedback of rows", each(no_row_feedback))
    files("without the feedback of columns", each(no_column_feedback))
    files("without feedback", each(no_feedback))
    files("without gradients: all rows alike", each(no_gradients))
    with steps(rows=False, columns=True):
        files("one step for all rows of a matrix")
    with steps(rows=True, columns=False):
        files("one step for all columns")
    with steps(rows=False, columns=False):
        files("one step a matrix")
        files("one step a matrix, without feedback", each(no_feedback))
        files("one step for all, without feedback", lambda network: (one_step(network), each(no_feedback)(network))[0])
    with moments((COLUMN_DAMPING, ROW_DAMPING), shrinks=False):
        files("damped alone: correlations not shrunk")
    with moments((COLUMN_DAMPING, ROW_DAMPING / 10), shrinks=True):
        files("rows damped by a tenth of it")
    with moments((COLUMN_DAMPING, 1e-3), shrinks=True):
        files("rows not damped")
    with moments((1e-3, 1e-3), shrinks=False):
        files("sums as they are: neither shrunk nor damped")
    print(f"\n| at a {quality.metric} of {quality.wanted:g} | bytes | more |\n|---|---:|---:|")
    for name, size in sizes.items():
        more = f"{size / sizes['all'] - 1:+.1%}" if "all" in sizes else ""
        print(f"| {name} | {size:,.0f} | {more} |")


if __name__ == "__main__":
    main()
