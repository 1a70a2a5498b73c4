"""The command `sws`."""

import os
import sys

try:
    from .main import main
except KeyboardInterrupt:
    # What is imported takes a second on a busy machine. As `errors.INTERRUPTED` and `main` have it.
    sys.stderr.write("\nsws: interrupted\n")
    raise SystemExit(130) from None
except ImportError as error:
    if os.environ.get("SWS_TRACEBACK"):
        raise
    from .unavailable import command

    main = command(error)  # type: ignore[assignment]

__all__ = ["main"]
