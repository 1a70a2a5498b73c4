"""Print the example of section 6.7 of the specification: a small adaptive payload, as the reference decoder reads it.

`python scripts/trace_adaptive.py`. A test checks that the specification has what this prints.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from swsfmt.entropy import adaptive
from swsfmt.entropy.adaptive_model import Model

ROOT = Path(__file__).resolve().parent.parent
# Of a codebook of 0.25, 1 and -0.5: two values of sign 0 and one of sign 1.
SYMBOLS = np.array([[0, 1, 0], [0, 3, 2]], np.uint16)
VALUES = ("00000000", "0000803e", "0000803f", "000000bf")
MODELS = ("live place", "live line", "zero flag", "value")


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("traced_decoder", ROOT / "spec" / "reference_decoder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def trace(payload: bytes) -> tuple[list[str], bytes]:
    """The rows of the table, and the elements, as a fresh copy of the reference decoder has them."""
    decoder = reference()
    rows: list[str] = []
    models: list[object] = []

    class Traced(decoder.Model):  # type: ignore[name-defined, misc]
        def decide(self, *contexts: int) -> int:
            if self not in models:
                models.append(self)
            coder, inputs = self.coder, len(self.slots)
            low, high, sent = coder.low, coder.high, len(coder.sent)
            splits: list[int] = []
            decide = coder.decide
            coder.decide = lambda p: (splits.append(p), decide(p))[1]
            bit = super().decide(*contexts)
            del coder.decide
            (p,) = splits
            m = low + ((high - low) * p >> 16)
            what = MODELS[self.number]
            shown = ", ".join(map(str, contexts[:inputs]))
            out = " ".join(f"`{byte:02X}`" for byte in coder.sent[sent:])
            rows.append(f"| {what} | {shown} | {p} | {low:08X} | {high:08X} | {m:08X} | {bit} | {out} |")
            return int(bit)

        def __init__(self, coder: object, inputs: int) -> None:
            super().__init__(coder, inputs)
            self.number = next(numbers)

    numbers: Iterator[int] = iter(range(len(MODELS)))
    decoder.Model = Traced
    book = decoder.Codebook("F32", [bytes.fromhex(value) for value in VALUES])
    form = decoder.Adaptive(SYMBOLS.shape, book, False, True, True, 1, 0)
    return rows, form.decode(payload)


def example() -> str:
    """The table in Markdown."""
    payload = adaptive.encode(SYMBOLS, Model(1, 1, (2, 1), light=True))
    rows, elements = trace(payload)
    assert elements == b"".join(bytes.fromhex(VALUES[symbol]) for symbol in SYMBOLS.reshape(-1))
    head = ["| decision | contexts | p | low | high | m | bit | bytes out |", "|---|---|---:|---|---|---|---|---|"]
    return "\n".join([f"Payload: `{payload.hex(' ').upper()}`.", "", *head, *rows])


if __name__ == "__main__":
    print(example())
