"""What each idea of the adaptive coder is worth: bytes of the coded weights with one of them left out at a time.

    python benchmarks/adaptive_ablation.py [CHECKPOINT ...]        (default: the *.pt files of $SWS_DATA/checkpoints)

It runs the coder in Python, which can be changed, and so takes some minutes. No layer has classes as contexts, which
gain some bytes here. Scan and stride of each layer are those
that the encoder chose, but where a row says otherwise. spec/rationale.md quotes this table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import torch

import swsfmt.torch
from swsfmt.codings.matrix import matrix_shape
from swsfmt.entropy.adaptive import Model, Symbols
from swsfmt.entropy.twin import adaptive as coder
from swsfmt.read.reader import Reader

ZERO = (
    "elements to the left and a stride before",
    "density of column and line",
    "the column itself",
    "nothing (order 0)",
    "entries of neighbouring columns, neighbours that are entries",
    "entries of the columns a stride away",
    "entries of the line so far",
    "distance from the last entry",
    "age of the column's last entry",
)
VALUE = (
    "kind to the left",
    "kind a stride before",
    "nothing (order 0)",
    "kind above",
    "kind diagonally a stride before",
    "signs of six neighbours",
)


@dataclass(frozen=True)
class Layer:
    symbols: Symbols
    model: Model


class Without(coder.Mixer):
    """A mixer of `inputs` contexts that lacks one of them."""

    inputs = 0
    left_out = 0

    def __init__(self, sizes: Sequence[int]) -> None:
        self.drop = len(sizes) == self.inputs
        super().__init__(self._rest(sizes))

    def _rest(self, contexts: Sequence[int]) -> list[int]:
        return [c for i, c in enumerate(contexts) if not (self.drop and i == self.left_out)]

    def code(self, where: coder.Encoder, contexts: Sequence[int], bit: int) -> int:
        return super().code(where, self._rest(contexts), bit)


class FixedWeights(coder.Mixer):
    """Weights stay as they are at first."""

    def code(self, where: coder.Encoder, contexts: Sequence[int], bit: int) -> int:
        bit = super().code(where, contexts, bit)
        self.weights = [81920 // len(self.weights)] * len(self.weights)
        return bit


@contextmanager
def mixer(kind: type[coder.Mixer]) -> Iterator[None]:
    with patch.object(coder, "Mixer", kind):
        yield


def without(inputs: int, left_out: int) -> type[coder.Mixer]:
    return type("Without", (Without,), {"inputs": inputs, "left_out": left_out})


Variant = tuple[str, Callable[[ExitStack], None], Callable[[Layer], Layer]]


def variants() -> Iterator[Variant]:
    """Name, what is patched, and what is done to a layer."""
    same: Callable[[Layer], Layer] = lambda layer: layer  # noqa: E731
    yield "as it is", lambda stack: None, same
    yield (
        "light set of contexts",
        lambda stack: None,
        lambda layer: Layer(layer.symbols, replace(layer.model, light=True)),
    )
    yield (
        "no strides",
        lambda stack: None,
        lambda layer: Layer(layer.symbols, replace(layer.model, stride=1, line_stride=1)),
    )
    yield (
        "no live flags",
        lambda stack: stack.enter_context(patch.object(coder, "code_live", lambda c, live, stride: [1] * len(live))),
        same,
    )
    yield "weights do not learn", lambda stack: stack.enter_context(mixer(FixedWeights)), same
    yield "slots forget fast (limit 30)", lambda stack: stack.enter_context(patch.object(coder, "_LIMIT", 30)), same
    for names, what in ((ZERO, "zero flag"), (VALUE, "value")):
        for i, name in enumerate(names):
            kind = without(len(names), i)
            yield f"{what}, without: {name}", lambda stack, kind=kind: stack.enter_context(mixer(kind)), same


def layers(path: Path) -> list[Layer]:
    """The weight matrices that the encoder codes adaptively, as it reads them."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    out = []
    with Reader.open(swsfmt.torch.save(state.get("state_dict", state), profile="small", contexts="full")) as reader:
        for record in reader.records:
            if record.coding.name != "adaptive" or record.info is None or len(record.info.shape) < 2:
                continue
            bits = reader.decode(record).bits
            symbols = record.params.codebook.symbols_of(bits)[0].reshape(matrix_shape(record.info.shape))
            out.append(Layer(symbols.T if record.params.scan else symbols, record.params.model(None)))
    return out


def size(layer: Layer) -> int:
    return len(coder.encode(layer.symbols.tolist(), layer.model))


def main() -> None:
    default = Path(os.environ.get("SWS_DATA", "../shared/data")) / "checkpoints"
    paths = [Path(name) for name in sys.argv[1:]] or sorted(default.glob("*.pt"))
    nets = {path.stem: found for path in paths if (found := layers(path))}
    if not nets:
        sys.exit("no checkpoint with quantised weights: name some, or set SWS_DATA")
    print("bytes of the coded weights, without parameters | " + " | ".join(nets))
    for name, change, prepare in variants():
        with ExitStack() as stack:
            change(stack)
            sizes = [sum(size(prepare(layer)) for layer in net) for net in nets.values()]
        print(f"{name} | " + " | ".join(f"{n:,}" for n in sizes), flush=True)


if __name__ == "__main__":
    main()
