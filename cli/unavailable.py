"""The command where swsfmt cannot be imported, e.g. with SWS_KERNELS=native and no C kernels. Imports none of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

_NATIVE = "swsfmt.entropy._native"


def command(error: ImportError) -> Callable[..., NoReturn]:
    """A `main` that says so in one line, with --json on stdout too, and exits with 1."""
    text = _message(error)

    def main(args: list[str] | None = None, **_extra: Any) -> NoReturn:
        sys.stderr.write(f"sws: error: {text}\n")
        if "--json" in (sys.argv[1:] if args is None else args):
            report = {"type": type(error).__name__, "message": text, "file": None, "tensor": None, "offset": None}
            sys.stdout.write(json.dumps({"error": report}, indent=2) + "\n")
        sys.exit(1)

    return main


def _message(error: ImportError) -> str:
    text = " ".join(str(error).split())
    if os.environ.get("SWS_KERNELS") == "native" and (error.name == _NATIVE or _NATIVE in text):
        wanted = f"SWS_KERNELS=native, but the C kernels cannot be loaded ({text})"
        return f"{wanted}; unset it, or install swsfmt again where there is a C compiler"
    return f"swsfmt cannot be imported: {text} (SWS_TRACEBACK=1 shows where)"
