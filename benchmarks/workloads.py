"""Weights to measure with: synthetic ones, checkpoints, and networks of floats after k-means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file

Array = npt.NDArray[np.float32]

VALUES = 16
# A layer with more values is not quantised.
MOST_VALUES = 300
# A smaller tensor of a network of floats keeps its values.
FEWEST_WEIGHTS = 10_000
PRUNED = (0, 70, 90)


@dataclass(frozen=True)
class Workload:
    """tensors : a whole network."""

    name: str
    tensors: dict[str, Array]

    @property
    def quantised(self) -> dict[str, Array]:
        """The matrices of few values, which the entropy coders are about."""
        matrices = {name: a for name, a in self.tensors.items() if a.ndim > 1}
        return {name: a for name, a in matrices.items() if len(np.unique(a)) <= MOST_VALUES}


def weights(count: int, density: float, seed: int = 0) -> tuple[Array, npt.NDArray[np.uint8]]:
    """A matrix of normal weights in 16 values, the least frequent ones outside, and its ids; 0 is zero."""
    random = np.random.default_rng(seed)
    values = np.concatenate([[0], np.linspace(-1, 1, VALUES)]).astype(np.float32)
    ids = np.clip(np.rint(random.normal(VALUES / 2 + 0.5, 3, count)), 1, VALUES).astype(np.uint8)
    if density < 1:
        ids[random.random(count) >= density] = 0
    ids = ids[: count // 1000 * 1000].reshape(-1, 1000)
    return values[ids], ids


def uniform(count: int, seed: int = 0) -> Array:
    """A matrix of 256 values that are equally frequent, so that no code is shorter than 8 bits."""
    ids = np.random.default_rng(seed).integers(-128, 128, count // 1000 * 1000)
    return ids.reshape(-1, 1000).astype(np.float32)


def clustered(array: Array, percent: int) -> Array:
    """The smallest weights zero, the others one of 16 values: Lloyd's algorithm on a sample, from quantiles."""
    flat = array.ravel()
    keep = np.abs(flat) > np.quantile(np.abs(flat), percent / 100) if percent else np.ones(flat.shape, bool)
    kept = flat[keep]
    sample = np.sort(np.random.default_rng(0).choice(kept, min(len(kept), 50_000), replace=False))
    centres = np.quantile(sample, (np.arange(VALUES) + 0.5) / VALUES)
    for _ in range(30):
        place = np.searchsorted((centres[1:] + centres[:-1]) / 2, sample)
        count = np.bincount(place, minlength=VALUES)
        centres = np.where(count, np.bincount(place, sample, VALUES) / np.maximum(count, 1), centres)
    out = centres[np.searchsorted((centres[1:] + centres[:-1]) / 2, flat)].astype(np.float32)
    return np.where(keep, out, np.float32(0)).reshape(array.shape)


def checkpoints() -> list[Path]:
    """The *.pt files of $SWS_DATA/checkpoints; none where it is not there."""
    return sorted((Path(os.environ.get("SWS_DATA", "../shared/data")) / "checkpoints").glob("*.pt"))


def synthetic(count: int) -> Iterator[Workload]:
    for case, density in (("dense, 16 values", 1.0), ("sparse, 8 %", 0.08), ("sparse, 1 %", 0.01)):
        yield Workload(case, {"w": weights(count, density)[0]})
    yield Workload("dense, 256 values, uniform", {"w": uniform(count)})


def networks(paths: list[Path]) -> Iterator[Workload]:
    """A checkpoint whose weights have few values as it is; of a safetensors file of floats the matrices with 16
    values each, after 0, 70 and 90 % were pruned by magnitude.
    """
    for path in paths:
        if path.suffix == ".safetensors":
            arrays = {name: a for name, a in load_file(path).items() if a.dtype.kind == "f"}
            for percent in PRUNED:
                yield Workload(
                    f"{path.stem}, {percent} % pruned",
                    {
                        name: clustered(a, percent) if a.ndim > 1 and a.size >= FEWEST_WEIGHTS else a
                        for name, a in ((name, a.astype(np.float32)) for name, a in arrays.items())
                    },
                )
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
            yield Workload(path.stem, {name: t.float().numpy() for name, t in state.items()})
