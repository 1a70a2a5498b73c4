"""`EncodedFile.needed_limits`: what a reader has to be told about a file that is larger than it accepts unasked.

Of the five tensors one has eight byte planes, which count as well.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import swsfmt
import swsfmt.write.file
from swsfmt.numpy import from_array
from swsfmt.tensor import Loadable, Tied
from swsfmt.write.file import encode_file


def tensors() -> dict[str, Loadable | Tied]:
    rng = np.random.default_rng(0)
    sparse = rng.integers(1, 5, (70, 90)) * (rng.random((70, 90)) < 0.1)
    sparse[::3] = 0
    return {
        "sparse": from_array(sparse.astype(np.float32)),
        "dense": from_array(rng.integers(0, 16, 3000)),
        "raw": from_array(rng.standard_normal(300)),
        "empty": from_array(np.zeros((0, 4))),
        "tied": Tied("sparse"),
    }


def test_defaults_are_enough() -> None:
    assert encode_file(tensors()).needed_limits() == {}
    assert encode_file({}).needed_limits() == {}


def test_they_are_what_a_reader_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swsfmt.write.file, "DEFAULT_LIMITS", swsfmt.Limits(max_decoded_bytes=100, max_tensors=4))
    encoded = encode_file(tensors())
    data = b"".join(encoded.pieces())
    needed = encoded.needed_limits()
    assert needed == {"max_decoded_bytes": 70 * 90 * 4 + 3000 * 8 + 300 * 8, "max_tensors": 13}
    swsfmt.verify(data, limits=swsfmt.Limits(**needed))
    for name, value in needed.items():
        with pytest.raises(swsfmt.LimitError, match=name):
            swsfmt.verify(data, limits=dataclasses.replace(swsfmt.Limits(**needed), **{name: value - 1}))


def test_only_those_that_are_above_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swsfmt.write.file, "DEFAULT_LIMITS", swsfmt.Limits(max_tensors=4))
    assert encode_file(tensors()).needed_limits() == {"max_tensors": 13}
