"""Where every byte of a file went, and whether it is whole. The ratio is dense bytes over the size of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..codings.base import Decoded, Description
from ..codings.composite import Composite
from ..dtypes import count_negative_zeros
from ..format.sections import Section, Span
from ..parallel import team_of, thread_count
from .reader import Reader, Record

Savings: TypeAlias = Callable[[Record, Decoded], int]
"""Takes a record and what it was decoded to; gives `saved_bytes`."""


@dataclass(frozen=True)
class TensorReport:
    """One tensor. All sizes in bytes unless the name says bits.

    dtype : registry name; None for an unknown one
    alias_of : name of the tensor that this one is
    dense_bytes : elements in their own dtype; 0 for an alias, which counts with its target, and for an unknown coding
    file_bytes : record and payload; codebooks and header belong to the whole file
    sections, section_bits : the same by section, in bytes (they sum up to file_bytes) and in exact bits
    nonzero : number of elements with a bit set; None if the tensor was not decoded (unknown coding, limits)
    gaps : number of symbols in the gap stream, skips included; None if there is none
    negative_zeros : number of elements that are -0.0, which the codebook holds beside 0.0; None without codebook
    saved_bytes : what a coding of the profile "small" saves against the cheapest one of "default", about (they may
        share tables and bitmaps with other tensors, which is not counted); None for other codings
    pbits : width of the relative indices; None if there are none
    parts : of a coding whose records hold others, each with its `name`, `dtype`, `shape`, `coding`, `payload_bytes` and
        `parts`
    """

    name: str
    dtype: str | None
    shape: list[int]
    coding: str
    alias_of: str | None
    dense_bytes: int
    file_bytes: int
    sections: dict[str, int]
    section_bits: dict[str, int]
    nonzero: int | None
    gaps: int | None = None
    pbits: int | None = None
    scan: str | None = None
    saved_bytes: int | None = None
    negative_zeros: int | None = None
    parts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def ratio(self) -> float | None:
        """Dense bytes over the bytes of this tensor's record and payload; None for an alias and an unknown coding."""
        return self.dense_bytes / self.file_bytes if self.nonzero is not None else None

    @property
    def sparsity(self) -> float | None:
        """Part of the elements that have no bit set."""
        numel = self.numel
        if self.nonzero is None or numel == 0:
            return None
        return 1 - self.nonzero / numel

    def to_json(self) -> dict[str, Any]:
        """An entry of `tensors` in what `Report.to_json` gives."""
        # Not `asdict`: its deep copies take longer than all else that is done for a small tensor.
        own = {"shape": list(self.shape), "sections": dict(self.sections), "section_bits": dict(self.section_bits)}
        own["parts"] = [dict(part) for part in self.parts]
        return {**vars(self), **own, "ratio": self.ratio, "sparsity": self.sparsity}


@dataclass(frozen=True)
class Report:
    """A whole file. `sections` sum up to `file_bytes`, the size on disk; `ratio` is dense_bytes / file_bytes."""

    file: str | None
    version: str
    file_bytes: int
    dense_bytes: int
    ratio: float
    sections: dict[str, int]
    metadata: dict[str, str]
    tensors: list[TensorReport]

    def to_json(self) -> dict[str, Any]:
        """What `sws inspect --json` and `sws verify --json` print, keys as documented in the README."""
        out = {**vars(self), "sections": dict(self.sections), "metadata": dict(self.metadata)}
        out["tensors"] = [tensor.to_json() for tensor in self.tensors]
        return out


class Account(NamedTuple):
    """What a report needs of a decoded tensor. nonzero : elements with a bit set. gap_symbols, spans : as in `Decoded`.
    saved_bytes, negative_zeros : as in `TensorReport`.
    """

    nonzero: int
    gap_symbols: int | None
    spans: list[Span]
    saved_bytes: int | None = None
    negative_zeros: int | None = None


def account(record: Record, decoded: Decoded, savings: Savings | None = None) -> Account:
    """Look at the elements, which can then be forgotten."""
    saved = None if savings is None or record.coding.is_fast else savings(record, decoded)
    spans = _payload_spans(record, decoded)
    codebook = record.coding.codebook(record.params)
    zeros = None if codebook is None else count_negative_zeros(decoded.bits, codebook.dtype, codebook.values)
    return Account(_count_nonzero(decoded.bits, record), decoded.gap_symbols, spans, saved, zeros)


def report(
    reader: Reader,
    known: Mapping[str, Account] | None = None,
    threads: int | None = None,
    *,
    savings: Savings | None = None,
) -> Report:
    """The report on an open file.

    known : the accounts of tensors that need not be decoded again, by name
    Tensors are decoded in their order up to `max_decoded_bytes`. Those behind are listed undecoded: their payloads
    count as raw, and `nonzero` is None.
    savings : the write side has it, `swsfmt.write.savings.saved_bytes`; None leaves `saved_bytes` out
    """
    threads = thread_count(threads)
    with team_of(threads):
        return _report(reader, known or {}, threads, savings)


