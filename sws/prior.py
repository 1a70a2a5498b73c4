"""The mixture prior over the weights of a network.

Ullrich, Meeds & Welling, "Soft Weight-Sharing for Neural Network Compression" (ICLR 2017): J Gaussians, of which the
first has its mean fixed at zero and takes most of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError

from .complexity import complexity, component_logits
from .hyper_priors import GAMMA_OTHERS, GAMMA_ZERO, Beta, Gamma
from .layers import collect_weight_params, left_out, weight_layers
from .quality import Quality, alive, emptied
from .scales import AUTO, Auto, spread
from .settings import Mixture, Quantize
from .warnings import SkippedWarning, warn

__all__ = ["Assignment", "Beta", "Gamma", "MixturePrior", "init_mixture"]


@dataclass(frozen=True)
class Assignment:
    """What `quantize_model` did. ids : for each quantised weight tensor, by name, the component of each weight.

    means : float32 of shape (J,), the value of each component; those of component 0 are zero
    skipped : names of the matrices that kept their floats: of the last layer, if it was to be left, and of no layer
    """

    ids: dict[str, Tensor]
    means: Tensor
    skipped: tuple[str, ...]


class MixturePrior(nn.Module):
    """A mixture of J Gaussians over weights; component 0 has mean zero.

    Parameters: `means` of shape (J - 1,), `log_variances` (J,), `mixing_logits` (J - 1,) of the components that are not
    zero among themselves, and `zero_logit`, the log-odds of pi0, which learns only under a `Beta` hyper-prior.
    assignment : what `quantize_model` did last, None before
    """

    def __init__(
        self,
        means: Tensor,
        sigma: float | Tensor,
        pi0: float = Mixture.pi0,
        *,
        gamma_zero: Gamma | None = GAMMA_ZERO,
        gamma_others: Gamma | None = GAMMA_OTHERS,
        beta_pi0: Beta | None = None,
    ) -> None:
        """means : shape (J - 1,), of the components 1 to J - 1. sigma : one for all or of shape (J,).

        gamma_zero, gamma_others : hyper-priors of the precisions; None for none
        beta_pi0 : hyper-prior of pi0, which then learns; None keeps pi0 fixed
        Raises `InputError` for fewer than two components and for numbers out of range.
        """
        super().__init__()
        if means.dim() != 1 or len(means) < 1:
            raise InputError("a mixture needs the zero component and at least one other (J >= 2)")
        if not 0 < pi0 < 1:
            raise InputError(f"pi0 is {pi0}, it must lie between 0 and 1")
        count = len(means) + 1
        sigmas = torch.as_tensor(sigma, dtype=means.dtype).expand(count)
        if not bool((sigmas > 0).all()) or not bool(torch.isfinite(sigmas).all()):
            raise InputError("standard deviations must be above 0")
        self.pi0_init = pi0
        self.gamma_zero, self.gamma_others, self.beta_pi0 = gamma_zero, gamma_others, beta_pi0
        self.means = nn.Parameter(means.detach().clone())
        self.log_variances = nn.Parameter(2 * torch.log(sigmas.to(means.device)))
        self.mixing_logits = nn.Parameter(torch.zeros_like(means))
        self.zero_logit = nn.Parameter(
            torch.tensor(math.log(pi0 / (1 - pi0)), dtype=means.dtype, device=means.device),
            requires_grad=beta_pi0 is not None,
        )
        self.assignment: Assignment | None = None
        self._watch: tuple[Quality, float | None] | None = None

    def watch(self, quality: Quality, before: float | None) -> None:
        """Let `quantize_model` measure what it costs; neither a copy of the prior nor a file of it knows of this.

        before : of `quality`, the network before the prior was put on it
        """
        self._watch = quality, before

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_watch": None}

    @property
    def J(self) -> int:  # noqa: N802
        """The number of components, the zero component included."""
        return len(self.means) + 1

    def log_mixing(self) -> Tensor:
        """log pi: shape (J,)."""
        zero = nn.functional.logsigmoid(self.zero_logit)
        others = nn.functional.logsigmoid(-self.zero_logit) + torch.log_softmax(self.mixing_logits, 0)
        return torch.cat([zero[None], others])

    def all_means(self) -> Tensor:
        """mu: shape (J,), the first one zero."""
        return torch.cat([torch.zeros_like(self.means[:1]), self.means])

    def mixture_params(self) -> tuple[Tensor, Tensor, Tensor]:
        """mu, sigma^2 and pi, each of shape (J,)."""
        return self.all_means(), torch.exp(self.log_variances), torch.exp(self.log_mixing())

    def complexity_loss(self, weights: Tensor | Iterable[Tensor], method: str = "auto") -> Tensor:
        """-log p(weights) and minus the log-densities of the hyper-priors, a scalar.

        method : as in `sws.complexity.complexity`
        """
        flat = weights.reshape(-1) if isinstance(weights, Tensor) else torch.cat([w.reshape(-1) for w in weights])
        data = complexity(flat, self.all_means(), self.log_variances, self.log_mixing(), method)
        return data - self.log_hyper_prior()

    def log_hyper_prior(self) -> Tensor:
        """The log-density of precisions and pi0 under their hyper-priors, up to a constant."""
        total = self.means.new_zeros(())
        if self.gamma_zero is not None:
            total = total + self.gamma_zero.log_density(-self.log_variances[0])
        if self.gamma_others is not None:
            total = total + self.gamma_others.log_density(-self.log_variances[1:]).sum()
        if self.beta_pi0 is not None:
            total = total + (self.beta_pi0.alpha - 1) * nn.functional.logsigmoid(self.zero_logit)
            total = total + (self.beta_pi0.beta - 1) * nn.functional.logsigmoid(-self.zero_logit)
        return total

    @torch.no_grad()
    def assign(self, weights: Tensor, how: str = Quantize.assign) -> Tensor:
        """The component of each weight, int64 of its shape.

        how : "ml", that with the highest likelihood; "map", that with the highest posterior, pi included

        A component within its own standard deviation of zero cannot be told from the zero component: what would go to
        it goes there. By likelihood, which does not know how rare they are, components a little further away would
        take many of the zeros: those within 2.5 standard deviations do not take part.
        """
        if how not in ("ml", "map"):
            raise InputError(f"assign is {how!r}, it must be 'ml' or 'map'")
        mixing = self.log_mixing() if how == "map" else torch.zeros_like(self.log_variances)
        logits = component_logits(weights.reshape(-1), self.all_means(), self.log_variances, mixing)
        from_zero = self.all_means().abs() / torch.exp(0.5 * self.log_variances)
        if how == "ml":
            logits.masked_fill_((from_zero >= 1) & (from_zero < 2.5), -math.inf)
        ids = logits.argmax(1)
        return torch.where(from_zero[ids] < 1, 0, ids).reshape(weights.shape)

    @torch.no_grad()
    def quantize_model(
        self, model: nn.Module, skip_last_matrix: bool = Quantize.skip_last_matrix, assign: str = Quantize.assign
    ) -> Assignment:
        """Give every weight of `model` the mean of its component. Biases and norm parameters stay.

        skip_last_matrix : leave the weights of the last layer as they are
        assign : see `assign`
        Warns with a `QualityWarning` where a layer loses all of its weights and, after `retrain_soft_weight_sharing`,
        where the network loses more than a point of accuracy (of another loss, where that grows by more than a
        hundredth) on the first examples that it was evaluated on; with a `SkippedWarning` of matrices that belong to no
        layer.
        """
        layers = weight_layers(model)
        quality, dense = self._watch or (Quality(), None)
        before, living = quality.measure(model), alive(layers)
        assignment = self.assign_model(model, skip_last_matrix, assign)
        loose = left_out(model)
        if loose:
            warn(f"{', '.join(loose)} stay as they are: they are of no layer that is quantised", SkippedWarning)
        message = emptied(living, layers)
        if message is not None:
            quality.warn(message)
        quality.compare("retraining and quantisation", quality.better(dense, before), quality.measure(model))
        return assignment

    @torch.no_grad()
    def assign_model(
        self, model: nn.Module, skip_last_matrix: bool = Quantize.skip_last_matrix, assign: str = Quantize.assign
    ) -> Assignment:
        """The same without a word."""
        layers = weight_layers(model)
        quantised = layers[:-1] if skip_last_matrix else layers
        means = self.all_means()
        ids = {}
        for name, weight in quantised:
            ids[name] = self.assign(weight, assign)
            weight.copy_(means[ids[name]])
        skipped = (*(name for name, _ in layers[len(quantised) :]), *left_out(model))
        self.assignment = Assignment(ids, means.detach().clone(), skipped)
        return self.assignment

    @torch.no_grad()
    def merge_components(self, threshold: float = 1e-10) -> int:
        """Merge components whose symmetric Kullback-Leibler divergence is at most `threshold`; how many went.

        The zero component keeps its mean: what is merged with it becomes zero. Two others keep the mean and variance
        that they have together.
        """
        mu, variance, pi = (t.double() for t in self.mixture_params())
        before = len(mu)
        while len(mu) > 2:
            divergence = _divergences(mu, variance)
            i, j = divmod(int(divergence.argmin()), len(mu))
            if divergence[i, j] > threshold:
                break
            i, j = min(i, j), max(i, j)
            share = pi[i] + pi[j]
            mean = (pi[i] * mu[i] + pi[j] * mu[j]) / share if i else mu[0]
            spread = pi[i] * (variance[i] + (mu[i] - mean) ** 2) + pi[j] * (variance[j] + (mu[j] - mean) ** 2)
            mu[i], variance[i], pi[i] = mean, spread / share, share
            kept = torch.arange(len(mu)) != j
            mu, variance, pi = mu[kept], variance[kept], pi[kept]
        if len(mu) < before:
            dtype = self.means.dtype
            self.means = nn.Parameter(mu[1:].to(dtype))
            self.log_variances = nn.Parameter(variance.log().to(dtype))
            self.mixing_logits = nn.Parameter(pi[1:].log().to(dtype))
            self.zero_logit.copy_(torch.logit(pi[0]).to(dtype))
        return before - len(mu)

    def snapshot(self) -> dict[str, Any]:
        """Means, standard deviations and mixing proportions as lists of J numbers, for logs."""
        mu, variance, pi = self.mixture_params()
        return {"J": self.J, "mu": mu.tolist(), "sigma": variance.sqrt().tolist(), "pi": pi.tolist()}

    def check(self) -> None:
        """Raise `InputError` where the mixture has diverged."""
        mu, variance, pi = self.mixture_params()
        for name, values in (("mean", mu), ("variance", variance), ("mixing proportion", pi)):
            bad = (~torch.isfinite(values)).nonzero()
            if len(bad):
                raise InputError(f"the {name} of component {int(bad[0])} is not finite: the mixture has diverged")


def init_mixture(
    model: nn.Module,
    J: int = Mixture.J,  # noqa: N803
    pi0: float = Mixture.pi0,
    init_means_mode: str = Mixture.init_means_mode,
    init_sigma: float | Auto = Mixture.init_sigma,
    device: str | torch.device | None = None,
    **hyper_priors: Any,
) -> MixturePrior:
    """A mixture for the weights of `model`.

    J : components, the zero component included
    init_means_mode : "from_weights", means evenly over the range of the weights; "quantiles", at their quantiles;
        "fixed", evenly over -0.6 to 0.6. None of them is zero.
    init_sigma : standard deviation of all components at the start; "auto", the root of the mean square of the weights
    hyper_priors : gamma_zero, gamma_others, beta_pi0 of `MixturePrior`
    Raises `InputError` for J below 2, for another mode and for a model without weights.
    """
    if J < 2:
        raise InputError(f"J is {J}; a mixture needs the zero component and at least one other (J >= 2)")
    weights = collect_weight_params(model)
    if not weights:
        raise InputError("the model has no layer with weights")
    flat = torch.cat([w.detach().reshape(-1).float() for w in weights])
    if not bool(torch.isfinite(flat).all()):
        raise InputError("the model has weights that are not finite")
    if init_means_mode == "from_weights":
        means = _without_zero(float(flat.min()), float(flat.max()), J - 1)
    elif init_means_mode == "quantiles":
        ordered = flat.sort().values
        places = (torch.arange(J - 1, dtype=torch.float64) + 0.5) / (J - 1) * len(ordered)
        means = ordered[places.long()]
    elif init_means_mode == "fixed":
        means = _without_zero(-0.6, 0.6, J - 1)
    else:
        raise InputError(f"init_means_mode is {init_means_mode!r}; use 'from_weights', 'quantiles' or 'fixed'")
    sigma = spread(weights) if init_sigma == AUTO else init_sigma
    prior = MixturePrior(means, sigma, pi0, **hyper_priors)
    return prior.to(device if device is not None else weights[0].device)


def _without_zero(low: float, high: float, count: int) -> Tensor:
    """`count` numbers evenly from low to high; one that is zero goes half a step up."""
    means = torch.linspace(low, high, count)
    step = (high - low) / max(1, count - 1)
    return torch.where(means.abs() < 1e-3 * step, step / 2, means)


def _divergences(mu: Tensor, variance: Tensor) -> Tensor:
    """KL(i || j) + KL(j || i) of each pair of Gaussians; infinite on the diagonal. Shape (J, J)."""
    apart = (mu[:, None] - mu).square()
    ratio = variance[:, None] / variance
    divergence = 0.5 * (ratio + 1 / ratio - 2 + apart / variance + apart / variance[:, None])
    return divergence.fill_diagonal_(math.inf)
