"""CRC-32 as zlib, gzip and PNG have it (spec 3)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

# Importing one more module would cost small files more than it saves.
_MUCH = 1 << 16


def crc32(data: bytes | memoryview, value: int = 0) -> int:
    """The CRC-32 of `data`, going on from that of what came before it, `value`.

    isal takes a quarter of the time; where it is installed (``pip install 'swsfmt[fast]'``), it is used for much data.
    """
    return _fastest()(data, value) if memoryview(data).nbytes >= _MUCH else zlib.crc32(data, value)


# Once: to look for a module that is not there takes time, and a lock that a process forked meanwhile would wait for.
@cache
def _fastest() -> Callable[[bytes | memoryview, int], int]:
    try:
        from isal.isal_zlib import crc32 as fast
    except ImportError:
        return zlib.crc32
    return fast
