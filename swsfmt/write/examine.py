"""What is done to one tensor to encode it: examine, survey, write.

Each is a function of one tensor and of little else, and gives little back, so that any thread or process can run it.
Between them `file` decides, from what all tensors together have shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from ..codings.base import Coding, Freedom, Proposal, SymbolMatrix
from ..codings.matrix import matrix_shape
from ..dtypes import count_negative_zeros
from ..format.codebook import Codebook
from ..format.records import Draft
from ..tensor import Loadable
from .codebook_groups import own_codebook, pays_alone

Codings: TypeAlias = Sequence[Coding[Any]]


class Examination(NamedTuple):
    """own : the codebook that it would have alone, empty for zeros; None where a codebook cannot pay.
    founds : whether a codebook of its own could make the tensor smaller.
    plain : the cheapest way to store it without a codebook; with its payload where it has no codebook.
    negative_zeros : how many elements are -0.0; counted where there is a codebook.
    """

    own: Codebook | None
    founds: bool
    plain: Proposal
    negative_zeros: int = 0


def examine(tensor: Loadable, codings: Codings, *, threads: int = 1) -> Examination:
    """How large is a tensor without a codebook, and can a codebook hold its elements?"""
    elements = tensor.load()
    own = own_codebook(elements, threads)
    plain = cheapest([coding.propose_plain(elements, own) for coding in codings])
    if own is not None:
        negative_zeros = count_negative_zeros(elements.bits, elements.info.dtype, own.values)
        return Examination(own, pays_alone(own, plain.bits), plain, negative_zeros)
    if plain.payload is None:
        params, payload = plain.coding.encode(plain.params, elements, threads)
        plain = plain._replace(params=params, payload=payload)
    return Examination(None, False, plain)


Survey: TypeAlias = list[tuple[Coding[Any], Any]]
"""What each coding that could store the tensor has to know to propose itself."""


def survey(
    tensor: Loadable, number: int, codebook: Codebook, codings: Codings, freedom: Freedom, *, threads: int = 1
) -> Survey:
    """What is there to be known of a tensor as symbols of a codebook? number : of the codebook."""
    elements = tensor.load()
    info = elements.info
    symbols, counts = codebook.symbols_of(elements.bits, threads)
    del elements
    matrix = SymbolMatrix(info, number, codebook, symbols.reshape(matrix_shape(info.shape)), counts)
    surveys = [(coding, coding.survey(matrix, freedom, threads)) for coding in codings]
    return [(coding, own) for coding, own in surveys if own is not None]


def cheapest(proposals: Iterable[Proposal | None]) -> Proposal:
    """The first of those with the fewest bits; None is no proposal."""
    return min([proposal for proposal in proposals if proposal is not None], key=_bits)


_bits = attrgetter("bits")


def write(tensor: Loadable, name: str, choice: Proposal, *, threads: int = 1) -> Draft[Coding[Any]]:
    """The record of a tensor, with the payload."""
    params, payload = choice.params, choice.payload
    if payload is None:
        params, payload = choice.coding.encode(params, tensor, threads)
    return Draft(name, choice.coding, tensor.info, params, payload)
