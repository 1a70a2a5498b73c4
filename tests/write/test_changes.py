"""Tensors that change while they are saved: what is written is one reading of each, or there is an error."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import swsfmt
from swsfmt import dtypes
from swsfmt.codings import composite, planes
from swsfmt.entropy import backend
from swsfmt.errors import ChangedError
from swsfmt.tensor import Elements, TensorInfo
from swsfmt.write.atomic import write_atomically
from swsfmt.write.file import encode_file
from swsfmt.write.options import Options

pytestmark = pytest.mark.usefixtures("each_kernel")

Array = npt.NDArray[Any]
RANDOM = np.random.default_rng(5)
ROWS, COLUMNS = 120, 400


def sparse(density: float, values: int = 5) -> Array:
    found = RANDOM.integers(1, values, (ROWS, COLUMNS)) * (RANDOM.random((ROWS, COLUMNS)) < density)
    return found.astype(np.float32)


def moved(array: Array) -> Array:
    """The same elements elsewhere."""
    return RANDOM.permutation(array.reshape(-1)).reshape(array.shape)


def with_dead(array: Array, *, rows: slice = slice(0), columns: slice = slice(0)) -> Array:
    array = array.copy()
    array[rows], array[:, columns] = 0, 0
    return array


SPARSE, DENSE, FLOATS = sparse(0.05), sparse(1.0), RANDOM.random((ROWS, COLUMNS)).astype(np.float32)
HALVES = FLOATS.astype(np.float16).astype(np.float32)
SMALL = np.zeros_like(SPARSE)
SMALL[:, :3] = 1
READINGS = {
    "floats, one of them another": (FLOATS, np.where(FLOATS[7, 7] == FLOATS, np.float32(2), FLOATS)),
    "floats in other places": (FLOATS, moved(FLOATS)),
    "halves, one of them not": (HALVES, np.where(HALVES[7, 7] == HALVES, np.float32(1e-9), HALVES)),
    "halves, one of them no number": (HALVES, np.where(HALVES[7, 7] == HALVES, np.float32("nan"), HALVES)),
    "halves in other places": (HALVES, moved(HALVES)),
    "few values, one of them another": (DENSE, np.where(RANDOM.random(DENSE.shape) < 0.001, np.float32(77), DENSE)),
    "few values in other places": (DENSE, moved(DENSE)),
    "few values, others of them": (DENSE, sparse(1.0)),
    "few values, only one of them": (DENSE, np.full_like(DENSE, 3)),
    "two values, then both": (np.full_like(DENSE, 3), np.where(DENSE > 3, np.float32(2), np.float32(3))),
    "zeros, then none": (np.zeros_like(DENSE), DENSE),
    "entries, then zeros": (SPARSE, np.zeros_like(SPARSE)),
    "entries in other places": (SPARSE, moved(SPARSE)),
    "more entries": (SPARSE, sparse(0.06)),
    "entries in dead columns": (with_dead(SPARSE, columns=slice(200)), SPARSE),
    "entries in dead rows": (with_dead(SPARSE, rows=slice(50)), SPARSE),
    "as many in dead columns": (with_dead(SPARSE, columns=slice(200)), with_dead(SPARSE, columns=slice(200))[:, ::-1]),
    "as many in dead rows": (with_dead(SPARSE, rows=slice(60)), with_dead(SPARSE, rows=slice(60))[::-1]),
    "few lines with an entry": (with_dead(SPARSE, rows=slice(3, None)), moved(with_dead(SPARSE, rows=slice(3, None)))),
    "one column": (SMALL, moved(SMALL)),
}


class Changing:
    """A tensor that is another one from the given reading on."""

    def __init__(self, before: Array, after: Array, change: int) -> None:
        self.info = TensorInfo(dtypes.F32, before.shape)
        self._readings = [before, after]
        self._change = change
        self.count = 0

    def load(self) -> Elements:
        self.count += 1
        array = self._readings[self.count > self._change]
        return Elements(self.info, np.ascontiguousarray(array).reshape(-1).view("<u4"))


@pytest.mark.parametrize("options", [{}, {"profile": "small"}, {"huffman": False}, {"scan": "columns"}], ids=str)
@pytest.mark.parametrize("change", [1, 2, 3])
@pytest.mark.parametrize("name", READINGS)
def test_one_reading_or_an_error(name: str, change: int, options: dict[str, Any]) -> None:
    before, after = READINGS[name]
    if backend.active() == backend.BITARRAY:
        if options == {"profile": "small"}:
            pytest.skip("the adaptive coder reads a tensor once; in Python it is slow")
        before, after = before[:40], after[:40]
    tensors = {
        "still": Elements(TensorInfo(dtypes.F32, (3,)), np.zeros(3, "<u4")),
        "w": Changing(before, after, change),
    }
    try:
        data = b"".join(encode_file(tensors, options=Options(**options), threads=1).pieces())  # type: ignore[typeddict-item]
    except ChangedError as error:
        where = error.tensor
    else:
        where = None
        # Equal as bits: there may be something that is no number.
        assert swsfmt.load(data)["w"].tobytes() in (before.tobytes(), after.tobytes())
    assert where in (None, "w")


@pytest.mark.parametrize(("kept", "readings"), [(1 << 25, 9), (0, 12)], ids=["together", "each"])
def test_parts_come_from_one_reading(kept: int, readings: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four planes are looked at, with one reading or one for each.

    kept : tensors up to so many bytes are kept until all their parts have been looked at
    """
    monkeypatch.setattr(composite, "_KEPT", kept)
    tensor = Changing(FLOATS, FLOATS, 99)
    data = b"".join(encode_file({"w": tensor}, threads=1).pieces())
    assert tensor.count == readings
    assert np.array_equal(swsfmt.load(data)["w"], FLOATS)


def test_parts_that_are_sent_elsewhere_take_nothing_along() -> None:
    latest = composite.Latest()
    elements = Elements(TensorInfo(dtypes.F32, FLOATS.shape), FLOATS.reshape(-1).view("<u4"))
    params = planes.Params((8, 8, 8, 8))
    infos = planes.PLANES.part_infos(params, elements.info)
    source = composite.Source(elements, planes.PLANES, params, infos, composite.checksum(elements), latest)
    part = composite.Part(source, 1)
    bits = part.load().bits
    sent = pickle.loads(pickle.dumps(part))
    assert sent.source.latest._of_thread == {}
    assert not sent.source.latest._is_open
    assert np.array_equal(sent.load().bits, bits)


def test_a_file_stays_what_it_was(tmp_path: Path) -> None:
    """Elements that others write to between the checksum and the writing."""
    path = tmp_path / "w.sws"
    swsfmt.save_file({"w": FLOATS}, path)
    before = path.read_bytes()
    weights = FLOATS.copy()
    encoded = encode_file({"w": Elements(TensorInfo(dtypes.F32, weights.shape), weights.reshape(-1).view("<u4"))})
    weights += 1
    with pytest.raises(ChangedError, match="changed while it was saved"):
        write_atomically(path, encoded.pieces())
    assert path.read_bytes() == before


def test_what_was_handed_out_changes_no_more() -> None:
    """A piece may be written later than it was asked for."""
    weights = FLOATS.copy()
    encoded = encode_file({"w": Elements(TensorInfo(dtypes.F32, weights.shape), weights.reshape(-1).view("<u4"))})
    pieces = list(encoded.pieces())
    weights += 1
    assert np.array_equal(swsfmt.load(b"".join(pieces))["w"], FLOATS)


def test_the_error_can_be_sent() -> None:
    error = ChangedError()
    error.locate(tensor="w")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
