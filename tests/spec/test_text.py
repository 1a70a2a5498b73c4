"""What the specification says in numbers is what the reference decoder does."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from craft import BOOK, adaptive, dense, file_, floats, record

import swsfmt
from swsfmt.entropy import adaptive as coder
from swsfmt.entropy.adaptive_model import Model
from swsfmt.errors import PayloadError

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "spec" / "sws-1.0.md").read_text(encoding="utf-8")
sys.path.insert(0, str(ROOT))

from scripts import trace_adaptive  # noqa: E402

reference: Any = trace_adaptive.reference()


def test_traced_example_is_what_the_reference_decoder_does() -> None:
    assert trace_adaptive.example() in TEXT


def test_end_of_the_traced_example() -> None:
    payload = coder.encode(trace_adaptive.SYMBOLS, Model(1, 1, (2, 1), light=True))
    with pytest.MonkeyPatch.context() as patch:
        ends: list[tuple[int, int]] = []
        finish = reference.RangeDecoder.finish
        patch.setattr(
            reference.RangeDecoder, "finish", lambda self: (ends.append((self.low, self.high)), finish(self))[1]
        )
        book = reference.Codebook("F32", [bytes.fromhex(value) for value in trace_adaptive.VALUES])
        reference.Adaptive((2, 3), book, False, True, True, 1, 0).decode(payload)
    assert f"low is {ends[0][0]:08X} and high is {ends[0][1]:08X}" in TEXT
    assert payload[-1:].hex().upper() in TEXT


def test_word_sizes() -> None:
    """The largest values that the rules allow, in the bits that section 6.6 names."""
    weight, value, inputs = 2**20, 3071, 11
    assert weight * value * inputs < 2**36
    e = 65535 * (640 + 7680)
    assert e < 2**30
    assert value * e + 2**25 < 2**41
    assert (2**22 - 1) * (131072 // 3) < 2**38
    assert (2**32 - 1) * 65535 < 2**48


def test_contexts_stay_below_their_slots() -> None:
    """As the tables of section 6.6 count them, over every adaptive vector."""
    zero = [int(n) if n.isdigit() else None for n in re.findall(r"^\| \d \| .* \| (\d+|N) \|$", TEXT, re.MULTILINE)]
    assert len(zero) == 9
    seen: dict[tuple[str, int], int] = {}
    original, live = reference.Model.decide, reference.Adaptive.live
    kinds = {9: "zero", 11: "zero", 6: "value", 10: "value"}
    is_live = False

    def decide_live(*arguments: Any) -> Any:
        nonlocal is_live
        is_live = True
        flags = live(*arguments)
        is_live = False
        return flags

    def decide(self: Any, *contexts: int) -> int:
        kind = "live" if is_live else kinds.get(len(contexts), "")
        for i, context in enumerate(contexts):
            assert context >= 0
            seen[kind, i] = max(seen.get((kind, i), 0), context)
        return int(original(self, *contexts))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference.Model, "decide", decide)
        patch.setattr(reference.Adaptive, "live", decide_live)
        for path in sorted((ROOT / "spec" / "vectors" / "valid").glob("adaptive-*.sws")):
            # That one has the same contexts, half a million times.
            if path.stem != "adaptive-weights":
                reference.decode(path.read_bytes())
    assert all(seen["live", i] < count for i, count in enumerate((8, 36, 81)))
    assert all(seen["zero", i] < count for i, count in enumerate(zero) if count is not None)
    more = [count for i, count in sorted(seen.items()) if i in (("zero", 9), ("zero", 10))]
    assert [count < most for count, most in zip(more, (289, 64), strict=True)] == [True, True]


def test_a_bad_inline_payload_is_a_fault_of_its_tensor_alone() -> None:
    data = file_(
        record("bool", dtype=0, shape=(2,), payload=b"\1\2"),
        dense("dense", dtype=11, payload=b"\xff\xff\xff"),
        adaptive("adaptive", payload=b"\0"),
        record("right", shape=(1,), payload=floats(1)),
        codebooks=[BOOK],
    )
    with swsfmt.safe_open(data) as f:
        np.testing.assert_array_equal(f.get_tensor("right"), np.ones(1, np.float32))
        for name in ("bool", "dense", "adaptive"):
            with pytest.raises(PayloadError) as caught:
                f.get_tensor(name)
            assert caught.value.tensor == name
