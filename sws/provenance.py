"""What a file says of its network in its metadata, so that it can be used without the recipe that made it.

Every byte of it counts, so that there are four short entries:

model : of `sws.models.MODELS`
data : of `sws.data.DATASETS`
input : how an image becomes input, e.g. pixels/78.5675, each pixel as it is in the dataset divided by that number
made by : the command
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

MODEL, DATA, INPUT, COMMAND = "model", "data", "input", "made by"
_PIXELS = "pixels/"


@dataclass(frozen=True)
class Provenance:
    """The entries; None where there is none. divisor : of the pixels."""

    model: str | None = None
    data: str | None = None
    divisor: float | None = None
    command: str | None = None

    def to_metadata(self) -> dict[str, str]:
        """For `swsfmt.torch.save_model`."""
        divisor = None if self.divisor is None else f"{_PIXELS}{self.divisor:.6g}"
        entries = {MODEL: self.model, DATA: self.data, INPUT: divisor, COMMAND: self.command}
        return {key: value for key, value in entries.items() if value}

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Provenance:
        """From the metadata of any file: what is not understood is None."""
        return cls(
            metadata.get(MODEL), metadata.get(DATA), _divisor(metadata.get(INPUT, "")), metadata.get(COMMAND)
        )  # fmt: skip


def _divisor(text: str) -> float | None:
    try:
        divisor = float(text.removeprefix(_PIXELS)) if text.startswith(_PIXELS) else 0.0
    except ValueError:
        return None
    return divisor if divisor > 0 and math.isfinite(divisor) else None
