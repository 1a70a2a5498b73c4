"""The kernel in C or in Python: `swsfmt.entropy.backend` says which one is at work."""

from __future__ import annotations

from functools import cache

from swsfmt.entropy import backend

from .protocol import Kernels


def kernels() -> Kernels:
    """Those at work."""
    native = _native() if backend.active() == backend.NATIVE else None
    if native is not None:
        return native
    from . import twin

    return twin


@cache
def _native() -> Kernels | None:
    try:
        import sws.quantize.kernels._native as native
    except ImportError:
        return None
    return native
