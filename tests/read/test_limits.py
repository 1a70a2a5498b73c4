"""`max_decoded_bytes` guards what one call decodes: any file can be opened, listed and read tensor by tensor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import swsfmt
import swsfmt.checkpoints
import swsfmt.write.file
from swsfmt import LimitError, Limits, SwsWarning
from swsfmt.inspection import verified
from swsfmt.read.reader import Reader

LARGE = 4 << 20


def tensors() -> dict[str, np.ndarray[Any, Any]]:
    """16 MB of zeros and a little more."""
    return {
        **{f"zeros.{i}": np.zeros(LARGE // 4 + i, np.float32) for i in range(4)},
        "norm": np.arange(8, dtype=np.float32),
    }


FILE = swsfmt.save(tensors())
WHOLE = sum(array.nbytes for array in tensors().values())


def test_any_file_is_opened_and_its_small_tensors_read() -> None:
    with swsfmt.safe_open(FILE, limits=Limits(max_decoded_bytes=32)) as f:
        assert f.keys() == list(tensors())
        assert f.get_slice("zeros.3").get_shape() == [LARGE // 4 + 3]
        np.testing.assert_array_equal(f.get_tensor("norm"), np.arange(8, dtype=np.float32))
        np.testing.assert_array_equal(f.get_slice("norm")[2:4], [2, 3])


@pytest.mark.parametrize("index", [0, slice(3, 5), ...], ids=str)
def test_one_tensor_counts_alone(index: Any) -> None:
    nbytes = LARGE + 4
    with swsfmt.safe_open(FILE, limits=Limits(max_decoded_bytes=nbytes)) as f:
        assert f.get_tensor("zeros.1").nbytes == nbytes
    with swsfmt.safe_open(FILE, limits=Limits(max_decoded_bytes=nbytes - 1)) as f:
        for read in (lambda: f.get_tensor("zeros.1"), lambda: f.get_slice("zeros.1")[index]):
            with pytest.raises(LimitError, match=rf"this tensor is .*Limits\(max_decoded_bytes={nbytes}\)") as caught:
                read()
            assert caught.value.tensor == "zeros.1"


def get_tensors(data: bytes, limits: Limits) -> None:
    with swsfmt.safe_open(data, limits=limits) as f:
        f.get_tensors()


def converted(data: bytes, limits: Limits) -> None:
    with Reader.open(data, limits) as reader:
        swsfmt.checkpoints.convert(reader, Path("out.safetensors"))


def verify_open(data: bytes, limits: Limits) -> None:
    with Reader.open(data, limits) as reader:
        verified(reader)


CALLS: dict[str, Callable[[bytes, Limits], Any]] = {
    "load": lambda data, limits: swsfmt.load(data, limits=limits),
    "get_tensors": get_tensors,
    "verify": lambda data, limits: swsfmt.verify(data, limits=limits),
    "verified": verify_open,
    "convert": converted,
}


@pytest.mark.parametrize("call", CALLS)
def test_the_message_tells_what_the_whole_file_needs(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, whichever tensor is the first above the limit; and before anything is decoded or written."""
    monkeypatch.chdir(tmp_path)
    for limit in (0, 32, LARGE, WHOLE - 1):
        with pytest.raises(LimitError, match=rf"the file is .*Limits\(max_decoded_bytes={WHOLE}\)"):
            CALLS[call](FILE, Limits(max_decoded_bytes=limit))
    assert not list(tmp_path.iterdir())
    CALLS[call](FILE, Limits(max_decoded_bytes=WHOLE))


def test_tied_tensors_count_once() -> None:
    array = np.ones(100, np.float32)
    data = swsfmt.save({"a": array, "b": array})
    assert set(swsfmt.load(data, limits=Limits(max_decoded_bytes=400))) == {"a", "b"}


def test_inspect_lists_what_it_does_not_decode() -> None:
    report = swsfmt.inspect(FILE, limits=Limits(max_decoded_bytes=2 * LARGE + 4))
    assert [tensor.nonzero for tensor in report.tensors] == [0, 0, None, None, None]
    assert report.dense_bytes == WHOLE
    assert sum(report.sections.values()) == report.file_bytes == len(FILE)
    assert swsfmt.inspect(FILE).tensors[-1].nonzero == 7


def test_writers_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swsfmt.write.file, "DEFAULT_LIMITS", Limits(max_decoded_bytes=WHOLE - 1))
    for save in (
        lambda: swsfmt.save(tensors()),
        lambda: swsfmt.save_file(tensors(), tmp_path / "a.sws"),
    ):
        with pytest.warns(SwsWarning, match=rf"Limits\(max_decoded_bytes={WHOLE}\)") as caught:
            save()
        assert [warning.filename for warning in caught] == [__file__]
    assert (tmp_path / "a.sws").read_bytes() == FILE


def test_writers_say_it_of_torch_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    import swsfmt.torch

    monkeypatch.setattr(swsfmt.write.file, "DEFAULT_LIMITS", Limits(max_decoded_bytes=399))
    for save in (
        lambda: swsfmt.torch.save({"a": torch.ones(100)}),
        lambda: swsfmt.torch.save_file({"a": torch.ones(100)}, tmp_path / "a.sws"),
    ):
        with pytest.warns(SwsWarning, match=r"Limits\(max_decoded_bytes=400\)") as caught:
            save()
        assert [warning.filename for warning in caught] == [__file__]


def test_within_the_defaults_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swsfmt.save(tensors())
