"""The settings of training under the mixture prior and their defaults: the tables of a recipe.

The functions that take them as arguments have their defaults from here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .hyper_priors import GAMMA_OTHERS, GAMMA_ZERO, Gamma
from .scales import AUTO, Auto
from .schedule import Schedule
from .validation import STRICT, check_ranges

OptimizerName = Literal["adam", "adamw", "sgd"]
InitMeansMode = Literal["from_weights", "quantiles", "fixed"]
ComplexityMode = Literal["keras", "epoch"]
Assign = Literal["ml", "map"]


@dataclass(frozen=True)
class Pretrain:
    """Standard training: arguments of `sws.train.train_standard`."""

    __pydantic_config__ = STRICT
    epochs: int = 10
    lr: float = 1e-3
    wd: float = 0.0
    optim_name: OptimizerName = "adam"
    schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        check_ranges(epochs=self.epochs >= 0, lr=self.lr >= 0, wd=self.wd >= 0)


@dataclass(frozen=True)
class Mixture:
    """The prior at its start: arguments of `sws.prior.init_mixture`. gamma_zero, gamma_others : (shape, rate)."""

    __pydantic_config__ = STRICT
    J: int = 16
    pi0: float = 0.99
    init_means_mode: InitMeansMode = "from_weights"
    init_sigma: float | Auto = AUTO
    gamma_zero: tuple[float, float] = GAMMA_ZERO
    gamma_others: tuple[float, float] = GAMMA_OTHERS

    def __post_init__(self) -> None:
        check_ranges(J=self.J >= 2, pi0=0 < self.pi0 < 1, init_sigma=self.init_sigma == AUTO or self.init_sigma > 0)

    def arguments(self) -> dict[str, Any]:
        """For `init_mixture`."""
        return asdict(self) | {"gamma_zero": Gamma(*self.gamma_zero), "gamma_others": Gamma(*self.gamma_others)}


@dataclass(frozen=True)
class Retrain:
    """Retraining under the prior: arguments of `sws.train.retrain_soft_weight_sharing`."""

    __pydantic_config__ = STRICT
    epochs: int = 10
    lr_w: float = 1e-3
    lr_means: float = 1e-4
    lr_log_variances: float = 3e-3
    lr_mixing: float = 3e-3
    weight_decay: float = 0.0
    tau: float | Auto = AUTO
    tau_warmup_epochs: int = 0
    complexity_mode: ComplexityMode = "keras"
    schedule: Schedule = "cosine"
    sigma_zero_end: float | Auto | None = AUTO
    quantize_from: float = 0.3

    def __post_init__(self) -> None:
        check_ranges(
            epochs=self.epochs >= 0,
            lr_w=self.lr_w >= 0,
            lr_means=self.lr_means >= 0,
            lr_log_variances=self.lr_log_variances >= 0,
            lr_mixing=self.lr_mixing >= 0,
            weight_decay=self.weight_decay >= 0,
            tau=self.tau == AUTO or self.tau >= 0,
            tau_warmup_epochs=self.tau_warmup_epochs >= 0,
            sigma_zero_end=self.sigma_zero_end in (None, AUTO) or self.sigma_zero_end > 0,
            quantize_from=self.quantize_from >= 0,
        )


@dataclass(frozen=True)
class Quantize:
    """Quantising: arguments of `sws.prior.MixturePrior.quantize_model`.

    merge : before it, components with a symmetric Kullback-Leibler divergence of at most this become one; None: none do
    """

    __pydantic_config__ = STRICT
    assign: Assign = "map"
    skip_last_matrix: bool = False
    merge: float | None = None
