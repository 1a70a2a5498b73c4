"""Which `Network` a method is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from swsfmt import InputError, arguments

from .methods import METHODS
from .methods.network import SimpleNetwork
from .network import Network
from .rules import STEP, Rule, resolve
from .statistics import Statistics

FEEDBACK = "feedback"
"""The method of this package; without statistics it is the best that is possible without them."""
NAMES = (FEEDBACK, *METHODS)
MOST_PATHS = 64


@dataclass(frozen=True)
class Plan:
    """How the tensors are quantised, whatever the step.

    method : one of `NAMES`
    rules : by the name of the tensor, resolved
    paths : how many ways to round a row are kept, see `matrix.quantize_matrix`; the other methods know of none
    sizes : of matrices of a network that is not there as a whole, see `data_free.sizes`; None where it is
    """

    method: str = FEEDBACK
    rules: Mapping[str, Rule] = field(default_factory=dict)
    paths: int = 1
    sizes: Mapping[str, float] | None = None

    @classmethod
    def of(cls, method: str, rules: Iterable[Rule | str], names: Iterable[str], paths: int = 1) -> Plan:
        """Raises `InputError` for a method that does not exist, for a rule that is about no tensor, for `paths` that
        are not 1 to 64.
        """
        if not 1 <= paths <= MOST_PATHS:
            raise InputError(f"paths is {paths}, it must be 1 to {MOST_PATHS}")
        if method not in NAMES:
            raise InputError(f"{arguments.no_such('method', method, NAMES)}; there are {', '.join(NAMES)}")
        return cls(method, resolve(rules, names), paths)

    def network(self, tensors: Mapping[str, Tensor], statistics: Statistics | None = None) -> Network:
        """Raises `InputError` for weights that are infinite or NaN, and statistics of other shapes."""
        own = {name: rule for name, rule in self.rules.items() if name in tensors}
        actions = {name: rule.action for name, rule in own.items() if rule.action != STEP}
        factors = {name: rule.factor for name, rule in own.items() if rule.action == STEP}
        if self.method == FEEDBACK:
            return Network(tensors, statistics, actions, factors, self.paths, self.sizes)
        return SimpleNetwork(METHODS[self.method], tensors, actions, factors)
