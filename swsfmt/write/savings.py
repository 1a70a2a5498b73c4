"""What a slow coding saves: for reports, which the reading wing makes and which ask this one."""

from __future__ import annotations

from typing import Any

from ..codings import Coding, codings_of
from ..codings.base import Decoded
from ..format.resources import Resources
from ..tensor import Elements, TensorInfo
from .examine import examine, survey
from .file import DEFAULT_OPTIONS, propose


def saved_bytes(coding: Coding[Any], params: Any, tensor: TensorInfo, decoded: Decoded, payload_length: int) -> int:
    """Bytes that a tensor would take more, about, in the cheapest coding of the profile "fast" with its codebook."""
    elements, fast = Elements(tensor, decoded.bits), codings_of("fast")
    codebook = coding.codebook(params)
    resources = Resources(codebooks=[] if codebook is None else [codebook])
    if codebook is None:
        bits = examine(elements, fast).plain.bits
    else:
        freedom = DEFAULT_OPTIONS.freedom(len(tensor.shape))
        bits = propose(tensor, survey(elements, 0, codebook, fast, freedom), 0, resources, freedom).bits
    return -(-bits // 8) - len(coding.write(params, resources)) - payload_length
