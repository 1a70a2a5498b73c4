"""The command `sws`."""

import os

try:
    from .main import main
except ImportError as error:
    if os.environ.get("SWS_TRACEBACK"):
        raise
    from .unavailable import command

    main = command(error)  # type: ignore[assignment]

__all__ = ["main"]
