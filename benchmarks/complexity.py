"""Time of the complexity term with its gradients: the plain formula by autograd over the fused form and the table.

    python benchmarks/complexity.py

One thread; medians of interleaved runs; the mixture as it starts (sigma 0.05) and as it ends (sigma 0.01).
"""

from __future__ import annotations

import math
import statistics
import time

import torch
from torch import Tensor

from sws.complexity import complexity

CASES = ((266_200, 17), (641_875, 16))
SIGMAS = (0.05, 0.01)
METHODS = ("plain", "fused", "table", "auto")
ROUNDS = 9


def mixture(weights: int, components: int, sigma: float) -> list[Tensor]:
    """Weights, means, log-variances and log-mixing proportions."""
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(weights, generator=generator) * 0.05
    means = torch.cat([torch.zeros(1), torch.linspace(-0.6, 0.6, components - 1)])
    mixing = torch.log(torch.tensor([0.99, *[0.01 / (components - 1)] * (components - 1)]))
    parameters = [w, means, torch.full((components,), 2 * math.log(sigma)), mixing]
    return [p.requires_grad_() for p in parameters]


def main() -> None:
    torch.set_num_threads(1)
    print("| weights x components | sigma | method | ms | plain / method | relative error of value | of gradient |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for weights, components in CASES:
        for sigma in SIGMAS:
            given = mixture(weights, components, sigma)
            exact = [p.detach().double().requires_grad_() for p in given]
            value = complexity(*exact, method="plain")
            (gradient,) = torch.autograd.grad(value, exact[:1])
            times: dict[str, list[float]] = {method: [] for method in METHODS}
            errors = {}
            for _ in range(ROUNDS):
                for method in METHODS:
                    start = time.perf_counter()
                    found = complexity(*given, method=method)
                    slopes = torch.autograd.grad(found, given)
                    times[method].append(time.perf_counter() - start)
                    value_error = abs(found.item() - value.item()) / abs(value.item())
                    errors[method] = value_error, float((slopes[0] - gradient).norm() / gradient.norm())
            plain = statistics.median(times["plain"])
            for method in METHODS:
                taken = statistics.median(times[method])
                print(
                    f"| {weights:,} x {components} | {sigma} | {method} | {1e3 * taken:.1f} | {plain / taken:.1f} |",
                    "{:.0e} | {:.0e} |".format(*errors[method]),
                )


if __name__ == "__main__":
    main()
