"""Memory for what is needed for a moment only, used again and again by the same thread.

What the system gives must be cleared first, a page at a time, which takes as long as some decoders do.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

# Larger arrays are not kept: the system gives them in large pages, which cost little.
_MOST = 1 << 22


class _Kept(threading.local):
    """memory : what the thread may use, or None while it does"""

    memory: npt.NDArray[np.uint8] | None = None


_kept = _Kept()


class Scratch:
    """As a context: what was taken is given back at its end, and must not be used after it."""

    def __enter__(self) -> Scratch:
        # One that is opened while another one is has memory of its own.
        self._memory, _kept.memory = _kept.memory, None
        self._at = 0
        return self

    def take(self, count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of so many elements, uninitialised."""
        size = count * np.dtype(dtype).itemsize
        if self._at + size > _MOST:
            return np.empty(count, dtype)
        if self._memory is None:
            self._memory = np.empty(_MOST, np.uint8)
        own = self._memory[self._at : self._at + size].view(dtype)
        self._at += -(-size // 64) * 64
        return own

    def __exit__(self, *_: object) -> None:
        if self._memory is not None:
            _kept.memory = self._memory
