"""A whole model in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from swsfmt import InputError

from ..batches import Forward
from ..warnings import QualityWarning, warn
from .collect import Progress, collect
from .network import Value
from .networks import FEEDBACK, Plan
from .outputs import OutputError
from .quantized import QuantizedModel
from .rules import Rule
from .sketch import Sketch
from .statistics import Statistics
from .targets import ERROR, Attempt, Target, search
from .tuning import Tuning, tune

# Of the batches of calibration: one in so many measures the error of outputs instead, where that is asked for.
_HELD_OUT = 8
# With tuning, which is judged by them, one in so many.
_JUDGES = 5


def quantize_model(
    model: nn.Module,
    calibration: Iterable[Any] | None = None,
    *,
    target: Target | float,
    rules: Iterable[Rule | str] = (),
    statistics: Statistics | None = None,
    forward: Forward | None = None,
    method: str = FEEDBACK,
    tuning_steps: int = 0,
    paths: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Quantise all matrices of a model; without calibration and statistics by their weights alone, which is worse.

    calibration, forward, seed, progress : see `collect`
    target : what is asked for; a number is a step c, which nothing is searched for. Of a target "error" every eighth
        batch of the calibration measures the outputs and is not calibrated with
    rules : by name, what is not done as with the others, e.g. "lm_head.*:raw"
    statistics : of `collect`, in place of a calibration
    method : "feedback", or one of `methods.METHODS`
    tuning_steps : of training after quantising, see `tuning`; every fifth batch of the calibration judges, and is not
        calibrated with. A file that would then be larger than the target stays as it was
    paths : of the method "feedback", with calibration: how many ways to round the weights of a row are kept while the
        best is looked for, 1 to 64; 8 may make a smaller file, in a few times the time (docs/quantizing.md)
    The model stays as it is; `QuantizedModel.apply_to` changes one. `report` of the result has "step", "bytes", "error"
    and "attempts", what the search has tried; "without_statistics", the matrices that calibration did not reach; and
    "tuning", errors before and after it on held-out batches and its steps, or None.
    Warns with a `QualityWarning` of too few samples for the widths of the matrices.
    Raises `InputError` for a target that cannot be reached, a rule that is about no tensor, `paths` that are not 1
    to 64, weights that are infinite or NaN, statistics of another model.
    """
    if not isinstance(target, Target):
        target = Target.step(target)
    batches = [] if calibration is None else list(calibration)
    if tuning_steps and len(batches) < 2:
        raise InputError("tuning needs two batches of calibration, one to judge by")
    every = _JUDGES if tuning_steps else _HELD_OUT
    held_out = batches[::every] if target.kind == ERROR or tuning_steps else []
    if target.kind == ERROR and not batches:
        raise InputError("without calibration there is nothing to measure the error of outputs on")
    if len(batches) > 1 and held_out:
        batches = [batch for number, batch in enumerate(batches) if number % every]
    if statistics is None and batches and method == FEEDBACK:
        statistics = collect(model, batches, forward, seed=seed, progress=progress)
    tensors = model.state_dict()
    network = Plan.of(method, rules, tensors, paths).network(tensors, statistics)
    if (shortage := network.shortage()) is not None:
        warn(shortage, QualityWarning)
    error = OutputError(model, held_out, forward) if target.kind == ERROR else None
    sketch = Sketch()
    sketch.add(network)

    def attempt(step: float) -> Attempt:
        quantized = QuantizedModel(network.quantize(step))
        measured = None if error is None else error.measure(quantized.tensors)
        return Attempt(step, quantized.size(), measured, quantized=quantized)

    tried: list[Attempt] = []
    best = search(target, attempt, elements=sketch.elements, start=sketch.step(target), tried=tried)
    tried = tried or [best]
    quantized: QuantizedModel = best.quantized or QuantizedModel(network.quantize(best.step))
    tuning: dict[str, Any] | None = None
    if tuning_steps:
        tuned = tune(model, quantized.tensors, batches, held_out, Tuning(tuning_steps), forward, fixed=network.actions)
        own = QuantizedModel(tuned.tensors)
        after = Attempt(best.step, own.size(), tuned.after)
        tuning = {"before": tuned.before, "after": tuned.before, "steps": 0}
        if not target.is_exceeded(after, sketch.elements):
            best, quantized, tuning = after, own, {"before": tuned.before, "after": tuned.after, "steps": tuned.steps}
    quantized.report = {
        "step": best.step,
        "bytes": best.bytes,
        "error": best.error,
        "attempts": [{"step": one.step, "bytes": one.bytes, "error": one.error} for one in tried],
        "without_statistics": network.without_statistics if statistics is not None else [],
        "tuning": tuning,
    }
    return quantized


def quantize_tensors(
    tensors: Mapping[str, Tensor],
    statistics: Statistics | None,
    step: float,
    rules: Iterable[Rule | str] = (),
    method: str = FEEDBACK,
) -> dict[str, Value]:
    """All tensors of a state_dict at the slope of one step c, see `quantize_model`."""
    return Plan.of(method, rules, tensors).network(tensors, statistics).quantize(step)
