"""Rules by name: which tensors are not quantised like the others, e.g. ``lm_head.*:raw`` or ``*.bias:fp16``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from swsfmt import InputError, arguments

RAW, FP16, BF16, STEP = "raw", "fp16", "bf16", "step"
_FORMS = "raw, fp16, bf16 or step=FACTOR"


@dataclass(frozen=True)
class Rule:
    """What is done with the tensors whose names match a pattern.

    pattern : of names, as in a shell: ``*`` is any text, dots too, ``?`` any letter, ``[abc]`` one of these
    action : "raw", as it is, bit for bit; "fp16" or "bf16", rounded to that; "step", quantised with another step
    factor : of "step": times the network's step; below 1 is finer, and a larger file
    """

    pattern: str
    action: str
    factor: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``PATTERN:ACTION``. Raises `InputError`."""
        arguments.instance(text, str, "a rule", "text such as 'lm_head.*:raw'")
        pattern, colon, action = text.rpartition(":")
        if not colon or not pattern:
            raise InputError(f"the rule {text!r} has no action; write PATTERN:ACTION, where ACTION is {_FORMS}")
        kind, equals, number = action.partition("=")
        if kind == STEP and equals:
            return cls(pattern, STEP, _factor(number, text))
        if equals or kind not in (RAW, FP16, BF16):
            raise InputError(f"the rule {text!r} has an action that does not exist, {action!r}; it is {_FORMS}")
        return cls(pattern, kind)

    def matches(self, name: str) -> bool:
        """Whether it is about the tensor of that name."""
        return fnmatchcase(name, self.pattern)

    def __str__(self) -> str:
        return f"{self.pattern}:{self.action}" + (f"={self.factor:g}" if self.action == STEP else "")


def resolve(rules: Iterable[Rule | str], names: Iterable[str]) -> dict[str, Rule]:
    """The rule of each tensor that has one: of several that match the last one counts.

    names : of all tensors
    Raises `InputError` for a rule that is about no tensor: a name was mistyped, most likely; it says what is like it.
    """
    there = list(names)
    chosen: dict[str, Rule] = {}
    for given in rules:
        rule = given if isinstance(given, Rule) else Rule.parse(given)
        matching = [name for name in there if rule.matches(name)]
        if not matching:
            raise InputError(f"the rule '{rule}' is about no tensor{_near(rule.pattern, there)}")
        chosen |= dict.fromkeys(matching, rule)
    return chosen


def _factor(number: str, text: str) -> float:
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise InputError(f"the rule {text!r} has {number!r} for a factor, it must be a number above 0")
    return factor


def _near(pattern: str, names: list[str]) -> str:
    """Names, or ends of names, that may have been meant."""
    plain = pattern.strip("*?").strip(".")
    # Of a pattern with a star at an end a part of a name was mistyped.
    parts = {".".join(name.split(".")[first:]) for name in names for first in range(name.count(".") + 1)}
    parts |= {".".join(name.split(".")[:last]) for name in names for last in range(1, name.count(".") + 1)}
    close = arguments.near(plain, [*names, *sorted(parts - set(names))])
    return close or f"; there are {arguments.listed(names)}"
