"""What a slow coding saves: for reports, which the reading wing makes and which ask this one."""

from __future__ import annotations

from typing import Any

from ..codings import Coding, codings_of
from ..codings.base import Decoded
from ..format.records import Record
from ..format.resources import Resources
from ..tensor import Elements
from .examine import examine, propose, survey
from .file import DEFAULT_OPTIONS


def saved_bytes(record: Record[Coding[Any]], decoded: Decoded) -> int:
    """Bytes that a tensor would take more, about, in the cheapest coding of the profile "default" with its codebook."""
    assert record.info is not None
    elements, quick = Elements(record.info, decoded.bits), codings_of("default")
    codebook = record.coding.codebook(record.params)
    if codebook is None:
        bits = examine(elements, quick).plain.bits
    else:
        freedom, resources = DEFAULT_OPTIONS.freedom(len(record.info.shape)), Resources(codebooks=[codebook])
        bits = propose(record.info, survey(elements, 0, codebook, quick, freedom), 0, resources, freedom).bits
    return -(-bits // 8) - record.params_length - record.payload_length
