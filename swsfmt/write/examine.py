"""What is done to one tensor to encode it: examine, survey, write.

Each is a function of one tensor and of little else, and gives little back, so that any thread or process can run it.
Between them `file` decides, from what all tensors together have shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..codings.base import Coding, Freedom, Proposal, Split, SymbolMatrix
from ..codings.composite import Structured, checksum
from ..codings.matrix import matrix_shape
from ..codings.sampling import Sampled
from ..dtypes import count_negative_zeros
from ..format.codebook import Codebook
from ..format.records import MAX_DEPTH, Draft
from ..format.resources import Resources
from ..tensor import Elements, Loadable, TensorInfo
from .codebook_groups import own_bits, own_codebook, pays_alone

# Where a codebook has no more values than this, no parts are smaller than its symbols: but for a sparse tensor of which
# most values occur once.
_FEW = 256

# Of more values only the codings that are slow can make less than Huffman codes do.
_MANY = 1 << 10

# Fewer elements cannot save what parts take more, or only a few bytes.
_LEAST = 256
# Parts may take less than was thought, by about 1 / 2**5: their estimates know of no contexts and classes.
_SURPRISE = 5

Codings: TypeAlias = Sequence[Coding[Any]]


class Examination(NamedTuple):
    """own : the codebook that it would have alone, empty for zeros; None where a codebook cannot pay.
    founds : whether a codebook of its own could make the tensor smaller.
    plain : the cheapest way to store it without a codebook; with its payload where it has no codebook and no split.
    negative_zeros : how many elements are -0.0; counted where there is a codebook.
    split : how it is taken apart, where that is smaller, about, than `plain`, and than `alone`
    crc : CRC-32 of the elements, where there is a split
    alone : what it takes with a codebook of its own, in bits, where there are both a split and a codebook
    """

    own: Codebook | None
    founds: bool
    plain: Proposal
    negative_zeros: int = 0
    split: Split | None = None
    crc: int = 0
    alone: int | None = None

    @property
    def whole_bits(self) -> int:
        """What it takes where it is not taken apart, in bits, about."""
        return self.plain.bits if self.alone is None else min(self.plain.bits, self.alone)

    @classmethod
    def of_parts(cls, tensor: Structured) -> Examination:
        """Of a tensor that comes in parts: no other way is smaller."""
        split = Split(tensor.coding, tensor.params, 0)
        return cls(None, False, Proposal(tensor.coding, tensor.params, sys.maxsize), split=split)


_FREE = Freedom()


def examine(
    tensor: Loadable, codings: Codings, depth: int = 0, freedom: Freedom = _FREE, *, threads: int = 1
) -> Examination:
    """How large is a tensor without a codebook, can a codebook hold its elements, and may it be taken apart?

    depth : 0 for a tensor, 1 for a part of one, and so on
    """
    elements = tensor.load()
    own = own_codebook(elements, threads) if any(coding.has_symbols for coding in codings) else None
    plain = cheapest([coding.propose_plain(elements, own) for coding in codings])
    split = None if depth == MAX_DEPTH else cheapest_split(elements, own, plain, codings)
    if split is not None and own is None:
        return Examination(None, False, plain, split=split, crc=checksum(elements))
    if own is not None:
        negative_zeros = count_negative_zeros(elements.bits, elements.info.dtype, own.values)
        examination = Examination(own, pays_alone(own, plain.bits), plain, negative_zeros)
        about = 0 if split is None else own_bits(elements, own)
        if split is None or about + (about >> _SURPRISE) <= split.bits:
            return examination
        is_dense = 2 * np.count_nonzero(elements.bits) > elements.info.numel
        if own.count > _MANY and is_dense and all(coding.is_fast for coding in codings):
            # Nothing but Huffman codes serves so many.
            alone = about
        else:
            alone = alone_bits(elements, own, codings, freedom, threads)
        if alone + (alone >> _SURPRISE) <= split.bits:
            return examination
        return examination._replace(split=split, crc=checksum(elements), alone=alone)
    if plain.payload is None:
        params, payload = plain.coding.encode(plain.params, elements, threads)
        plain = plain._replace(params=params, payload=payload)
    return Examination(None, False, plain)


def cheapest_split(elements: Elements, own: Codebook | None, plain: Proposal, codings: Codings) -> Split | None:
    """The smallest one, where it is smaller than the tensor is without a codebook, and with one of its own."""
    if elements.info.numel < _LEAST:
        return None
    if own is not None and own.count <= _FEW and not _may_be_packed(elements.info, own):
        entries = int(np.count_nonzero(elements.bits))
        if 2 * entries > elements.info.numel or 2 * own.count < entries:
            return None
    sampled = Sampled(elements.info, elements.bits)
    splits = [split for coding in codings if (split := coding.propose_split(sampled)) is not None]
    split = min(splits, key=_bits, default=None)
    return None if split is None or split.bits >= plain.bits else split


def _may_be_packed(info: TensorInfo, own: Codebook) -> bool:
    """Whether bytes may hold two integers each."""
    return info.dtype.name in ("U8", "I8") and len(info.shape) > 1 and own.count > _FEW // 2


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


def alone_bits(elements: Elements, own: Codebook, codings: Codings, freedom: Freedom, threads: int) -> int:
    """What a tensor takes with a codebook of its own, in bits: in the cheapest coding, and the codebook."""
    resources = Resources(codebooks=[own])
    surveyed = survey(elements, 0, own, codings, freedom, threads=threads)
    return propose(elements.info, surveyed, 0, resources, freedom).bits + 8 * len(own.to_bytes())


def propose(info: TensorInfo, survey: Survey, book: int, resources: Resources, freedom: Freedom) -> Proposal:
    """The cheapest coding of those that were surveyed, with codebook number `book`."""
    proposals = [coding.propose(own, info, book, resources, freedom) for coding, own in survey]
    best = cheapest(proposals)
    if best.unshared is None:
        return best
    # Between those that leave nothing to share, that is no matter.
    alone = [proposal for proposal in proposals if proposal is not None and proposal.unshared is not None]
    return min(alone, key=lambda proposal: proposal.bits - (proposal.unshared or 0))


def cheapest(proposals: Iterable[Proposal | None]) -> Proposal:
    """The first of those with the fewest bits; None is no proposal."""
    return min([proposal for proposal in proposals if proposal is not None], key=_bits)


_bits = attrgetter("bits")


def write(tensor: Loadable, name: str, choice: Proposal, *, threads: int = 1) -> Draft[Coding[Any]]:
    """The record of a tensor, with the payload."""
    params, payload = choice.params, choice.payload
    if payload is None:
        params, payload = choice.coding.encode(params, tensor, threads)
    return Draft(name, choice.coding, tensor.info, params, payload, tensor=tensor)
