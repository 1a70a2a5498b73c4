"""How files are refused: in bounded memory, whoever reads them."""

from __future__ import annotations

import tracemalloc

import pytest

import swsfmt
from swsfmt import Limits, SwsError

MAX_PEAK = 64 << 20


def refused(data: bytes, limits: Limits = swsfmt.limits.DEFAULT_LIMITS) -> SwsError:
    """The error of `verify`, which must be that of `load` as well, in bounded memory."""
    errors = []
    for read in (swsfmt.verify, swsfmt.load):
        tracemalloc.start()
        try:
            with pytest.raises(SwsError) as caught:
                read(data, limits=limits)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MAX_PEAK
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])
    return errors[0]
