"""The kernels, in C or in Python: the only place that knows which of the two is at work.

Both modules have the functions of `protocol.Kernels`, with the same results: `_native` (folder `native/`, built where
there is a C compiler) and `twin`, which is meant to be read and is slower by far. The environment variable
SWS_KERNELS=bitarray takes the twin, named after the library that it stands on; =native insists on C.

A caller writes `backend.kernels.name(...)` each time, so that `use` switches all of them.

Some kernels in C have a variant for processors with vector instructions (AVX2, NEON), which is taken where there are
such. SWS_VECTORS=off goes without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import warn
from .protocol import Kernels

NATIVE, BITARRAY = "native", "bitarray"


def load(name: str) -> Kernels:
    """The module of that name. Raises `ImportError` where C was not built. The twin is loaded when it is needed."""
    if name == NATIVE:
        import swsfmt.entropy._native as native

        return native
    if name != BITARRAY:
        raise ValueError(f"there are no kernels {name!r}: {NATIVE} or {BITARRAY}")
    from . import twin

    return twin


def _choose() -> tuple[str, Kernels]:
    wish = os.environ.get("SWS_KERNELS", "")
    if wish == BITARRAY:
        return BITARRAY, load(BITARRAY)
    try:
        return NATIVE, load(NATIVE)
    except ImportError:
        if wish == NATIVE:
            raise
        return BITARRAY, load(BITARRAY)


_name, kernels = _choose()
vectors = os.environ.get("SWS_VECTORS", "") != "off"

# Of a single call, in microseconds: shorter ones are not worth a warning.
_PATIENCE = 500_000
# Whether it has been said that the kernels in C are missing.
warned = False
# Whether `use` chose the kernels.
_is_chosen = False


def active() -> str:
    """Which kernels are at work: "native" or "bitarray"."""
    return _name


def is_substitute() -> bool:
    """Whether the twin is at work although nobody asked for it."""
    return _name == BITARRAY and not _is_chosen and os.environ.get("SWS_KERNELS", "") != BITARRAY


def warn_if_slow(microseconds: float) -> None:
    """Say once that this much work is before the twin, where nobody asked for it: C would be done with it at once."""
    global warned
    if microseconds < _PATIENCE or warned or not is_substitute():
        return
    warned = True
    warn(
        "the C kernels of swsfmt are missing, and those in Python are slower by far: a tensor takes seconds, or with "
        'profile="small" minutes; install swsfmt again where there is a C compiler, '
        "or set SWS_KERNELS=bitarray to go without them and without this warning"
    )


@contextmanager
def use(name: str) -> Iterator[None]:
    """Switch all kernels, of all threads, for a while. For tests and measurements."""
    global _name, kernels, _is_chosen
    before = _name, kernels, _is_chosen
    _name, kernels, _is_chosen = name, load(name), True
    try:
        yield
    finally:
        _name, kernels, _is_chosen = before


@contextmanager
def without_vectors() -> Iterator[None]:
    """Go without vector instructions, in all threads, for a while. For tests and measurements."""
    global vectors
    before, vectors = vectors, False
    try:
        yield
    finally:
        vectors = before
