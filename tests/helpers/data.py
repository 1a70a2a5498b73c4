"""The shared checkpoints and MNIST, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def data_folder() -> Path | None:
    """`$SWS_DATA`, else the folder `shared/data` beside the repository; None if it is not there."""
    folder = Path(os.environ.get("SWS_DATA") or ROOT.parent / "shared" / "data")
    return folder if (folder / "checkpoints").is_dir() else None
