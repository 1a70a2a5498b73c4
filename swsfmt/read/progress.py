"""How far the decoding of a file is, for a bar or a log."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..codings.base import Decoded
from .reader import OnDecode, Reader, Record


class DecodeCounter:
    """An `on_decode` that counts: `step` is told how many tensors have been decoded, and how many there are to decode.

    then : another `on_decode`, called before `step`.
    """

    def __init__(self, step: Callable[[int, int], None], then: OnDecode | None = None) -> None:
        self._step = step
        self._then = then
        self._total = 0
        self._done = 0
        self._lock = threading.Lock()

    def expect(self, reader: Reader, *, every_name: bool = False) -> None:
        """Count on each tensor once; every_name : those that are tied once more for each of their names."""
        self._total += sum(every_name or record.target is None for record in reader.records)

    def __call__(self, record: Record, decoded: Decoded) -> None:
        if self._then is not None:
            self._then(record, decoded)
        # Steps go up, whichever thread is the first.
        with self._lock:
            self._done += 1
            # A tied tensor may be decoded more often than was expected.
            self._step(self._done, max(self._done, self._total))
