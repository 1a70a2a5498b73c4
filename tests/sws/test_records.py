"""The recipes of the records: they can be read, and the one that was never run to its end does run."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

import swsfmt
from sws.recipe import Recipe, load_recipe, names
from sws.run import run_recipe

RECORDS = [name for name in names() if name.startswith("records/")]


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_a_small_file_of_a_pruned_network(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.shrink is not None
    assert recipe.shrink.pruning.sparsity > 0.9
    assert recipe.file == {"profile": "small"}
    # All of the training set is trained on; what was chosen was chosen before.
    assert recipe.validation == 0


def noise(folder: Path, images: int) -> None:
    """A CIFAR-10 of noise."""
    random = np.random.default_rng(0)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for part in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
            records = random.integers(0, 256, (images, 3073), np.uint8)
            records[:, 0] %= 10
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{part}")
            info.size = records.nbytes
            archive.addfile(info, io.BytesIO(records.tobytes()))


def shortened(recipe: Recipe) -> Recipe:
    assert recipe.shrink is not None
    shrink = dataclasses.replace(
        recipe.shrink,
        pruning=dataclasses.replace(recipe.shrink.pruning, epochs=3),
        quantization=dataclasses.replace(recipe.shrink.quantization, epochs=1),
    )
    return dataclasses.replace(recipe, pretrain=dataclasses.replace(recipe.pretrain, epochs=1), shrink=shrink)


def test_a_short_run_of_the_residual_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cifar10").mkdir()
    noise(tmp_path / "cifar10", 4)
    monkeypatch.setenv("SWS_DATA", str(tmp_path))
    report = run_recipe(shortened(load_recipe("records/wrn_16_4")), tmp_path / "run", pictures=False)
    file = tmp_path / "run" / "model.sws"
    weights = swsfmt.load_file(file)
    entries = sum(np.count_nonzero(a) for a in weights.values() if a.ndim > 1)
    values = np.unique(np.concatenate([a.ravel() for a in weights.values() if a.ndim > 1]))
    assert entries <= 0.026 * sum(a.size for a in weights.values())
    assert len(values) <= 17
    # Normalisation layers are stored as they are: 14 kB of the file.
    assert report["dense_bytes"] / file.stat().st_size > 60
