"""The two loops: standard training, and retraining under the mixture prior."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from swsfmt import InputError

from .log import RunLog
from .prior import MixturePrior
from .straight_through import StraightThrough
from .utils import weight_layers

COMPLEXITY_MODES = ("keras", "epoch")


class Loader(Protocol):
    """What a DataLoader is: batches of inputs and class numbers, how many, and the dataset."""

    dataset: Any

    def __iter__(self) -> Any: ...

    def __len__(self) -> int: ...


class Visualizer(Protocol):
    """What `retrain_soft_weight_sharing` calls: `begin` once, `record` after each epoch, `finish` at the end."""

    def begin(self, weights: list[Tensor]) -> None: ...

    def record(self, epoch: int, weights: list[Tensor], prior: MixturePrior, accuracy: float | None) -> None: ...

    def finish(self) -> Path: ...


@torch.no_grad()
def evaluate(model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], device: str | torch.device = "cpu") -> float:
    """The part of the inputs that get the right class, 0 to 1. Leaves the model in the mode in which it was."""
    was_training = model.training
    model.eval()
    right = count = 0
    for inputs, targets in loader:
        outputs = model(inputs.to(device))
        right += int((outputs.argmax(1) == targets.to(device)).sum())
        count += len(targets)
    model.train(was_training)
    if not count:
        raise InputError("there is nothing to evaluate on")
    return right / count


def train_standard(
    model: nn.Module,
    train_loader: Loader,
    test_loader: Loader | None,
    device: str | torch.device = "cpu",
    epochs: int = 10,
    lr: float = 1e-3,
    wd: float = 0.0,
    optim_name: str = "adam",
    eval_every: int = 1,
    desc: str = "train",
    *,
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    schedule: str = "constant",
    accelerator: Any = None,
) -> float:
    """Train with cross-entropy; the accuracy on `test_loader` at the end, or of the last batches without one.

    wd : weight decay, as the optimizer means it
    optim_name : "adam", "adamw", "sgd" (momentum 0.9, Nesterov)
    eval_every : evaluate after every so many epochs; 0 for at the end alone
    schedule : "constant", or "cosine", which falls to a fiftieth
    run_dir : for a CSV log and, after every epoch, a checkpoint; with `resume` the run goes on from it, to the same
        result as one that was not interrupted
    accelerator : a Hugging Face `Accelerator`, for mixed precision and several processes
    Raises `InputError` when the loss is not finite; the last checkpoint stays.
    """
    optimizer = _optimizer(optim_name, model.parameters(), lr, wd)
    run = _Run(model, optimizer, train_loader, device, epochs, desc, run_dir, resume, schedule, accelerator)
    accuracy = math.nan
    for epoch in run.epochs():
        loss, running = run.epoch()
        accuracy = running
        evaluated = test_loader is not None and _due(epoch, eval_every, epochs)
        if test_loader is not None and evaluated:
            accuracy = evaluate(model, test_loader, device)
        run.done({"loss": loss, "accuracy": accuracy if evaluated else ""}, {})
    return evaluate(model, test_loader, device) if math.isnan(accuracy) and test_loader is not None else accuracy


def retrain_soft_weight_sharing(
    model: nn.Module,
    prior: MixturePrior,
    train_loader: Loader,
    test_loader: Loader | None,
    device: str | torch.device = "cpu",
    epochs: int = 10,
    lr_w: float = 5e-4,
    lr_theta: float | None = None,
    weight_decay: float = 0.0,
    tau: float = 0.003,
    tau_warmup_epochs: int = 0,
    complexity_mode: str = "keras",
    eval_every: int = 1,
    cr_every: int = 0,
    mixture_every: int = 0,
    run_dir: str | os.PathLike[str] | None = None,
    viz: Visualizer | None = None,
    *,
    lr_means: float = 1e-4,
    lr_log_variances: float = 3e-3,
    lr_mixing: float = 3e-3,
    method: str = "auto",
    schedule: str = "constant",
    sigma_zero_end: float | None = None,
    quantize_from: float = 1.0,
    skip_last_matrix: bool = False,
    resume: bool = False,
    desc: str = "retrain",
    accelerator: Any = None,
) -> float:
    """Train weights and mixture together under cross-entropy + tau * complexity (Ullrich et al. 2017, equation 1).

    lr_w : of the weights, biases and norm parameters
    lr_theta : of the mixture; where it is given, it scales the three rates below so that that of the means is its
        third, which is what their defaults are to 3e-4
    lr_means, lr_log_variances, lr_mixing : of the mixture's parameters
    tau : weight of the complexity; it grows linearly over the first `tau_warmup_epochs`
    complexity_mode : "keras", each step adds tau / N times the complexity of all weights to the mean loss of its batch,
        N the number of training inputs: the variational bound, with tau = 1. "epoch", each step adds tau / (steps in an
        epoch): N / (steps) = batch size times more, so that an epoch adds up to tau times the complexity.
    eval_every, cr_every, mixture_every : every so many epochs, the accuracy, the ratio of the file that quantisation
        would give, a snapshot of the mixture are logged; 0 for never (the accuracy: at the end)
    run_dir, resume, schedule, accelerator : as in `train_standard`
    viz : is told of the start, each epoch and the end
    method : as in `sws.complexity.complexity`
    sigma_zero_end : the standard deviation of the zero component does not learn, it falls geometrically to this within
        the first four fifths of the epochs
    quantize_from : after this part of the epochs the network is trained with the weights that quantisation would give
        it ("map"), gradients passing straight through
    skip_last_matrix : for `cr_every`
    Returns the accuracy. Raises `InputError` when loss or mixture are not finite; the last checkpoint stays.
    """
    if complexity_mode not in COMPLEXITY_MODES:
        raise InputError(f"complexity_mode is {complexity_mode!r}; use one of {', '.join(COMPLEXITY_MODES)}")
    scale = 1.0 if lr_theta is None else lr_theta / 3e-4
    groups: list[dict[str, Any]] = [
        {"params": list(model.parameters()), "lr": lr_w, "weight_decay": weight_decay},
        {"params": [prior.means], "lr": scale * lr_means},
        {"params": [prior.log_variances], "lr": scale * lr_log_variances},
        {"params": [prior.mixing_logits, *([prior.zero_logit] if prior.zero_logit.requires_grad else [])]},
    ]
    groups[3]["lr"] = scale * lr_mixing
    optimizer = torch.optim.Adam(groups)
    prior.to(device)
    run = _Run(model, optimizer, train_loader, device, epochs, desc, run_dir, resume, schedule, accelerator, prior)
    weights = [weight for _, weight in weight_layers(model)]
    steps = run.steps
    share = 1 / len(train_loader.dataset) if complexity_mode == "keras" else 1 / steps
    if viz is not None:
        viz.begin([w.detach().clone() for w in weights])

    through = StraightThrough(model, prior) if quantize_from < 1 else None
    start = prior.log_variances[0].item()

    def penalty() -> Tensor:
        if sigma_zero_end is not None:
            share_done = min(1.0, run.step / (0.8 * epochs * steps))
            with torch.no_grad():
                prior.log_variances[0] = start + share_done * (2 * math.log(sigma_zero_end) - start)
        warm = min(1.0, (run.step + 1) / (tau_warmup_epochs * steps)) if tau_warmup_epochs else 1.0
        return tau * warm * share * prior.complexity_loss(weights, method)

    accuracy = math.nan
    for epoch in run.epochs():
        quantised = through if through is not None and epoch > quantize_from * epochs else None
        loss, running = run.epoch(penalty, quantised)
        prior.check()
        row: dict[str, Any] = {"loss": loss, "accuracy": ""}
        accuracy = running
        if test_loader is not None and _due(epoch, eval_every, epochs):
            row["accuracy"] = accuracy = evaluate(model, test_loader, device)
        if cr_every:
            row["ratio"] = _ratio(model, prior, skip_last_matrix) if _due(epoch, cr_every, epochs) else ""
        if mixture_every and _due(epoch, mixture_every, epochs):
            run.log.mixture(epoch, prior.snapshot())
        if viz is not None:
            known = row["accuracy"] if row["accuracy"] != "" else None
            viz.record(epoch, [w.detach().clone() for w in weights], prior, known)
        run.done(row, {"prior": prior.state_dict()})
    if viz is not None:
        viz.finish()
    return evaluate(model, test_loader, device) if math.isnan(accuracy) and test_loader is not None else accuracy


def _due(epoch: int, every: int, last: int) -> bool:
    return epoch == last or (every > 0 and epoch % every == 0)


def _ratio(model: nn.Module, prior: MixturePrior, skip_last_matrix: bool) -> float:
    """Dense bytes over the bytes of the file, if training ended here."""
    import swsfmt.torch

    trial, mixture = copy.deepcopy(model), copy.deepcopy(prior)
    mixture.quantize_model(trial, skip_last_matrix)
    state = trial.state_dict()
    return sum(t.nbytes for t in state.values()) / len(swsfmt.torch.save(state))


def _optimizer(name: str, parameters: Iterable[nn.Parameter], lr: float, wd: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(parameters, lr, weight_decay=wd)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr, weight_decay=wd)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=wd)
    raise InputError(f"optim_name is {name!r}; use 'adam', 'adamw' or 'sgd'")


class _Run:
    """Epochs of one phase: batches, steps, progress bar, log, checkpoints."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loader: Loader,
        device: str | torch.device,
        epochs: int,
        desc: str,
        run_dir: str | os.PathLike[str] | None,
        resume: bool,
        schedule: str,
        accelerator: Any,
        prior: MixturePrior | None = None,
    ) -> None:
        if schedule not in ("constant", "cosine"):
            raise InputError(f"schedule is {schedule!r}; use 'constant' or 'cosine'")
        self.log = RunLog(run_dir, desc)
        self.step = 0
        self._model = self._network = model
        self._optimizer = optimizer
        self._loader = loader
        self._device = device
        self._epochs = epochs
        self._desc = desc
        self._accelerator = accelerator
        self._rates = [group["lr"] for group in optimizer.param_groups] if schedule == "cosine" else None
        self._epoch = 0
        model.to(device)
        state = self.log.resume() if resume else None
        if state is None:
            self.log.start()
        else:
            self._restore(state, prior)
        if accelerator is not None:
            self._network, self._optimizer, self._loader = accelerator.prepare(model, optimizer, loader)
            self._device = accelerator.device

    @property
    def steps(self) -> int:
        """Steps in an epoch, of this process."""
        return len(self._loader)

    def epochs(self) -> Iterable[int]:
        """The numbers of the epochs that are left, from 1 on."""
        for number in range(self._epoch + 1, self._epochs + 1):
            self._epoch = number
            yield number

    def epoch(
        self, penalty: Callable[[], Tensor] | None = None, through: StraightThrough | None = None
    ) -> tuple[float, float]:
        """One pass over the data; the mean loss of the task and the part of the inputs that got the right class."""
        self._network.train()
        total = right = count = 0.0
        for inputs, targets in self._bar(len(self._loader)):
            inputs, targets = inputs.to(self._device), targets.to(self._device)
            self._set_rates()
            self._optimizer.zero_grad()
            outputs = self._network(inputs) if through is None else through(self._network, inputs)
            task = cross_entropy(outputs, targets)
            loss = task if penalty is None else task + penalty()
            value = loss.item()
            if not math.isfinite(value):
                raise InputError(f"the loss is {value} in epoch {self._epoch}; lower the learning rate or tau")
            if self._accelerator is None:
                loss.backward()
            else:
                self._accelerator.backward(loss)
            if through is not None:
                through.pass_on()
            self._optimizer.step()
            self.step += 1
            total += task.item() * len(targets)
            right += int((outputs.detach().argmax(1) == targets).sum())
            count += len(targets)
        return total / count, right / count

    def done(self, row: dict[str, Any], extra: dict[str, Any]) -> None:
        """Log the epoch and write the checkpoint, in one process of several."""
        if self._accelerator is not None and not self._accelerator.is_main_process:
            return
        self.log.row({"epoch": self._epoch, **row})
        state = {"model": self._model.state_dict(), "optimizer": self._optimizer.state_dict(), **extra}
        self.log.save({"epoch": self._epoch, "step": self.step, **state})

    def _restore(self, state: dict[str, Any], prior: MixturePrior | None) -> None:
        try:
            self._model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
            if prior is not None:
                prior.load_state_dict(state["prior"])
            self._epoch, self.step = state["epoch"], state["step"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(f"the checkpoint is of another run: {error}") from error

    def _set_rates(self) -> None:
        if self._rates is None:
            return
        progress = self.step / (self._epochs * len(self._loader))
        factor = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _bar(self, total: int) -> Iterable[Sequence[Tensor]]:
        bar: Iterable[Sequence[Tensor]] = tqdm(
            self._loader, f"{self._desc} {self._epoch}/{self._epochs}", total, leave=False, disable=None
        )
        return bar
