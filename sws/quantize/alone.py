"""A checkpoint alone is quantised: without data, tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from swsfmt import InputError
from swsfmt.checkpoints import Checkpoint

from . import calibration
from .networks import Plan
from .request import Means, Request
from .sharded import ShardedAttempts, survey, whole_plan
from .sketch import Sketch
from .targets import ERROR, Attempt
from .work import Work


class Alone:
    """Of a checkpoint alone: without data, tensor by tensor."""

    kind = "none: no data and no network, from the weights alone"
    error_kind = None
    without_statistics: list[str] = []  # noqa: RUF012

    def __init__(
        self, checkpoint: Checkpoint, request: Request, means: Means, metadata: Callable[[float], Mapping[str, str]]
    ) -> None:
        """Raises `InputError` for what needs a network, and for rules about no tensor."""
        self._tensors, self._request, self._means, self._metadata = checkpoint.tensors, request, means, metadata
        _refuse_without_network(request)
        self._plan = whole_plan(Plan.of(request.method, request.rules, self._tensors), self._tensors)
        self._sketch: Sketch | None = None
        self._attempts: ShardedAttempts | None = None

    def sketch(self) -> Sketch:
        if self._sketch is None:
            with self._means.progress("looking at the weights") as bar:
                self._sketch = survey(self._tensors, self._plan, bar)
        return self._sketch

    def prepare(self, work: Work) -> Callable[[float], Attempt]:
        self.sketch()
        self._attempts = ShardedAttempts(
            self._tensors, self._plan, work, self._metadata, threads=self._request.threads,
            executor=self._means.executor, progress=self._means.progress, **self._request.encoding,
        )  # fmt: skip
        return self._attempts

    def tune(self, best: Attempt) -> Attempt:
        """Never asked for: it needs a network."""
        return best

    def write(self, best: Attempt, output: str) -> None:
        assert self._attempts is not None
        self._attempts.write(best.step, output)

    def weight_errors(self, step: float, file: str) -> dict[str, float]:
        assert self._attempts is not None
        found = self._attempts.details(step)
        return {name: (own["error"] / own["weight"]) ** 0.5 for name, own in found.items() if own["weight"]}


def _refuse_without_network(request: Request) -> None:
    """Raise `InputError` for what needs a network that runs."""
    needs = {
        "a target error": request.target.kind == ERROR,
        "max_error": request.max_error is not None,
        "forward": request.forward is not None,
        "calibration": request.calibrate not in (None, calibration.NONE),
        "statistics": request.statistics is not None,
        "tuning": request.tuning_steps > 0,
    }
    for what, is_asked in needs.items():
        if is_asked:
            text = f"{what} needs a network that runs, and this is a checkpoint alone"
            advice = "give a folder of transformers or MODULE.py:FUNCTION that makes the network"
            raise InputError(f"{text}; {advice}", file=request.model)
