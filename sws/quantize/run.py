"""A whole run of `sws quantize`: look at everything first, calibrate, search for the step, write the file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import swsfmt
from swsfmt import InputError
from swsfmt.checkpoints import Checkpoint
from swsfmt.torch import to_elements

from . import calibration, report
from .alone import Alone
from .calibrated import Calibrated
from .report import Report
from .request import Job, Means, Request
from .sketch import Sketch
from .sources import Source, open_source, state_dict
from .targets import Attempt, search
from .work import Work

__all__ = ["Means", "Request", "Run"]


class Run:
    """Opened: all that can be wrong with what was asked for has been looked at, and nothing was written."""

    def __init__(self, request: Request, means: Means) -> None:
        """Raises `InputError` for a request that cannot be carried out, `OSError`."""
        self.request, self.means = request, means
        self.seconds: dict[str, float] = {}
        self._work = None if means.dry else self._new_work()
        alone = request.calibrate == calibration.NONE
        with self._timed("open"):
            self.source = open_source(
                request.model,
                request.key,
                strip_prefix=request.strip_prefix or None,
                limits=request.limits,
                alone=alone,
            )
        if self.source.module is not None and alone:
            self.source = _tensors_alone(self.source)
        self._job: Job
        if self.source.checkpoint is not None:
            self._job = Alone(self.source.checkpoint, request, means, self.metadata)
        else:
            self._job = Calibrated(self.source, request, means, self.metadata)

    @property
    def is_alone(self) -> bool:
        """Whether there are tensors and nothing to run."""
        return self.source.module is None

    def foretell(self) -> Sketch:
        """From which sizes are foretold."""
        return self._job.sketch()

    def finish(self) -> Report:
        """Make the file. Raises `InputError` for a target that cannot be reached, `OSError`; what was done is kept."""
        request, job, work = self.request, self._job, self._work or self._new_work()
        try:
            with self._timed("prepare"):
                attempt = job.prepare(work)
            sketch = job.sketch()

            def told(step: float) -> Attempt:
                made = attempt(step)
                self.means.tell(str(made))
                return made

            tried = list(work.attempts)
            with self._timed("search"):
                try:
                    best = search(
                        request.target, told, elements=sketch.elements, start=sketch.step(request.target), tried=tried
                    )
                finally:
                    if tried:
                        work.keep(tried)
            tried = tried or [best]
            best = self._tuned(best, sketch)
            self._check_error(best)
            with self._timed("write"):
                job.write(best, request.output)
            made = self._report(best, tried, sketch)
        except BaseException:
            work.drop_if_empty()
            raise
        work.finish()
        return made

    def _tuned(self, best: Attempt, sketch: Sketch) -> Attempt:
        """Better by a few steps of training, where that is asked for and the file stays within its target."""
        request = self.request
        if not request.tuning_steps:
            return best
        with self._timed("tune"):
            tuned = self._job.tune(best)
        if not request.target.is_exceeded(tuned, sketch.elements):
            return tuned
        self.means.tell(f"not tuned: the file would be larger than was asked for, {tuned.bytes:,} bytes")
        return best

    def _new_work(self) -> Work:
        return Work(self.request.output, self.request.settings(), resume=self.means.resume, anew=self.means.anew)

    def _check_error(self, attempt: Attempt) -> None:
        most, error = self.request.max_error, attempt.error
        if most is not None and error is not None and not error <= most:
            text = f"the error of the outputs is {error:.4g}, more than the {most:g} that was allowed"
            raise InputError(f"{text} ({attempt}); ask for a larger file", file=self.request.output)

    def metadata(self, step: float) -> dict[str, str]:
        """Of the file."""
        request = self.request
        own = self.source.checkpoint.metadata if self.source.checkpoint is not None else {}
        ours = {
            "made by": request.command,
            "quantization": f"{request.method}, step {step:.6g}",
            "calibration": self._job.kind,
            "target": str(request.target),
            "rules": " ".join(request.rules),
            "tuning": f"{request.tuning_steps} steps" if request.tuning_steps else "",
        }
        return own | {key: value for key, value in ours.items() if value}

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.monotonic() - start

    def _report(self, best: Attempt, tried: list[Attempt], sketch: Sketch) -> Report:
        request, layers = self.request, []
        size = os.stat(request.output).st_size
        if self.means.detailed:
            contents = swsfmt.inspect(request.output, threads=request.threads, limits=request.limits)
            errors = self._job.weight_errors(best.step, request.output)
            layers = [report.Layer.of(t, errors.get(t.name)) for t in contents.tensors if t.alias_of is None]
        return Report(
            file=request.output,
            file_bytes=size,
            dense_bytes=sketch.dense_bytes,
            ratio=sketch.dense_bytes / size,
            bits=8 * size / max(1, sketch.elements),
            target=str(request.target),
            step=best.step,
            method=request.method,
            calibration=self._job.kind,
            rules=list(request.rules),
            error=best.error,
            error_kind=self._job.error_kind,
            weight_error=best.weight_error,
            untuned_error=best.untuned_error,
            attempts=report.attempts_of(tried),
            layers=[dict(vars(layer)) for layer in layers],
            without_statistics=self._job.without_statistics,
            seconds={name: round(value, 2) for name, value in self.seconds.items()},
        )


def _tensors_alone(source: Source) -> Source:
    tensors = to_elements(state_dict(source.network()))
    return Source(source.path, checkpoint=Checkpoint(tensors))
