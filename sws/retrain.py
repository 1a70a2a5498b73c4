"""Retraining under the mixture prior: weights and mixture learn together (Ullrich, Meeds & Welling, ICLR 2017)."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from swsfmt import InputError

from . import scales
from .batches import Forward, Loader, Loss, call_model
from .evaluation import Evaluations, Metric, due, metric_for
from .layers import weight_layers
from .loop import Backward, EpochRecord, Execution, Phase, Position, Task, TrainingLoop
from .prior import MixturePrior
from .quality import Quality
from .scales import AUTO, Auto
from .settings import ComplexityMode, Quantize, Retrain
from .straight_through import StraightThrough
from .substitution import substituted

COMPLEXITY_MODES: tuple[str, ...] = get_args(ComplexityMode)
# The rate of the mixture to which the defaults of its three rates belong.
_LR_THETA = 3e-4
# The part of the epochs in which the zero component is narrowed.
_NARROWING = 0.8


class Visualizer(Protocol):
    """What `retrain_soft_weight_sharing` calls: `begin` once, `record` after each epoch, `finish` at the end."""

    def begin(self, weights: list[Tensor]) -> None: ...

    def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None: ...

    def finish(self) -> Path: ...


def retrain_soft_weight_sharing(
    model: nn.Module,
    prior: MixturePrior,
    train_loader: Loader,
    test_loader: Iterable[Any] | None,
    device: str | torch.device = "cpu",
    epochs: int = Retrain.epochs,
    lr_w: float = Retrain.lr_w,
    lr_theta: float | None = None,
    weight_decay: float = Retrain.weight_decay,
    tau: float | Auto = Retrain.tau,
    tau_warmup_epochs: int = Retrain.tau_warmup_epochs,
    complexity_mode: str = Retrain.complexity_mode,
    eval_every: int = 1,
    cr_every: int = 0,
    mixture_every: int = 0,
    run_dir: str | os.PathLike[str] | None = None,
    viz: Visualizer | None = None,
    *,
    lr_means: float = Retrain.lr_means,
    lr_log_variances: float = Retrain.lr_log_variances,
    lr_mixing: float = Retrain.lr_mixing,
    method: str = "auto",
    schedule: str = Retrain.schedule,
    sigma_zero_end: float | Auto | None = Retrain.sigma_zero_end,
    quantize_from: float = Retrain.quantize_from,
    skip_last_matrix: bool = Quantize.skip_last_matrix,
    resume: bool = False,
    desc: str = "retrain",
    accelerator: Any = None,
    loss: Loss = cross_entropy,
    forward: Forward = call_model,
    metric: Metric | None = None,
) -> float:
    """Train weights and mixture together under cross-entropy + tau * complexity (Ullrich et al. 2017, equation 1).

    train_loader : batches as in `sws.batches`; the length of its dataset is the N of `complexity_mode`
    lr_w : of the weights, biases and norm parameters
    lr_theta : of the mixture; where it is given, it scales the three rates below so that that of the means is its
        third, which is what their defaults are to 3e-4
    lr_means, lr_log_variances, lr_mixing : of the mixture's parameters
    tau : weight of the complexity; it grows linearly over the first `tau_warmup_epochs`. "auto", so much that the
        complexity of all weights counts alike in networks of all sizes, at most 1
    complexity_mode : "keras", each step adds tau / N times the complexity of all weights to the mean loss of its batch,
        N the number of training inputs: the variational bound, with tau = 1. "epoch", each step adds tau / (steps in an
        epoch): N / (steps) = batch size times more, so that an epoch adds up to tau times the complexity.
    eval_every, cr_every, mixture_every : every so many epochs, the metric, the ratio of the file that quantisation
        would give, a snapshot of the mixture are logged; 0 for never (the metric: at the end)
    run_dir, resume, schedule, accelerator, loss, forward, metric : as in `train_standard`
    viz : is told of the start, each epoch and the end; of several processes, in the first one
    method : as in `sws.complexity.complexity`
    sigma_zero_end : the standard deviation of the zero component does not learn, it falls geometrically to this within
        the first four fifths of the epochs. None, it learns like the others. "auto", to a fifth of the spread of the
        layer with the smallest weights, and the others stay narrower than the distance between two means: wider ones
        cannot be told from zero
    quantize_from : after this part of the epochs the network is trained with the weights that quantisation would give
        it ("map"), gradients passing straight through
    skip_last_matrix : for `cr_every`
    Returns the metric: once the network is trained with quantised weights, that of these. Raises `InputError` when loss
    or mixture are not finite; the last checkpoint stays. What the network is worth before is noted for
    `prior.quantize_model`, which warns of what it lost.
    """
    if complexity_mode not in COMPLEXITY_MODES:
        raise InputError(f"complexity_mode is {complexity_mode!r}; use one of {', '.join(COMPLEXITY_MODES)}")
    execution = Execution(device, run_dir, resume, accelerator)
    metric = metric or metric_for(loss)
    evaluations = Evaluations(model, test_loader, execution.device, eval_every, metric, forward)
    model.to(execution.device)
    quality = Quality(
        train_loader if test_loader is None else test_loader, execution.device, metric_for(loss), forward, run_dir
    )
    prior.watch(quality, quality.measure(model))
    scale = 1.0 if lr_theta is None else lr_theta / _LR_THETA
    mixing = [prior.mixing_logits, *([prior.zero_logit] if prior.zero_logit.requires_grad else [])]
    groups: list[dict[str, Any]] = [
        {"params": list(model.parameters()), "lr": lr_w, "weight_decay": weight_decay},
        {"params": [prior.means], "lr": scale * lr_means},
        {"params": [prior.log_variances], "lr": scale * lr_log_variances},
        {"params": mixing, "lr": scale * lr_mixing},
    ]
    prior.to(execution.device)
    if not execution.leads:
        viz = None
    weights = [weight for _, weight in weight_layers(model)]
    inputs = len(train_loader.dataset) if complexity_mode == "keras" else None
    phase = SoftWeightSharing(
        model,
        prior,
        Complexity(
            scales.tau(weights, inputs or len(train_loader)) if tau == AUTO else tau,
            warmup_epochs=tau_warmup_epochs,
            inputs=inputs,
            method=method,
            sigma_zero_end=scales.narrow(weights) if sigma_zero_end == AUTO else sigma_zero_end,
            sigma_most=scales.widest(prior.all_means()) if sigma_zero_end == AUTO else None,
            quantize_from=quantize_from,
        ),
        Watch(evaluations, cr_every, mixture_every, skip_last_matrix, viz),
    )
    loop = TrainingLoop(
        model, torch.optim.Adam(groups), train_loader, phase,
        epochs=epochs, name=desc, schedule=schedule, task=Task(loss, forward, metric), execution=execution,
    )  # fmt: skip
    if viz is not None:
        viz.begin(phase.weights())
    loop.run()
    if viz is not None:
        viz.finish()
    return evaluations.final()


@dataclass(frozen=True)
class Complexity:
    """How the complexity takes part: arguments of `retrain_soft_weight_sharing`.

    inputs : N of the mode "keras", None for the mode "epoch"
    sigma_most : the standard deviations of all other components stay at most this; None for no limit
    """

    tau: float
    warmup_epochs: int
    inputs: int | None
    method: str
    sigma_zero_end: float | None
    sigma_most: float | None
    quantize_from: float

    def weight(self, at: Position) -> float:
        """What the complexity of all weights is multiplied with in this step."""
        warm = min(1.0, (at.step + 1) / (self.warmup_epochs * at.steps)) if self.warmup_epochs else 1.0
        return self.tau * warm * (1 / (self.inputs or at.steps))


@dataclass(frozen=True)
class Watch:
    """What is looked at after each epoch: arguments of `retrain_soft_weight_sharing`."""

    evaluations: Evaluations
    cr_every: int
    mixture_every: int
    skip_last_matrix: bool
    viz: Visualizer | None


class SoftWeightSharing(Phase):
    """The complexity of the weights under a mixture that learns with them."""

    def __init__(self, model: nn.Module, prior: MixturePrior, complexity: Complexity, watch: Watch) -> None:
        self._model = model
        self._prior = prior
        self._complexity = complexity
        self._watch = watch
        self._weights = [weight for _, weight in weight_layers(model)]
        self._through = StraightThrough(model, prior)
        self._quantizes = False
        self._limit()
        self._log_variance_zero = prior.log_variances[0].item()
        if complexity.sigma_most is not None:
            self._log_variance_zero = min(self._log_variance_zero, 2 * math.log(complexity.sigma_most))

    def weights(self) -> list[Tensor]:
        """A copy of the weights that the prior is put on."""
        return [weight.detach().clone() for weight in self._weights]

    def start_epoch(self, at: Position) -> None:
        start = self._complexity.quantize_from
        self._quantizes = start < 1 and at.epoch > start * at.epochs

    def substitutes(self) -> Mapping[nn.Parameter, Tensor]:
        return self._through.values() if self._quantizes else {}

    def after_backward(self, at: Position, backward: Backward) -> float:
        if self._quantizes:
            self._through.pass_on()
        if self._complexity.sigma_zero_end is not None:
            self._narrow(at, self._complexity.sigma_zero_end)
        penalty = self._complexity.weight(at) * self._prior.complexity_loss(self._weights, self._complexity.method)
        backward(penalty)
        return penalty.item()

    @torch.no_grad()
    def _narrow(self, at: Position, sigma: float) -> None:
        """Let the standard deviation of the zero component fall geometrically to `sigma`."""
        done = min(1.0, at.step / (_NARROWING * at.epochs * at.steps))
        start = self._log_variance_zero
        self._prior.log_variances[0] = start + done * (2 * math.log(sigma) - start)
        self._limit()

    @torch.no_grad()
    def _limit(self) -> None:
        if self._complexity.sigma_most is not None:
            self._prior.log_variances[1:].clamp_(max=2 * math.log(self._complexity.sigma_most))

    def end_epoch(self, at: Position, loss: float, metric: float) -> EpochRecord:
        self._prior.check()
        watch = self._watch
        # What is trained is what is evaluated.
        with substituted(self.substitutes()):
            value = watch.evaluations.after(at.epoch, at.epochs, metric)
        columns: dict[str, Any] = {watch.evaluations.name: "" if value is None else value}
        if watch.cr_every:
            columns["ratio"] = self._ratio() if due(at.epoch, watch.cr_every, at.epochs) else ""
        snapshot = watch.mixture_every and due(at.epoch, watch.mixture_every, at.epochs)
        if watch.viz is not None:
            watch.viz.record(at.epoch, self.weights(), self._prior, value)
        return EpochRecord(columns, self._prior.snapshot() if snapshot else None)

    def _ratio(self) -> float:
        """Dense bytes over the bytes of the file, if training ended here."""
        import swsfmt.torch

        model, prior = copy.deepcopy(self._model), copy.deepcopy(self._prior)
        prior.assign_model(model, self._watch.skip_last_matrix)
        state: dict[str, Tensor] = model.state_dict()
        return sum(t.nbytes for t in state.values()) / len(swsfmt.torch.save(state))

    def state_dict(self) -> dict[str, Any]:
        return {"prior": self._prior.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._prior.load_state_dict(state["prior"])
