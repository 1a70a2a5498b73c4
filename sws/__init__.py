"""The trainer: soft weight-sharing, pruning and quantising of PyTorch models, and data, models, recipes and pictures.

Training is one loop (`sws.loop`) with phases: `sws.train` and `sws.retrain`, and `sws.shrink` for the smallest files.
The command is `sws.cli`, the recipes that come with it are `sws.recipes`.
"""

import sys as _sys
from importlib.machinery import ModuleSpec as _ModuleSpec
from importlib.machinery import PathFinder as _PathFinder
from pathlib import Path as _Path
from typing import Any as _Any

_CHECKOUT = _Path(__file__).resolve().parent.parent


class _Beside:
    """Finds the two packages that in a checkout lie beside this folder and not, as where it is installed, in it."""

    @staticmethod
    def find_spec(name: str, path: _Any = None, target: _Any = None) -> _ModuleSpec | None:
        return _PathFinder.find_spec(name, [str(_CHECKOUT)], target) if name in ("sws.cli", "sws.recipes") else None


if not (_CHECKOUT / "sws" / "cli").is_dir() and (_CHECKOUT / "cli" / "__init__.py").is_file():
    _sys.meta_path.append(_Beside)
