"""Settings of the quantiser: files with several values of each, judged by inputs to choose settings by.

    python benchmarks/quantize_settings.py [--fresh] [--only WORD] {damping,rate,data-free}

damping: of the diagonals of the moments of columns and of rows. rate: what a bit is worth in squared steps. data-free:
the powers of the norms of columns and of rows that steps follow, the steps of what makes words and of values. With
statistics they are those of the tables. Two files (profile default) for each value, and the bytes at one error, linear
in its logarithm through both: 1 - cosine of .01, of R-Net a relative error of .05, of SmolLM2-135M a KL divergence of
.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from package_networks import Trained, crepe_tiny, face_rnet, minilm, voice_encoder
from package_smollm2 import gguf_file, model_of, tokenizer_of, windows
from quantize_ablation import moments
from quantize_harness import arguments, cosines, heading, outputs, statistics_of, with_tensors
from quantize_smollm2 import CALIBRATED, compared, distributions, trained_of
from torch import nn

import swsfmt.torch
from sws.quantize import Network, QuantizedModel, data_free
from sws.quantize.matrix import RATE

Error = Callable[[nn.Module], float]
# Windows behind those that calibrate.
CHOOSING = 8
_BEYOND = 1.1


class Judged(NamedTuple):
    """A network, the name of its inputs, two losses to ask for with statistics and two without, and the error that
    files are compared at.
    """

    trained: Trained
    inputs: str
    losses: tuple[float, float]
    losses_without: tuple[float, float]
    error: Error
    wanted: float


class Setting(NamedTuple):
    """A value, and what makes it so while a network is prepared; rate : when it is quantised"""

    name: str
    during: Callable[[], AbstractContextManager[None]]
    rate: float = RATE


@contextmanager
def without_data(*values: float) -> Iterator[None]:
    names = ("COLUMN_POWER", "ROW_POWER", "HEAD_STEP", "VALUE_STEP")
    usual = [getattr(data_free, name) for name in names]
    try:
        for name, value in zip(names, values, strict=True):
            setattr(data_free, name, value)
        yield
    finally:
        for name, value in zip(names, usual, strict=True):
            setattr(data_free, name, value)


@contextmanager
def usual() -> Iterator[None]:
    yield


SETTINGS = {
    "damping": [
        Setting(f"{columns:g}, {rows:g}", partial(moments, (columns, rows), shrinks=True))
        for columns, rows in ((0.02, 0.1), (0.02, 0.03), (0.02, 0.01), (0.02, 0.001), (0.002, 0.1))
    ],
    "rate": [Setting(f"{part:g} ln 2 / 6", usual, part * math.log(2) / 6) for part in (1, 0.5, 0.25, 0)],
    "data-free": [
        Setting(", ".join(f"{value:g}" for value in values), partial(without_data, *values))
        for values in (
            (0.25, 0.5, 0.7, 0.5),
            (0, 0.5, 0.7, 0.5),
            (0.5, 0.5, 0.7, 0.5),
            (0.25, 0.5, 0.5, 0.5),
            (0.25, 0.5, 1, 0.5),
            (0.25, 0.5, 0.7, 1),
        )
    ],
}


def of_vectors(
    make: Callable[[], Trained | None],
    losses: tuple[float, float],
    losses_without: tuple[float, float],
    *,
    is_relative: bool = False,
) -> Judged | None:
    """Judged by cosines of outputs, or by their relative error."""
    trained = make()
    if trained is None:
        return None
    batches = trained.choosing()
    floats = outputs(trained, trained.model, batches)

    def error(model: nn.Module) -> float:
        own = outputs(trained, model, batches)
        return float((own - floats).norm() / floats.norm()) if is_relative else 1 - cosines(floats, own)["cosine"]

    inputs = "other sentences" if "minilm" in trained.name.lower() else "other inputs"
    return Judged(trained, inputs, losses, losses_without, error, 0.05 if is_relative else 0.01)


def smollm2() -> Judged | None:
    path = gguf_file()
    if path is None:
        return None
    model, tokenizer = model_of(path), tokenizer_of(path)
    batches = windows(tokenizer, CALIBRATED + CHOOSING, measuring=False)
    calibration, choosing = batches[: -CHOOSING // 4], batches[-CHOOSING // 4 :]
    trained = trained_of(model, list, lambda: calibration, lambda: choosing)
    with torch.inference_mode():
        floats = [distributions(model, batch) for batch in choosing]

    def error(network: nn.Module) -> float:
        with torch.inference_mode():
            return compared(choosing, floats, (distributions(network, batch) for batch in choosing))["KL"]

    return Judged(trained, "other prose", (0.27, 0.08), (0.4, 0.12), error, 0.1)


NETWORKS: dict[str, Callable[[], Judged | None]] = {
    "voice": partial(of_vectors, voice_encoder, (0.03, 0.01), (0.004, 0.0015)),
    "crepe": partial(of_vectors, crepe_tiny, (0.016, 0.006), (0.1, 0.04)),
    "rnet": partial(of_vectors, face_rnet, (0.008, 0.003), (0.03, 0.008), is_relative=True),
    "minilm": partial(of_vectors, minilm, (0.016, 0.006), (0.04, 0.015)),
    "smollm2": smollm2,
}


def compare(judged: Judged, kind: str, *, fresh: bool) -> None:
    trained = judged.trained
    weights = sum(p.numel() for p in trained.model.parameters())
    statistics = None if kind == "data-free" else statistics_of(trained, judged.inputs, trained.calibration, fresh)
    losses = judged.losses if statistics is not None else judged.losses_without
    heading(trained)
    print(f"| {kind} | bytes: error | | bytes at {judged.wanted:g} |\n|---|---:|---:|---:|", flush=True)
    for setting in SETTINGS[kind]:
        points = []
        with setting.during():
            network = Network(trained.model.state_dict(), statistics)
            for loss in losses:
                made = QuantizedModel(network.quantize(math.sqrt(24 * loss / weights), rate=setting.rate))
                own = with_tensors(trained, made.state_dict(), lambda model: {"error": judged.error(model)})["error"]
                points.append((len(swsfmt.torch.save(made.tensors)), own))
        sizes, logs = np.array([size for size, _ in points]), np.log([own / judged.wanted for _, own in points])
        at = sizes[0] - logs[0] * (sizes[1] - sizes[0]) / (logs[1] - logs[0])
        # Beyond both by little: errors go up and down.
        about = f"{at:,.0f}" if sizes[0] / _BEYOND < at < sizes[1] * _BEYOND else ""
        files = " | ".join(f"{size:,}: {own:.5f}" for size, own in points)
        print(f"| {setting.name} | {files} | {about} |", flush=True)


def main() -> None:
    given = arguments(__doc__, SETTINGS)
    for name, make in NETWORKS.items():
        judged = make() if given.only in name else None
        for kind in given.kinds if judged is not None else []:
            compare(judged, kind, fresh=given.fresh)


if __name__ == "__main__":
    main()
