"""What a run of `sws quantize` is asked for, and what it has to do it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import swsfmt
from swsfmt import Limits
from swsfmt.limits import DEFAULT_LIMITS
from swsfmt.options import EncodingOptions
from swsfmt.write.file import Step

from . import sources
from .networks import FEEDBACK
from .sketch import Sketch
from .targets import Attempt, Target
from .work import Work


@dataclass(frozen=True)
class Request:
    """What is to be made of what. See `sws quantize --help`; the fields are its options.

    tuning_steps : --tune. encoding : of the file, as for `swsfmt.save_file`. command : for the metadata
    """

    model: str
    output: str
    target: Target
    method: str = FEEDBACK
    rules: tuple[str, ...] = ()
    calibrate: str | None = None
    samples: int | None = None
    forward: str | None = None
    statistics: str | None = None
    max_error: float | None = None
    tuning_steps: int = 0
    key: str | None = None
    strip_prefix: tuple[str, ...] = ()
    paths: int = 1
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    limits: Limits = DEFAULT_LIMITS
    encoding: EncodingOptions = field(default_factory=lambda: EncodingOptions())
    command: str = ""

    def settings(self) -> dict[str, Any]:
        """All that decides what a step gives; neither the target nor tuning, which comes after, is among it."""
        own = {
            name: getattr(self, name)
            for name in (
                "method",
                "paths",
                "rules",
                "calibrate",
                "samples",
                "forward",
                "key",
                "strip_prefix",
                "seed",
                "device",
            )
        }
        return {**sources.identity(self.model), **own, "encoding": dict(self.encoding), "version": swsfmt.__version__}


Progress = Callable[[str], AbstractContextManager[Step]]
"""Gives a block what is told of the progress of work that is called so."""


@contextmanager
def silent(what: str) -> Iterator[Step]:
    """The `Progress` of those who do not want to know."""
    yield lambda done, total: None


@dataclass
class Means:
    """resume : go on with what an earlier run of the same settings has left. anew : drop that

    dry : only look; nothing will be made
    detailed : report each layer, for which the file is decoded
    tell : takes lines for people. executor : of the work on the tensors of a checkpoint alone
    """

    resume: bool = False
    anew: bool = False
    dry: bool = False
    detailed: bool = False
    progress: Progress = silent
    tell: Callable[[str], None] = lambda line: None
    executor: Executor | None = None


class Job(Protocol):
    """What is done with one kind of source; it is made when all that can be wrong with a request has been looked at.

    kind : of the calibration, in words. error_kind : of the error of outputs; None where none is measured
    without_statistics : names of matrices that calibration did not reach
    """

    @property
    def kind(self) -> str: ...

    @property
    def error_kind(self) -> str | None: ...

    @property
    def without_statistics(self) -> list[str]: ...

    def sketch(self) -> Sketch:
        """From which sizes are foretold. Raises `InputError` for weights that are infinite or NaN."""

    def prepare(self, work: Work) -> Callable[[float], Attempt]:
        """What takes long and is done once; gives what quantises with a step."""

    def tune(self, best: Attempt) -> Attempt:
        """That with `Request.tuning_steps` steps of training, the same file where that did not make it better."""

    def write(self, best: Attempt, output: str) -> None:
        """The file, whole or not at all."""

    def weight_errors(self, step: float, file: str) -> dict[str, float]:
        """Of each tensor that was quantised the relative error, of the file that was written."""
