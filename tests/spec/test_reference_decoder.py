"""The reference decoder reads all vectors, and checkpoints, as the package does; none of its kernels is at work."""

from __future__ import annotations

from pathlib import Path

import pytest
from modules import load
from vectors import INVALID, INVALID_MANIFEST, ROOT, VALID, VALID_MANIFEST, agrees

reference = load(ROOT / "spec" / "reference_decoder.py")


@pytest.mark.parametrize("name", VALID_MANIFEST)
def test_reference_decoder_reads_valid_vector(name: str) -> None:
    expected = VALID_MANIFEST[name]
    decoded = reference.decode((VALID / name).read_bytes())
    assert decoded.metadata == expected["metadata"]
    assert list(decoded.tensors) == [entry["name"] for entry in expected["tensors"]]
    for entry in expected["tensors"]:
        tensor = decoded.tensors[entry["name"]]
        assert tensor.coding == entry["coding"]
        assert tensor.alias_of == entry.get("alias_of")
        if entry.get("unknown"):
            assert tensor.data is None
        elif "alias_of" not in entry:
            assert [tensor.dtype, list(tensor.shape)] == [entry["dtype"], entry["shape"]]
            assert agrees(entry, tensor.data)


@pytest.mark.parametrize("name", INVALID_MANIFEST)
def test_reference_decoder_refuses_invalid_vector(name: str) -> None:
    data = (INVALID / name).read_bytes()
    if INVALID_MANIFEST[name]["error"] == "UnknownCodingError":
        # The file is well made; the tensor alone cannot be had.
        assert any(tensor.data is None for tensor in reference.decode(data).tensors.values())
        return
    with pytest.raises(reference.Invalid):
        reference.decode(data, max_decoded_bytes=2**34)


def test_reference_decoder_agrees_on_checkpoints(checkpoint_path: Path) -> None:
    import torch

    import swsfmt.torch

    state_dict = torch.load(checkpoint_path, weights_only=True, map_location="cpu")
    decoded = reference.decode(swsfmt.torch.save(state_dict))
    assert list(decoded.tensors) == list(state_dict)
    for name, tensor in state_dict.items():
        assert decoded.tensors[name].data == tensor.numpy().tobytes()
        assert decoded.tensors[name].shape == tuple(tensor.shape)
