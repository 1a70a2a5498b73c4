"""The trainer: soft weight-sharing, pruning and quantising of PyTorch models, and data, models, recipes and pictures.

Training is one loop (`sws.loop`) with phases: `sws.train` and `sws.retrain`, and `sws.shrink` for the smallest files.
The command is `sws.cli`, the recipes that come with it are `sws.recipes`.
"""

from pathlib import Path as _Path

# In a checkout these two lie beside this folder and not, as where the package is installed, in it.
_CHECKOUT = _Path(__file__).resolve().parent.parent
if not (_CHECKOUT / "sws" / "cli").is_dir() and (_CHECKOUT / "cli" / "__init__.py").is_file():
    __path__.append(str(_CHECKOUT))