def _report(reader: Reader, known: Mapping[str, Account], threads: int, savings: Savings | None) -> Report:
    names = [str(section) for section in Section.all()]
    of_file, of_records = _by_record(reader.prefix_spans(), len(reader.records))
    sections = _sums(names, of_file)[0]
    tensors = []
    left = reader.limits.max_decoded_bytes
    for record, spans in zip(reader.records, of_records, strict=True):
        own = None
        if record.target is None:
            own = known.get(record.name)
            if own is None and record.is_known and record.info is not None:
                left -= record.info.nbytes
                if left >= 0:
                    own = account(record, reader.decode(record, threads), savings)
            spans += _payload_spans(record, None) if own is None else own.spans
        tensor = _tensor(reader, record, _sums(names, spans), own)
        for name, count in tensor.sections.items():
            if count:
                sections[name] += count
        tensors.append(tensor)
    size = reader.source.size
    dense = sum(tensor.dense_bytes for tensor in tensors)
    return Report(
        file=reader.source.name,
        version="{}.{}".format(*reader.layout.version),
        file_bytes=size,
        dense_bytes=dense,
        ratio=dense / size,
        sections=sections,
        metadata=reader.metadata,
        tensors=tensors,
    )


def _sums(sections: list[str], spans: list[Span]) -> tuple[dict[str, int], dict[str, int]]:
    """The bytes and the bits of each section together, 0 for those that there are none of."""
    in_bytes = dict.fromkeys(sections, 0)
    in_bits = in_bytes.copy()
    for section, start, end, _ in spans:
        # As `Span.bytes`.
        in_bytes[section] += -(-end // 8) - -(-start // 8)
        in_bits[section] += end - start
    return in_bytes, in_bits


def _payload_spans(record: Record, decoded: Decoded | None) -> list[Span]:
    """Where the bits of a payload go, in bits of the file. decoded : None: all of it is raw."""
    if record.coding.is_composite:
        parts = record.parts
        of_parts = [None] * len(parts) if decoded is None else decoded.parts
        return [span for part, own in zip(parts, of_parts, strict=True) for span in _payload_spans(part, own)]
    base, end = 8 * record.offset, 8 * (record.offset + record.payload_length)
    if decoded is None:
        return [Span(Section.RAW, base, end)]
    spans = [Span(span.section, base + span.start, base + span.end) for span in decoded.spans]
    # The last one is drawn out over the padding bits.
    return [*spans[:-1], Span(spans[-1].section, spans[-1].start, end)] if spans else spans


def _by_record(spans: list[Span], records: int) -> tuple[list[Span], list[list[Span]]]:
    """Those of the whole file, and those of each record but its payload."""
    of_file: list[Span] = []
    groups: list[list[Span]] = [[] for _ in range(records)]
    for span in spans:
        if span.record is None:
            of_file.append(span)
        elif span.section is not Section.RAW:
            groups[span.record].append(span)
    return of_file, groups


def _count_nonzero(bits: np.ndarray[Any, Any], record: Record) -> int:
    itemsize = record.info.dtype.itemsize if record.info is not None else 1
    if itemsize > 8:
        return int(np.count_nonzero(bits.reshape(-1, itemsize).any(axis=1)))
    return int(np.count_nonzero(bits))


def _tensor(
    reader: Reader, record: Record, sums: tuple[dict[str, int], dict[str, int]], account: Account | None
) -> TensorReport:
    """sums : bytes and bits of each section"""
    target = reader.resolve(record)
    is_tied = target is not record
    info = target.info
    description = record.coding.describe(record.params) if record.coding.is_known and not is_tied else Description()
    return TensorReport(
        name=record.name,
        dtype=info.dtype.name if info is not None else None,
        shape=list(info.shape) if info is not None else [],
        coding=record.coding.name,
        alias_of=target.name if is_tied else None,
        dense_bytes=info.nbytes if info is not None and target.coding.is_known and not is_tied else 0,
        file_bytes=sum(sums[0].values()),
        sections=sums[0],
        section_bits=sums[1],
        nonzero=account.nonzero if account else None,
        gaps=account.gap_symbols if account else None,
        pbits=description.pbits,
        scan=description.scan,
        saved_bytes=account.saved_bytes if account else None,
        negative_zeros=account.negative_zeros if account else None,
        parts=_parts(record),
    )


def _parts(record: Record) -> list[dict[str, Any]]:
    """What `TensorReport.parts` says of the parts of a record."""
    if not isinstance(record.coding, Composite) or not record.is_known:
        return []
    return [
        {
            "name": name,
            "dtype": part.info.dtype.name if part.info is not None else None,
            "shape": list(part.info.shape) if part.info is not None else [],
            "coding": part.coding.name,
            "payload_bytes": part.payload_length,
            "parts": _parts(part),
        }
        for name, part in zip(record.coding.part_names(record.params), record.parts, strict=True)
    ]
