"""The types whose blocks are not levels and scales: package `gguf` dequantises them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...dtypes import Bits
from ...errors import InputError

_INSTALL = "pip install 'swsfmt[gguf]'"


def sizes(number: int) -> tuple[str, int, int]:
    """Name, elements and bytes of a block of the type of that number. Raises `InputError` for one that is not known."""
    constants = _package(number).constants
    try:
        kind = constants.GGMLQuantizationType(number)
        elements, size = constants.GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError) as error:
        raise InputError(f"type {number} of GGUF is not known to package gguf; a newer one may know it") from error
    return str(kind.name), int(elements), int(size)


def check(number: int, name: str) -> None:
    """Raise `InputError` for a type that cannot be dequantised."""
    try:
        dequantize(np.zeros((1, sizes(number)[2]), np.uint8), number)
    except NotImplementedError as error:
        text = "package gguf does not dequantise it; quantise the model otherwise, with llama-quantize"
        raise InputError(f"this tensor is {name}, and {text}") from error


def dequantize(blocks: Bits, number: int) -> npt.NDArray[np.float32]:
    """The elements of each block."""
    package = _package(number)
    with np.errstate(all="ignore"):
        floats: npt.NDArray[np.float32] = package.quants.dequantize(
            blocks, package.constants.GGMLQuantizationType(number)
        )
    return floats.astype("<f4", copy=False)


def _package(number: int) -> Any:
    try:
        import gguf
    except ImportError as error:
        raise InputError(f"type {number} of GGUF needs package gguf: {_INSTALL}") from error
    return gguf
