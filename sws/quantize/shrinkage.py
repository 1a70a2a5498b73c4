"""Second moments of few samples: correlations are shrunk to what so many can tell, and little data does little harm.

Correlations are shrunk to zero by the part with the least expected square of the error (Schäfer and Strimmer 2005,
Statistical Applications in Genetics and Molecular Biology 4(1), 32, after Ledoit and Wolf 2004). How far off they are
is not asked of each, but of all together: it gives an effective number of samples, that of tokens where all weigh the
same, and less where few weigh the most (Kish 1965). Variances stay: shrunk to their median or their mean (Ledoit and
Wolf), too, they were worse on other data.

Beside this, whatever the number of samples, a part of the mean variance is added to the diagonal, more for rows than
for columns. The cost of an error is a second derivative, and the Kronecker product an approximation: a row that hardly
counts by them would get steps so large that what they leave out counts most (benchmarks/quantize_ablation.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

COLUMN_DAMPING, ROW_DAMPING = 0.02, 0.1
"""Of the mean variance, added to all."""
# What was never seen counts as if this much of a sample had been like the median.
_LEAST = 0.1


def effective_samples(totals: Sequence[Tensor], spreads: Sequence[float], counts: Sequence[int]) -> float:
    """Of how many samples of equal weight, normally distributed, the sum of all `totals` would vary as much.

    totals : each the sum of products M of so many samples, (size, size). spreads : each the sum of their |M|^2
    Each element of a sum of N varies by (sigma_ii sigma_jj + sigma_ij^2) / N of its square.
    """
    variance = 0.0
    for total, spread, count in zip(totals, spreads, counts, strict=True):
        # One sample does not tell how much it varies.
        mean = float(total.square().sum()) / count if count > 1 else 0.0
        variance += (spread - mean) * count / max(1, count - 1)
    whole = torch.stack(list(totals)).sum(0)
    squares = float(whole.trace()) ** 2 + float(whole.square().sum())
    # Where all is zero, so is what could vary.
    return 1.0 if squares == 0 else max(1.0, squares / max(variance, 1e-9 * squares))


def shrunk(total: Tensor, samples: float, damping: float) -> tuple[Tensor, float]:
    """Second moments that have an inverse, (size, size), float64, and which share of the correlations was given up.

    total : their sum over all samples, float64. samples : effective ones; infinitely many shrink nothing
    damping : what is added to the diagonal, as a part of its mean
    """
    size, variances = len(total), total.diagonal()
    # Where all is zero, any will do.
    typical = float(variances[variances > 0].median()) if bool((variances > 0).any()) else 1.0
    roots = variances.clamp(min=typical * max(_LEAST / samples, 1e-9)).sqrt()
    correlations = total / torch.outer(roots, roots)
    correlations.fill_diagonal_(0)
    known = float(correlations.square().sum())
    share = min(1.0, size * (size - 1) / samples / known) if known > 0 else 0.0
    correlations *= 1 - share
    correlations.fill_diagonal_(1)
    moments = correlations * torch.outer(roots, roots)
    moments.diagonal().add_(damping * moments.diagonal().mean())
    return moments, share
