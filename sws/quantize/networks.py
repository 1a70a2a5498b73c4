"""Which `Network` a method is, and where a search for its step begins."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from swsfmt import InputError, arguments

from .methods import METHODS
from .methods.network import SimpleNetwork
from .network import Network
from .rules import STEP, Rule, resolve
from .statistics import Statistics
from .targets import BITS, SIZE, Target

FEEDBACK = "feedback"
"""The method of this package; without statistics it is the best that is possible without them."""
NAMES = (FEEDBACK, *METHODS)

# Bits of a Gaussian on a grid of one root mean square, entropy-coded: log2(sqrt(2 pi e)).
_BITS_AT_ONE = 2.05
# Where nothing says where to begin.
_USUAL_BITS = 3.5


@dataclass(frozen=True)
class Plan:
    """How the tensors are quantised, whatever the step.

    method : one of `NAMES`
    rules : by the name of the tensor, resolved
    """

    method: str = FEEDBACK
    rules: Mapping[str, Rule] = field(default_factory=dict)

    @classmethod
    def of(cls, method: str, rules: Iterable[Rule | str], names: Iterable[str]) -> Plan:
        """Raises `InputError` for a method that does not exist and for a rule that is about no tensor."""
        if method not in NAMES:
            raise InputError(f"{arguments.no_such('method', method, NAMES)}; there are {', '.join(NAMES)}")
        return cls(method, resolve(rules, names))

    def network(self, tensors: Mapping[str, Tensor], statistics: Statistics | None = None) -> Network:
        """Raises `InputError` for weights that are infinite or NaN, and statistics of other shapes."""
        own = {name: rule for name, rule in self.rules.items() if name in tensors}
        actions = {name: rule.action for name, rule in own.items() if rule.action != STEP}
        factors = {name: rule.factor for name, rule in own.items() if rule.action == STEP}
        if self.method == FEEDBACK:
            return Network(tensors, statistics, actions, factors)
        return SimpleNetwork(METHODS[self.method], tensors, actions, factors)


def first_step(plan: Plan, target: Target, elements: int, relative: float | None = None) -> float:
    """The step at which a search begins: that of Gaussian weights on grids of one step for each matrix.

    relative : the mean step of matrices at c = 1, in root mean squares of their weights; None where that is 1
    """
    bits = _USUAL_BITS
    if target.kind == SIZE:
        bits = 8 * target.value / max(1, elements)
    elif target.kind == BITS:
        bits = target.value
    return math.exp2(_BITS_AT_ONE - min(max(bits, 0.1), 16.0)) / (relative or 1.0)
