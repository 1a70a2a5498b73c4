"""The fuzz target finds nothing in a few hundred mutations, and is able to find something."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from modules import load

from swsfmt.entropy import backend
from swsfmt.entropy.twin import adaptive

fuzz = load(Path(__file__).parent / "fuzz_reader.py")


@pytest.mark.parametrize("seed", range(4))
def test_no_finding(seed: int) -> None:
    assert fuzz.run(seed, lambda count: count == 100) == 100


def test_mutations_get_to_the_decoders() -> None:
    """Some files that are not what they were still decode, so checksums do not stop the search."""
    import random

    rng, seeds = random.Random(1), fuzz.corpus()
    with fuzz.without_checksums():
        outcomes = [fuzz.outcome(fuzz.mutated(rng.choice(seeds), b"", rng)) for _ in range(300)]
    kinds = {what for found in outcomes for _, what in found if isinstance(what, str)}
    assert {"PayloadError", "IndexRuleError"} <= kinds
    assert any(isinstance(what, bytes) for found in outcomes for _, what in found)


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
def test_a_wrong_kernel_is_found() -> None:
    data = (fuzz.VECTORS / "valid" / "adaptive-forms.sws").read_bytes()
    fuzz.test_one_input(data)
    with patch.object(adaptive, "_LIMIT", 3), pytest.raises(AssertionError):
        fuzz.test_one_input(data)


def test_failing_input_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with patch.object(fuzz, "outcome", side_effect=MemoryError), pytest.raises(MemoryError):
        fuzz.run(0, lambda count: count == 1)
    assert (tmp_path / "fuzz-failure.sws").read_bytes()
