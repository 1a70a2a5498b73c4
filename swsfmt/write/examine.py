"""What is done to a tensor to encode it, in three stages: examine, survey, write.

Each is a function of one tensor and of little else, and gives little back, so that any thread or process can run it.
Between the stages `writer` decides, from what all tensors together have shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .. import dtypes
from ..codings import alias, dense, narrow, raw
from ..codings.adaptive import params as adaptive
from ..codings.adaptive import plan as adaptive_plan
from ..codings.sparse import params as sparse
from ..codings.sparse.analysis import Analysis, analyse
from ..codings.sparse.matrix import matrix_shape
from ..dtypes import Bits, DType
from ..format.checksum import crc32
from ..format.codebook import Codebook
from ..format.index import MAX_INLINE, Draft, Summary
from ..tensor import Elements, Loadable
from .codebook_groups import distinct_values, pays_alone
from .options import Options

Params: TypeAlias = adaptive.Params | alias.Params | dense.Params | narrow.Params | raw.Params | sparse.Params


@dataclass(frozen=True, eq=False)
class Findings:
    """storage : the narrowest type that holds all elements.
    values : the distinct elements but zero, ascending; None where a codebook cannot pay.
    founds : whether a codebook of its own could make the tensor smaller.
    payload : of the tensor as it is, in `storage`; None where it has `values`.
    """

    storage: DType
    values: Bits | None
    founds: bool
    payload: bytes | Summary | None


def examine(tensor: Loadable, *, threads: int = 1) -> Findings:
    """The first stage: can a codebook hold the elements?"""
    elements = tensor.load()
    info = elements.info
    storage = dtypes.storage_for(elements.bits, info.dtype) if info.numel else info.dtype
    values = distinct_values(elements, threads)
    if values is None:
        return Findings(storage, None, False, _plain_payload(elements, storage))
    return Findings(storage, values, pays_alone(info.dtype, values, info.numel * storage.itemsize), None)


@dataclass(frozen=True, eq=False)
class Survey:
    """counts : of the symbols, zero first. analysis : None where the sparse coding cannot pay.
    adaptive : the smallest adaptive form, its payload and its size in bits; None where it is not wanted.
    """

    counts: npt.NDArray[np.int64]
    analysis: Analysis | None
    adaptive: tuple[adaptive.Params, bytes, int] | None = None


def survey(
    tensor: Loadable, number: int, codebook: Codebook, options: Options, small: bool, *, threads: int = 1
) -> Survey:
    """The second stage: how often does each symbol of its codebook occur, and each gap?

    number : of the codebook. small : whether the adaptive coding may be taken.
    """
    elements = tensor.load()
    shape = elements.info.shape
    symbols, counts = codebook.symbols_of(elements.bits, threads)
    info = elements.info
    del elements
    adapted = None
    matrix = symbols.reshape(matrix_shape(shape))
    if small:
        adapted = adaptive_plan.plan(matrix, counts, info, number, codebook, options.light, threads)
    # Where nearly all elements are entries, their gaps alone cost more than the zeros among the symbols.
    if counts[0] * 20 < len(symbols):
        return Survey(counts, None, adapted)
    return Survey(counts, analyse(matrix, counts, options.freedom(len(shape)), threads), adapted)


@dataclass(frozen=True, eq=False)
class Choice:
    """How a tensor is stored. codebook : where the coding has one. payload : where it has been made already."""

    params: Params
    codebook: Codebook | None = None
    payload: bytes | None = None


def write(tensor: Loadable, name: str, choice: Choice, *, threads: int = 1) -> Draft:
    """The third stage: the record, with the payload."""
    params, codebook = choice.params, choice.codebook
    if isinstance(params, sparse.Params) and params.coded is None:
        return Draft(name, sparse.ID, tensor.info, params)
    if choice.payload is not None:
        return Draft(name, adaptive.ID, tensor.info, params, choice.payload)
    elements = tensor.load()
    info = elements.info
    if isinstance(params, raw.Params):
        return Draft(name, raw.ID, info, params, _plain_payload(elements, info.dtype))
    if isinstance(params, narrow.Params):
        return Draft(name, narrow.ID, info, params, _plain_payload(elements, params.storage))
    assert codebook is not None
    symbols, _ = codebook.symbols_of(elements.bits, threads)
    del elements
    if isinstance(params, dense.Params):
        return Draft(name, dense.ID, info, *dense.encode(params, symbols, threads))
    assert isinstance(params, sparse.Params)
    return Draft(name, sparse.ID, info, *sparse.encode(params, symbols.reshape(matrix_shape(info.shape)), threads))


def plain_pieces(tensor: Loadable, storage: DType) -> Iterator[memoryview]:
    """The payload of a tensor as it is, in `storage`."""
    elements = tensor.load()
    for block in dtypes.narrowed(elements.bits, elements.info.dtype, storage):
        yield np.ascontiguousarray(block).view(np.uint8).data


def _plain_payload(elements: Elements, storage: DType) -> bytes | Summary:
    """It is not kept: it can be had from the tensor again."""
    length = elements.info.numel * storage.itemsize
    pieces = plain_pieces(elements, storage)
    if length <= MAX_INLINE:
        return b"".join(pieces)
    crc = 0
    for piece in pieces:
        crc = crc32(piece, crc)
    return Summary(length, crc)
