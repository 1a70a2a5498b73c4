"""What more work at one step gives: statistics of the quantised network, corrected weights, more passes, more paths.

    python benchmarks/quantize_sequential.py [--only WORD] [--fresh]

Bytes of whole files at equal quality, as in `quantize_ablation.py`: of facenet's R-Net at a relative error of .05, of
CREPE tiny and all-MiniLM-L6-v2 at a mean cosine of .99, on inputs that neither calibrate nor are measured on: settings
are chosen by this. Of one file both vary by some percent: each network is quantised with several steps, and a line in
the logarithm of the loss through all files is read where the quality is wanted; the last column says how far files are
from their line.

"again" quantises the floats with statistics of the network that was quantised before. "corrected" quantises matrix
after matrix, W + W (C - H') H'^-1 instead of W, as GPTAQ (arXiv 2504.02692) and Qronos (arXiv 2505.11695) do: H' is of
the inputs with all matrices before quantised, C = sum D^T D' with those of the floats, H' with a part of its mean
diagonal added.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from package_networks import Trained, crepe_tiny, face_rnet, minilm
from quantize_ablation import COSINE, ERROR, Quality
from quantize_harness import arguments, cosines, heading, outputs, statistics_of, with_tensors
from torch import Tensor, nn

import swsfmt.torch
from sws.quantize import Network, QuantizedModel, Statistics, collect, matrix, observe
from sws.quantize import network as networks
from sws.quantize.collect import _direction
from sws.quantize.layers import CONVOLUTIONS, Matrix, matrices
from sws.quantize.statistics import _root, cuts

Tensors = dict[str, networks.Value]
Make = Callable[[float], Tensors]


@contextmanager
def rounding(**options: int) -> Iterator[None]:
    """Matrices with other options of `quantize_matrix`."""
    usual = networks.quantize_matrix

    def own(*given: object, **others: object) -> matrix.Levels:
        return usual(*given, **{**others, **options})

    networks.quantize_matrix = own
    try:
        yield
    finally:
        networks.quantize_matrix = usual


def again(trained: Trained, network: Network, step: float) -> Network:
    """With statistics of the quantised network."""
    quantized = copy.deepcopy(trained.model)
    quantized.load_state_dict(QuantizedModel(network.quantize(step)).state_dict())
    return Network(network.tensors, collect(quantized, trained.calibration(), trained.forward))


def corrected(
    trained: Trained, statistics: Statistics, batches: Sequence[object], damping: float, step: float
) -> Tensors:
    """One matrix after the other, in the order of the modules; inputs have the errors of those before it."""
    quantized = copy.deepcopy(trained.model).eval().requires_grad_(False)
    network = Network({name: t.clone() for name, t in trained.model.state_dict().items()}, statistics)
    quantized.load_state_dict(QuantizedModel({**network.tensors, **_vectors(network, step)}).state_dict())
    floats = {one.name: one for one in matrices(trained.model)}
    for number, own in enumerate(matrices(quantized)):
        if number and isinstance(own.module, (nn.Linear, *CONVOLUTIONS)) and own.name in network.layouts:
            weights = own.layout.matrix(network.tensors[own.name])
            change = _correction(trained, quantized, floats[own.name], own, batches, damping, weights)
            network.tensors[own.name] += own.layout.tensor(change)
        value = network._quantized(own.name, step, matrix.RATE)
        with torch.no_grad():
            getattr(own.module, own.key).copy_(value.dequantize())
    return network.quantize(step)


def _vectors(network: Network, step: float) -> Tensors:
    return {name: network._vector(name, step) for name in network.tensors if name not in network.layouts}


def _correction(
    trained: Trained, quantized: nn.Module, of_floats: Matrix, own: Matrix, batches: Sequence[object], damping: float,
    weights: Tensor,
) -> Tensor:  # fmt: skip
    """W (C - H') H'^-1, (groups, rows, columns); within blocks of columns, as feedback is."""
    blocks = cuts(own.layout.columns)
    sizes = [(own.layout.groups, cut.stop - cut.start, cut.stop - cut.start) for cut in blocks]
    inputs, differences = ([torch.zeros(size) for size in sizes] for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        given: list[Tensor] = []
        gradients: list[Tensor] = []

        def see(
            module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor, given: list[Tensor] = given
        ) -> Tensor:
            given.append(arguments[0].detach())
            return observe.watched(output)

        handles = [of_floats.module.register_forward_hook(see)]
        with torch.no_grad():
            trained.forward(trained.model, batch)
        handles.append(own.module.register_forward_hook(see))
        handles.append(
            own.module.register_forward_hook(
                lambda _, __, output, gradients=gradients: output.register_hook(gradients.append) and None
            )
        )
        direction, count, _ = _direction(trained.forward(quantized, batch), batch, generator)
        direction.backward()
        for handle in handles:
            handle.remove()
        g = _of_outputs(gradients[0], own, count, is_input=False)
        # D = g^T x; where that is larger than x, R x with R^T R = g g^T has the same products.
        g = g.mT if g.shape[2] >= g.shape[3] else _root(g @ g.mT)
        first, second = (g @ _of_outputs(x, own, count, is_input=True) for x in given)
        for number, cut in enumerate(blocks):
            # (groups, outputs and rows, columns)
            ours, difference = second[..., cut].flatten(1, 2), (first - second)[..., cut].flatten(1, 2)
            inputs[number] += ours.mT @ ours
            differences[number] += difference.mT @ ours
    change = torch.zeros_like(weights)
    for number, cut in enumerate(blocks):
        diagonal = inputs[number].diagonal(dim1=1, dim2=2)
        damped = inputs[number] + damping * diagonal.mean(1)[:, None, None] * torch.eye(cut.stop - cut.start)
        change[..., cut] = torch.linalg.solve(damped, (weights[..., cut] @ differences[number]).mT).mT
    return change


def _of_outputs(tensor: Tensor, own: Matrix, count: int, is_input: bool) -> Tensor:
    """(groups, outputs, tokens, columns or rows)"""
    if isinstance(own.module, CONVOLUTIONS):
        groups = own.module.groups
        flat = observe._grouped(observe._patches(tensor, own.module), groups) if is_input else None
        flat = observe._places(tensor, groups) if flat is None else flat
    else:
        flat = tensor.flatten(0, -2)[None]
    return flat.unflatten(1, (count, -1))


def compare(
    trained: Trained, statistics: Statistics, quality: Quality, factors: Sequence[float], every: tuple[int, int, int]
) -> None:
    """factors : of the loss that is wanted, as c foretells it. every : of the batches to judge by one in so many,
    of the files for "corrected", which takes long, and of the batches for it; 0 without these and "again"
    """
    batches = trained.choosing()[:: every[0]]
    floats = outputs(trained, trained.model, batches)
    weights = sum(p.numel() for p in trained.model.parameters())
    wanted = quality.loss(quality.wanted)
    usual = 0.0

    def evaluate(model: nn.Module) -> dict[str, float]:
        own = outputs(trained, model, batches)
        return {**cosines(floats, own), "relative error": float((own - floats).norm() / floats.norm())}

    def files(name: str, make: Make, take: Sequence[float] = factors) -> None:
        nonlocal usual
        points, seconds = [], 0.0
        for factor in take:
            start = time.process_time()
            made = QuantizedModel(make(math.sqrt(24 * wanted * factor / weights)))
            seconds += time.process_time() - start
            loss = quality.loss(with_tensors(trained, made.state_dict(), evaluate)[quality.metric])
            points.append((math.log(loss / wanted), len(swsfmt.torch.save(made.tensors))))
        losses, sizes = np.array(points).T
        slope, size = np.polyfit(losses, sizes, 1)
        usual = usual or size
        spread = float(np.std(sizes - slope * losses - size)) / size
        print(
            f"| {name} | {size:,.0f} | {size / usual - 1:+.1%} | {spread:.1%} | {len(points)} "
            f"| {seconds / len(points):.1f} |",
            flush=True,
        )  # fmt: skip

    network = Network(trained.model.state_dict(), statistics)
    heading(trained)
    print(f"| at a {quality.metric} of {quality.wanted:g} | bytes | more | spread | files | CPU s each |")
    print("|---|---:|---:|---:|---:|---:|")
    files("as ever", network.quantize)

    def rounded(**options: int) -> None:
        with rounding(**options):
            files(", ".join(f"{count} {what}" for what, count in options.items()), network.quantize)

    rounded(paths=8)
    rounded(passes=3)
    if every[1]:
        files("again", again(trained, network, math.sqrt(24 * wanted / weights)).quantize)
        batches_taken = trained.calibration()[:: every[2]]
        for damping in (0.1, 1.0):
            make = partial(corrected, trained, statistics, batches_taken, damping)
            files(f"corrected, {damping:g} added", make, factors[:: every[1]])
    for paths in (2, 4, 16):
        rounded(paths=paths)


def main() -> None:
    given = arguments(__doc__)
    small, large = np.geomspace(0.6, 1.6, 20), np.geomspace(0.7, 1.4, 6)
    for name, make, inputs, quality, factors, every in (
        ("rnet", face_rnet, "other inputs", ERROR, small, (1, 3, 4)),
        ("crepe", crepe_tiny, "other inputs", COSINE, large, (4, 3, 4)),
        ("minilm", minilm, "other sentences", COSINE, large[::2], (1, 0, 0)),
    ):
        trained = make() if given.only in name else None
        if trained is not None:
            statistics = statistics_of(trained, inputs, trained.calibration, given.fresh)
            compare(trained, statistics, quality, [float(factor) for factor in factors], every)


if __name__ == "__main__":
    main()
