"""The module in C: see `kernels.Kernels`, which mypy compares this with."""

from .kernels import Bytes, Floats, Integers

def quantize_tile(
    weights: Floats,
    column_factor: Floats,
    row_factor: Floats,
    steps: Floats,
    rates: Floats,
    row_classes: Bytes,
    column_classes: Bytes,
    lengths: Floats,
    zeros: Bytes,
    shape: tuple[int, int, int, int],
    levels: Integers,
    /,
) -> bool: ...
