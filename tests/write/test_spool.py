"""Payloads that wait in a file."""

from __future__ import annotations

import tempfile
import tracemalloc
from typing import Any

import numpy as np
import pytest

from swsfmt import dtypes
from swsfmt.codings.base import Made
from swsfmt.codings.classes import CLASSES
from swsfmt.tensor import Elements, TensorInfo
from swsfmt.write.file import encode_file
from swsfmt.write.options import Options
from swsfmt.write.spool import Spool, Spooled

SIDE, MANY = 400, 24


class Levels:
    """A matrix of levels that is made whenever it is asked for."""

    info = TensorInfo(dtypes.F32, (SIDE, SIDE))

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def load(self) -> Elements:
        levels = np.rint(np.random.default_rng(self._seed).normal(0, 3, SIDE * SIDE)).astype("<f4")
        return Elements(self.info, (levels + np.float32(0)).view("<u4"))


def encoded(profile: Any, spool: Any) -> tuple[bytes, int]:
    """The file, and the most memory that it took to get it ready."""
    tensors = {str(number): Levels(number) for number in range(MANY)}
    tracemalloc.start()
    file = encode_file(tensors, None, Options(profile=profile), threads=1, spool=spool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return b"".join(bytes(piece) for piece in file.pieces()), peak


@pytest.mark.parametrize("profile", ["fast", "default"])
def test_the_file_is_the_same_and_its_payloads_take_no_memory(profile: str) -> None:
    whole, most = encoded(profile, None)
    with tempfile.TemporaryFile() as spool:
        waiting, least = encoded(profile, spool)
    assert waiting == whole
    payloads = len(whole) * (MANY - 1) // MANY
    assert payloads > 1 << 20
    assert most - least > payloads // 2


def test_surveys() -> None:
    with tempfile.TemporaryFile() as file:
        spool = Spool(file)
        (_, made), (_, counts) = spool.survey([(CLASSES, Made(None, b"abc" * 1000, 1)), (CLASSES, b"abc" * 1000)])
        assert isinstance(made.payload, Spooled)
        assert b"".join(made.payload.pieces()) == b"abc" * 1000
        assert counts == b"abc" * 1000
        assert spool.payload(b"few") == b"few"
        assert spool.payload(made.payload) is made.payload
    assert Spool().payload(b"abc" * 1000) == b"abc" * 1000
