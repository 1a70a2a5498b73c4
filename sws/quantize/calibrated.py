"""A network that runs is quantised: calibrated, and with the error of its outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from swsfmt import InputError
from swsfmt.torch import load_file

from . import calibration
from .collect import collect
from .network import dense
from .networks import FEEDBACK, Plan
from .outputs import OutputError
from .quantized import QuantizedModel
from .request import Means, Request
from .sketch import Sketch
from .sources import Source, function, state_dict
from .statistics import Statistics
from .targets import ERROR, Attempt
from .tuning import Tuning, tune
from .work import Work

# Batches between which a run may be stopped without losing them, and seconds between two times of writing them down.
_CHUNK = 4
_SAVE_EVERY = 60.0
_STATISTICS, _DONE = "statistics.safetensors", "batches"


class Calibrated:
    """Of a network that runs: calibrated, with the error of its outputs."""

    def __init__(
        self, source: Source, request: Request, means: Means, metadata: Callable[[float], Mapping[str, str]]
    ) -> None:
        """Raises `InputError` for weights that are not finite, rules about no tensor, and what cannot be calibrated."""
        self._request, self._means, self._metadata = request, means, metadata
        self._device = _device(request.device)
        self._model = source.network().to(self._device)
        self._tensors = state_dict(self._model)
        self._plan = Plan.of(request.method, request.rules, self._tensors, request.paths)
        self._known = request.statistics is not None and Path(request.statistics).exists()
        # Whatever is wrong with the weights is said before anything is run.
        self._network = self._plan.network(self._tensors)
        self._forward = source.forward
        if request.forward is not None:
            self._forward = function(request.forward)
        self._batches = calibration.Calibration()
        if self._needs_batches():
            with means.progress("making the calibration"):
                self._batches = calibration.make(source, request.calibrate, request.samples, request.seed)
            calibration.check(source, self._batches, self._forward, self._device)
        self._error: OutputError | None = None
        self._statistics: Statistics | None = None
        if self._known:
            assert request.statistics is not None
            self._statistics = Statistics.load(request.statistics)
            self._network = self._plan.network(self._tensors, self._statistics)

    def _needs_batches(self) -> bool:
        """Whether there is something to calibrate, or to measure."""
        request = self._request
        asks = request.target.kind == ERROR or request.max_error is not None or request.tuning_steps > 0
        return asks or request.calibrate is not None or (request.method == FEEDBACK and not self._known)

    @property
    def kind(self) -> str:
        if self._known:
            return f"statistics of {Path(str(self._request.statistics)).name}"
        held = len(self._batches.held_out)
        if not self._batches.batches:
            return calibration.NONE
        count = len(self._batches.batches)
        return f"{self._batches.kind}: {count} batches, {held} more to measure with"

    @property
    def error_kind(self) -> str | None:
        return None if self._error is None else self._error.kind

    @property
    def without_statistics(self) -> list[str]:
        return self._network.without_statistics if self._statistics is not None else []

    def sketch(self) -> Sketch:
        sketch = Sketch()
        sketch.add(self._network)
        return sketch

    def prepare(self, work: Work) -> Callable[[float], Attempt]:
        request = self._request
        if request.method == FEEDBACK and self._statistics is None:
            self._statistics = self._collected(work)
            if request.statistics is not None:
                self._statistics.save(request.statistics)
            self._network = self._plan.network(self._tensors, self._statistics)
            if self._network.without_statistics:
                names = ", ".join(self._network.without_statistics[:8])
                self._means.tell(f"calibration did not reach {names}: quantised like a typical matrix")
            if (shortage := self._network.shortage()) is not None:
                self._means.tell(f"WARNING: {shortage}")
        if self._batches.held_out:
            self._error = OutputError(self._model, self._batches.held_out, self._forward)
        return self._attempt

    def _collected(self, work: Work) -> Statistics:
        """By chunks of batches, so that one that was stopped gives the same sums."""
        batches = self._batches.batches
        path = work.made() / _STATISTICS
        statistics, done = None, 0
        if path.exists() and (path.parent / _DONE).exists():
            statistics, done = Statistics.load(path), int((path.parent / _DONE).read_text())
        saved = time.monotonic()
        with self._means.progress("collecting statistics") as bar:
            for start in range(done, len(batches), _CHUNK):
                chunk = batches[start : start + _CHUNK]
                statistics = collect(
                    self._model, chunk, self._forward, seed=self._request.seed, statistics=statistics,
                    progress=lambda count, start=start: bar(start + count, len(batches)),  # type: ignore[misc]
                )  # fmt: skip
                is_last = start + len(chunk) >= len(batches)
                if is_last or time.monotonic() - saved > _SAVE_EVERY:
                    # First what says how many there are: sums without it are made again.
                    (path.parent / _DONE).unlink(missing_ok=True)
                    statistics.save(path)
                    (path.parent / _DONE).write_text(str(start + len(chunk)))
                    saved = time.monotonic()
        assert statistics is not None
        return statistics

    def _quantized(self, step: float) -> QuantizedModel:
        count = len(self._tensors)
        with self._means.progress("quantising") as bar:
            names = iter(range(count))
            tensors = self._network.quantize(step, lambda name: bar(next(names), count))
        return QuantizedModel(tensors)

    def _attempt(self, step: float) -> Attempt:
        quantized = self._quantized(step)
        size = quantized.size(self._metadata(step), **self._request.encoding)
        error = None
        if self._error is not None:
            with self._means.progress("measuring the error"):
                error = self._error.measure(quantized.tensors)
        return Attempt(step, size, error, self._weight_error(quantized), quantized=quantized)

    def _weight_error(self, quantized: QuantizedModel) -> float | None:
        squares = [own for own in self._squares(quantized).values() if own[1]]
        weight = sum(own[1] for own in squares)
        return (sum(own[0] for own in squares) / weight) ** 0.5 if weight else None

    def _squares(self, quantized: QuantizedModel | Mapping[str, torch.Tensor]) -> dict[str, tuple[float, float]]:
        """Of each matrix, the squares of the errors and of the weights."""
        tensors = quantized.tensors if isinstance(quantized, QuantizedModel) else quantized
        out = {}
        for name in self._network.layouts:
            value = tensors[name]
            new = dense(value).double()
            old = self._tensors[name].detach().cpu().double()
            out[name] = float((new.cpu() - old).square().sum()), float(old.square().sum())
        return out

    def tune(self, best: Attempt) -> Attempt:
        quantized = best.quantized if best.quantized is not None else self._quantized(best.step)
        batches, steps = self._batches, self._request.tuning_steps
        with self._means.progress("tuning") as bar:
            tuned = tune(
                self._model, quantized.tensors, batches.batches, batches.held_out, Tuning(steps), self._forward,
                fixed=self._network.actions, progress=lambda step: bar(step, steps),
            )  # fmt: skip
        self._means.tell(f"tuned: {tuned}")
        own = QuantizedModel(tuned.tensors)
        size = own.size(self._metadata(best.step), **self._request.encoding)
        return Attempt(best.step, size, tuned.after, self._weight_error(own), tuned.before, own)

    def write(self, best: Attempt, output: str) -> None:
        quantized = best.quantized if best.quantized is not None else self._quantized(best.step)
        quantized.save(output, self._metadata(best.step), **self._request.encoding)

    def weight_errors(self, step: float, file: str) -> dict[str, float]:
        """Of what the file holds."""
        squares = self._squares(load_file(file, limits=self._request.limits))
        return {name: (error / weight) ** 0.5 for name, (error, weight) in squares.items() if weight}


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        text = (str(error).splitlines() or ["no reason"])[0]
        raise InputError(f"the device {name!r} cannot be used: {text}") from error
    return device
