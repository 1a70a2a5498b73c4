"""What is said loudly: a network that became worse, and what was left as it was.

It goes through Python's `warnings` and, where a run has a folder, to its warnings.log.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swsfmt import SwsWarning

LOG = "warnings.log"


class QualityWarning(SwsWarning):
    """A network lost more than a point of its accuracy, or of its loss relatively, or all weights of a layer."""


class SkippedWarning(SwsWarning):
    """Something that was to be compressed, removed or sorted was left as it was."""


def warn(message: str, kind: type[SwsWarning], run_dir: str | os.PathLike[str] | None = None) -> None:
    """Warn the one who called the trainer. run_dir : the folder of the run."""
    if run_dir is not None:
        with (Path(run_dir) / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{kind.__name__}: {message}\n")
    warnings.warn(message, kind, stacklevel=3)


@contextmanager
def collected() -> Iterator[list[str]]:
    """The messages of the trainer's warnings, each of which is shown as ever."""
    messages: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", SwsWarning, append=True)
        show = warnings.showwarning

        def collect(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, SwsWarning):
                messages.append(str(message))
            show(message, category, *place, **more)

        warnings.showwarning = collect
        yield messages
