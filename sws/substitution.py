"""A network that computes with other values than its parameters hold: masked or quantised ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def substituted(values: Mapping[nn.Parameter, Tensor]) -> Iterator[None]:
    """Within it the parameters have these values; after it their own again, with the gradients that they got.

    The parameters stay the same objects, so that it serves any forward pass, parameters that are shared, and the hooks
    by which several processes add up their gradients. The backward pass belongs inside, too.
    """
    own = {parameter: parameter.data for parameter in values}
    for parameter, value in values.items():
        parameter.data = value
    try:
        yield
    finally:
        for parameter, value in own.items():
            parameter.data = value
