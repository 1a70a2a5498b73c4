"""The vectors of the specification: all readers agree on them, and the committed files are what the scripts make."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import swsfmt
from swsfmt.errors import SwsError
from swsfmt.read.reader import Reader

pytestmark = pytest.mark.usefixtures("each_kernel")

ROOT = Path(__file__).resolve().parents[2]
VALID = ROOT / "spec" / "vectors" / "valid"
INVALID = ROOT / "spec" / "vectors" / "invalid"
VALID_MANIFEST: dict[str, Any] = json.loads((VALID / "manifest.json").read_text(encoding="utf-8"))
INVALID_MANIFEST: dict[str, Any] = json.loads((INVALID / "manifest.json").read_text(encoding="utf-8"))


def load(path: Path) -> ModuleType:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


reference = load(ROOT / "spec" / "reference_decoder.py")


def agrees(entry: dict[str, Any], data: bytes) -> bool:
    """Whether these elements are the manifest's."""
    if "hex" in entry:
        return data.hex() == entry["hex"]
    return hashlib.sha256(data).hexdigest() == entry["sha256"]


def test_manifests_list_every_file() -> None:
    assert {path.name for path in VALID.glob("*.sws")} == set(VALID_MANIFEST)
    assert {path.name for path in INVALID.glob("*.sws")} == set(INVALID_MANIFEST)


@pytest.mark.parametrize("name", VALID_MANIFEST)
def test_package_reads_valid_vector(name: str) -> None:
    expected = VALID_MANIFEST[name]
    with Reader.open(VALID / name) as reader:
        assert reader.metadata == expected["metadata"]
        assert reader.keys() == [entry["name"] for entry in expected["tensors"]]
        for record, entry in zip(reader.records, expected["tensors"], strict=True):
            assert record.coding.id == entry["coding"]
            target = reader.resolve(record)
            assert (target.name if target is not record else None) == entry.get("alias_of")
            if entry.get("unknown"):
                with pytest.raises(swsfmt.UnknownCodingError):
                    reader.read(record.name)
            elif "alias_of" not in entry:
                assert record.info is not None
                assert [record.info.dtype.name, list(record.info.shape)] == [entry["dtype"], entry["shape"]]
                assert agrees(entry, reader.decode(record).bits.tobytes())
    report = swsfmt.inspect(VALID / name)
    assert sum(report.sections.values()) == report.file_bytes == (VALID / name).stat().st_size == expected["bytes"]


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
def test_package_refuses_invalid_vector(name: str) -> None:
    with pytest.raises(SwsError) as caught:
        swsfmt.verify(INVALID / name)
    assert type(caught.value).__name__ == INVALID_MANIFEST[name]["error"]


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


@pytest.mark.parametrize("script", ["make_vectors", "make_invalid_vectors"])
def test_vectors_are_what_their_script_makes(script: str) -> None:
    made = load(ROOT / "scripts" / f"{script}.py").vectors()
    folder = VALID if script == "make_vectors" else INVALID
    assert set(made) == {path.name for path in folder.glob("*.sws")}
    for name, (data, *_) in made.items():
        assert data == (folder / name).read_bytes(), name
