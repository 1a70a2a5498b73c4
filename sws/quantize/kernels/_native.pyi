"""The module in C: see `protocol.Kernels`, which mypy compares this with."""

from .protocol import Bytes, Floats, Integers

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
    shape: tuple[int, int, int, int, int],
    levels: Integers,
    /,
) -> bool: ...
