"""`load(dtype=...)`: floating-point tensors are converted, before they are decoded where that is the same."""

from __future__ import annotations

import pytest
import torch

import swsfmt
import swsfmt.torch
import swsfmt.torch_tensors
from swsfmt.entropy import backend
from swsfmt.read.reader import Reader
from swsfmt.torch import load, save


def test_load_with_a_dtype() -> None:
    tensors = {"a": torch.randn(5, 4), "n": torch.arange(3), "flags": torch.tensor([True, False])}
    found = load(save(tensors), dtype=torch.bfloat16)
    assert torch.equal(found["a"], tensors["a"].to(torch.bfloat16))
    assert found["n"].dtype == torch.int64
    assert found["flags"].dtype == torch.bool


WAYS = {
    "sparse": {},
    "columns": {"scan": "columns"},
    "adaptive": {"profile": "small"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("to", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.float8_e4m3fn])
@pytest.mark.parametrize("source", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_dtype_is_that_of_the_codebook(
    source: torch.dtype, to: torch.dtype, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits are those of a conversion afterwards, and none is made where there is a codebook."""
    generator = torch.Generator().manual_seed(0)
    values = torch.tensor([0, 1.1, -2.7, 3e-8, 300, 1e6, -1e-5, 0.1], dtype=torch.float64).to(source)
    # The coder in Python takes a minute for what C does at once.
    shape = (300, 200) if backend.active() == backend.NATIVE else (40, 30)
    full = values[torch.randint(0, 8, shape, generator=generator)]
    thin = full.where(torch.rand(shape, generator=generator) < 0.05, torch.zeros((), dtype=source))
    tensors = {"full": full, "thin": thin.abs(), "few": full[0, :9].clone(), "zeros": torch.zeros(50, dtype=source)}
    data = swsfmt.torch.save(tensors, **WAYS[way])  # type: ignore[arg-type]
    seen = []
    read = Reader.read
    monkeypatch.setattr(Reader, "read", lambda *args, **kw: (seen.append(read(*args, **kw)), seen[-1])[1])
    found = swsfmt.torch.load(data, dtype=to)
    for name, tensor in tensors.items():
        assert found[name].dtype == to
        assert torch.equal(found[name].view(torch.uint8), tensor.to(to).view(torch.uint8))
    is_exact = source == to or to == torch.float8_e4m3fn
    assert is_exact or sum(swsfmt.torch.to_tensor(elements).dtype == to for elements in seen) >= 2


def test_dtype_of_nan() -> None:
    """What a conversion makes of the bits of NaN hangs on its place in a tensor: these are converted in the end."""
    tensor = torch.tensor([0.5, float("nan"), 0, 2.5]).repeat(50)
    found = swsfmt.torch.load(swsfmt.torch.save({"a": tensor}), dtype=torch.bfloat16)["a"]
    assert torch.equal(found.view(torch.int16), tensor.to(torch.bfloat16).view(torch.int16))
