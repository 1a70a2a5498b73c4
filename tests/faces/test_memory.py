"""Tensors that are not all there are refused, where they are saved and where they are decoded into."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import swsfmt
import swsfmt.torch
from swsfmt.errors import InputError
from swsfmt.memory import Span, is_folded, share_memory


def cut(size: int) -> dict[str, torch.Tensor]:
    """Tensors of different strides and offsets whose storage has so many bytes."""
    bases = [torch.arange(1000.0) for _ in range(4)]
    tensors = [bases[0], bases[1].reshape(10, 100).T, bases[2][990:], bases[3][::333]]
    for base in bases:
        base.untyped_storage().resize_(size)
    return dict(zip(("plain", "transposed", "offset", "strided"), tensors, strict=True))


@pytest.mark.parametrize("size", [0, 4, 3980])
@pytest.mark.parametrize("kind", ["plain", "transposed", "offset", "strided"])
def test_storage_that_was_freed_or_made_smaller(size: int, kind: str) -> None:
    tensor = cut(size)[kind]
    with pytest.raises(InputError, match="its storage has") as caught:
        swsfmt.torch.save({"fine": torch.ones(3), "gone": tensor})
    assert caught.value.tensor == "gone"
    with pytest.raises(InputError, match="its storage has"):
        swsfmt.torch.from_tensor(tensor)
    data = swsfmt.torch.save({"fine": torch.ones(3), "gone": torch.ones(tensor.shape)})
    fine = torch.zeros(3)
    with pytest.raises(InputError, match="its storage has") as caught:
        swsfmt.torch.load(data, out={"fine": fine, "gone": tensor})
    assert caught.value.tensor == "gone"
    assert fine.sum() == 0


def test_a_view_of_what_is_left_is_saved() -> None:
    base = torch.arange(1000.0)
    view = base[:10]
    base.untyped_storage().resize_(40)
    assert torch.equal(swsfmt.torch.load(swsfmt.torch.save({"a": view}))["a"], torch.arange(10.0))


def test_a_model_whose_parameters_were_freed(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 4)
    swsfmt.torch.save_model(model, tmp_path / "m.sws")
    model.weight = torch.nn.Parameter(torch.arange(12.0).reshape(4, 3))
    model.weight.untyped_storage().resize_(0)
    for call in (swsfmt.torch.save_model, swsfmt.torch.load_model):
        with pytest.raises(InputError, match="its storage has") as caught:
            call(model, tmp_path / "m.sws")  # type: ignore[operator]
        assert caught.value.tensor == "weight"
    assert len(swsfmt.torch.load_file(tmp_path / "m.sws")) == 2


def test_tensors_without_memory_of_their_own() -> None:
    def save(tensor: torch.Tensor) -> torch.Tensor:
        with pytest.raises(InputError, match="no memory"):
            swsfmt.torch.save({"a": tensor})
        return tensor.sum()

    torch.vmap(save)(torch.ones(2, 3))
    torch.func.grad(save)(torch.ones(3))
    save(torch._to_functional_tensor(torch.ones(3)))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.ones(3, 3, device="meta"), "meta"),
        (torch.ones(1).expand(3, 3), "share memory"),
        (torch.ones(6).as_strided((3, 3), (1, 1)), "share memory"),
        (torch.eye(3).to_sparse(), "not dense"),
        (np.ones((3, 3), np.float32), "not a tensor"),
    ],
)
def test_torch_refuses_to_decode_into(wrong: Any, message: str) -> None:
    data = swsfmt.torch.save({"a": torch.ones(3, 3), "b": torch.rand(3, 3)})
    first = torch.zeros(3, 3)
    with pytest.raises(InputError, match=message) as caught:
        swsfmt.torch.load(data, out={"a": first, "b": wrong})
    assert caught.value.tensor == "b"
    assert first.sum() == 0


def test_numpy_refuses_elements_that_share_memory() -> None:
    folded = np.lib.stride_tricks.as_strided(np.zeros(6, np.float32), (3, 3), (4, 4))
    with pytest.raises(InputError, match="share memory"):
        swsfmt.load(swsfmt.save({"a": np.ones((3, 3), np.float32)}), out={"a": folded})


@pytest.mark.parametrize("offset", [0, 8000])
@pytest.mark.parametrize("kind", ["memmap", "view", "buffer"])
def test_a_mapped_file_that_became_shorter(tmp_path: Path, offset: int, kind: str) -> None:
    """Reading it would end the process."""
    path = tmp_path / "a.bin"
    np.arange(5000, dtype=np.float32).tofile(path)
    if kind == "buffer":
        with path.open("r+b") as file:
            mapped: Any = np.frombuffer(mmap.mmap(file.fileno(), 0), np.float32, 100, offset)
    else:
        mapped = np.memmap(path, np.float32, "r+", offset, (100,))
        mapped = np.asarray(mapped[1:].reshape(3, 33)) if kind == "view" else mapped
    end = offset + 400
    with path.open("r+b") as file:
        file.truncate(end)
    data = swsfmt.save({"a": mapped})
    assert np.array_equal(swsfmt.load(data, out={"a": mapped})["a"], mapped)
    with path.open("r+b") as file:
        file.truncate(end - 1)
    with pytest.raises(InputError, match="became shorter") as caught:
        swsfmt.save({"a": mapped})
    assert caught.value.tensor == "a"
    with pytest.raises(InputError, match="became shorter"):
        swsfmt.load(data, out={"a": mapped})


def test_spans() -> None:
    assert Span.of(100, (3, 5), (-20, 4), 4) == (60, 120)
    assert Span.of(100, (3, 0), (20, 4), 4) == (100, 100)
    assert share_memory([Span(0, 9), Span(20, 30), Span(8, 10)])
    assert not share_memory([Span(0, 9), Span(9, 9), Span(5, 5), Span(9, 20)])
    assert is_folded((2, 3), (0, 4), 4)
    assert is_folded((2, 3), (4, 4), 4)
    assert is_folded((2,), (2,), 4)
    assert not is_folded((2, 3), (4, 8), 4)
    assert not is_folded((1, 3), (0, -4), 4)
    assert not is_folded((2, 0), (0, 4), 4)


@pytest.mark.parametrize("count", [2**32 + 1, 10**13, 2**60])
def test_what_was_expanded_beyond_all_memory_is_refused(count: int) -> None:
    for save, tensor in (
        (swsfmt.torch.save, torch.zeros(1).expand(count)),
        (swsfmt.torch.save, torch.zeros(3, 1).expand(3, count // 3 + 1)),
        (swsfmt.save, np.broadcast_to(np.float32(0), (count,))),
    ):
        with pytest.raises(InputError, match="it was expanded") as caught:
            save({"mask": tensor})  # type: ignore[operator]
        assert caught.value.tensor == "mask"


def test_what_was_expanded_a_little_is_saved() -> None:
    expanded = torch.arange(3.0).reshape(3, 1).expand(3, 100)
    assert torch.equal(swsfmt.torch.load(swsfmt.torch.save({"a": expanded}))["a"], expanded)
    array = np.broadcast_to(np.arange(3.0)[:, None], (3, 100))
    assert np.array_equal(swsfmt.load(swsfmt.save({"a": array}))["a"], array)


def test_no_memory_for_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(tensor: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(torch.Tensor, "contiguous", fails)
    with pytest.raises(MemoryError, match="allocate memory"):
        swsfmt.torch.save({"a": torch.ones(2, 3).T})
