"""What is kept of tensors that have been decoded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from .. import arguments
from .packed import Packed


class Cache:
    """Decoded tensors, those used last; all layers of a model share one.

    limit : bytes of all that are kept; None for no limit. A tensor larger than that is decoded each time.
    A copy, and what is unpickled, starts empty. Several threads may use one.
    """

    def __init__(self, limit: int | None = None) -> None:
        """Raises `InputError` for a limit that is no whole number from 0 on."""
        self.limit = None if limit is None else arguments.whole_number(limit, "limit", 0)
        self.nbytes = 0
        self._tensors: OrderedDict[int, torch.Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, packed: Packed, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """The tensor in that dtype, on that device: the one that is kept, or decoded now. Nobody may write to it."""
        with self._lock:
            kept = self._tensors.get(packed.number)
            if kept is not None and kept.dtype == dtype and kept.device == device:
                if self.limit is not None:
                    self._tensors.move_to_end(packed.number)
                return kept
        if self.limit is not None:
            # Room is made before it is needed: the limit is one for the peak.
            self._forget(packed.number, min(self.limit, packed.shape.numel() * dtype.itemsize))
        tensor = packed.decode().to(device, dtype)
        if self.limit is None or tensor.nbytes <= self.limit:
            with self._lock:
                self._take(packed.number)
                self._tensors[packed.number] = tensor
                self.nbytes += tensor.nbytes
        return tensor

    def clear(self) -> None:
        """Keep nothing of what has been decoded."""
        with self._lock:
            self._tensors.clear()
            self.nbytes = 0

    def _forget(self, number: int, room: int) -> None:
        with self._lock:
            self._take(number)
            while self.limit is not None and self._tensors and self.nbytes + room > self.limit:
                self._take(next(iter(self._tensors)))

    def _take(self, number: int) -> None:
        old = self._tensors.pop(number, None)
        self.nbytes -= 0 if old is None else old.nbytes

    def __deepcopy__(self, memo: dict[int, Any]) -> Cache:
        memo[id(self)] = copy = Cache(self.limit)
        return copy

    def __reduce__(self) -> tuple[Callable[..., Cache], tuple[int | None]]:
        return Cache, (self.limit,)
