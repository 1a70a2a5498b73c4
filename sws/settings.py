"""The settings of training under the mixture prior and their defaults: the tables of a recipe.

The functions that take them as arguments have their defaults from here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .hyper_priors import GAMMA_OTHERS, GAMMA_ZERO, Gamma
from .schedule import Schedule
from .validation import STRICT

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


@dataclass(frozen=True)
class Mixture:
    """The prior at its start: arguments of `sws.prior.init_mixture`. gamma_zero, gamma_others : (shape, rate)."""

    __pydantic_config__ = STRICT
    J: int = 16
    pi0: float = 0.99
    init_means_mode: InitMeansMode = "from_weights"
    init_sigma: float = 0.25
    gamma_zero: tuple[float, float] = GAMMA_ZERO
    gamma_others: tuple[float, float] = GAMMA_OTHERS

    def arguments(self) -> dict[str, Any]:
        """For `init_mixture`."""
        return asdict(self) | {"gamma_zero": Gamma(*self.gamma_zero), "gamma_others": Gamma(*self.gamma_others)}


@dataclass(frozen=True)
class Retrain:
    """Retraining under the prior: arguments of `sws.train.retrain_soft_weight_sharing`."""

    __pydantic_config__ = STRICT
    epochs: int = 10
    lr_w: float = 5e-4
    lr_means: float = 1e-4
    lr_log_variances: float = 3e-3
    lr_mixing: float = 3e-3
    weight_decay: float = 0.0
    tau: float = 0.003
    tau_warmup_epochs: int = 0
    complexity_mode: ComplexityMode = "keras"
    schedule: Schedule = "constant"
    sigma_zero_end: float | None = None
    quantize_from: float = 1.0


@dataclass(frozen=True)
class Quantize:
    """Quantising: arguments of `sws.prior.MixturePrior.quantize_model`.

    merge : before it, components with a symmetric Kullback-Leibler divergence of at most this become one; None: none do
    """

    __pydantic_config__ = STRICT
    assign: Assign = "ml"
    skip_last_matrix: bool = False
    merge: float | None = None
