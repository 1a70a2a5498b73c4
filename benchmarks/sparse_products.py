"""When a product from indices is faster than that of the dense matrix: `python benchmarks/sparse_products.py`.

CPU time of `swsfmt.nn.products.multiply` over that of the dense product, one thread, the least of a dozen each. From
this `DENSEST` there was chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from swsfmt.nn.products import multiply

TRIES = 12


def seconds(function: Callable[[], object]) -> float:
    times = []
    for _ in range(TRIES):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def ratio(dense: torch.Tensor, batch: int) -> float:
    """Of the two times."""
    sparse, x = dense.to_sparse_csr(), torch.randn(batch, dense.shape[1])
    parts = sparse.crow_indices().int(), sparse.col_indices().int(), sparse.values()
    return seconds(lambda: multiply(*parts, x)) / seconds(lambda: x @ dense.T)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| width | not zero | batch 1 | batch 64 |\n|---:|---:|---:|---:|")
    for width in (512, 2048):
        for density in (0.2, 0.1, 0.05, 0.02, 0.01):
            dense = torch.randn(width, width) * (torch.rand(width, width) < density)
            one, many = ratio(dense, 1), ratio(dense, 64)
            print(f"| {width:,} | {density:.0%} | {one:.2f} | {many:.2f} |")


if __name__ == "__main__":
    main()
