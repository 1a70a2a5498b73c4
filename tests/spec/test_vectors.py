"""The package reads the vectors of the specification, with each kernel; the committed files are what scripts make."""

from __future__ import annotations

import pytest
from modules import load
from vectors import INVALID, INVALID_MANIFEST, ROOT, VALID, VALID_MANIFEST, agrees

import swsfmt
from swsfmt.errors import SwsError
from swsfmt.read.reader import Reader

pytestmark = pytest.mark.usefixtures("each_kernel")


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


@pytest.mark.parametrize("name", INVALID_MANIFEST)
def test_package_refuses_invalid_vector(name: str) -> None:
    with pytest.raises(SwsError) as caught:
        swsfmt.verify(INVALID / name)
    assert type(caught.value).__name__ == INVALID_MANIFEST[name]["error"]


@pytest.mark.parametrize("script", ["make_vectors", "make_invalid_vectors"])
def test_vectors_are_what_their_script_makes(script: str) -> None:
    made = load(ROOT / "scripts" / f"{script}.py").vectors()
    folder = VALID if script == "make_vectors" else INVALID
    assert set(made) == {path.name for path in folder.glob("*.sws")}
    for name, (data, *_) in made.items():
        assert data == (folder / name).read_bytes(), name
