"""Rules by name: which one counts, and what a mistyped one says."""

from __future__ import annotations

import pytest

from sws.quantize.rules import Rule, resolve
from swsfmt import InputError

NAMES = ["model.embed.weight", "model.fc.weight", "model.fc.bias", "lm_head.weight"]


def test_the_last_rule_counts() -> None:
    chosen = resolve(["*:step=0.5", "*.bias:fp16", "lm_head.*:raw"], NAMES)
    assert {name: str(rule) for name, rule in chosen.items()} == {
        "model.embed.weight": "*:step=0.5",
        "model.fc.weight": "*:step=0.5",
        "model.fc.bias": "*.bias:fp16",
        "lm_head.weight": "lm_head.*:raw",
    }
    assert chosen["model.fc.weight"].factor == 0.5
    assert resolve(["lm_head.*:raw", Rule("*", "fp16")], NAMES)["lm_head.weight"].action == "fp16"
    assert resolve(["*.bias:bf16"], NAMES).keys() == {"model.fc.bias"}


@pytest.mark.parametrize(
    ("rule", "near"),
    [
        ("lm_haed.*:raw", "'lm_head'"),
        ("*.bais:fp16", "'bias'"),
        ("model.fc.wieght:raw", "'model.fc.weight'"),
        ("nothing like it:raw", "'model.embed.weight'"),
    ],
)
def test_a_rule_about_no_tensor_names_what_is_like_it(rule: str, near: str) -> None:
    with pytest.raises(InputError, match="is about no tensor") as error:
        resolve(["*.bias:fp16", rule], NAMES)
    assert near in str(error.value)


@pytest.mark.parametrize(
    "rule", ["raw", ":raw", "a:", "a:rwa", "a:step", "a:step=0", "a:step=x", "a:step=inf", "a:raw=2"]
)
def test_what_is_no_rule(rule: str) -> None:
    with pytest.raises(InputError, match="the rule"):
        resolve([rule], ["a"])
    with pytest.raises(InputError, match="a rule must be"):
        resolve([3], ["a"])  # type: ignore[list-item]
