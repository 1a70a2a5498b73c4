"""Where every byte of a file went, and whether it is whole. The ratio is dense bytes over the size of the file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import codings
from ..codings import alias
from ..codings.adaptive import params as adaptive
from ..codings.common import Decoded, Resources
from ..codings.sparse import params as sparse
from ..errors import UnknownCodingError
from ..format.index import Record
from ..format.sections import Section, Span
from ..limits import DEFAULT_LIMITS, Limits
from ..parallel import thread_count
from ..tensor import Elements
from ..write.examine import survey
from ..write.file import DEFAULT_OPTIONS, cheapest_huffman
from .reader import Reader
from .source import File


@dataclass(frozen=True)
class TensorReport:
    """One tensor. All sizes in bytes unless the name says bits.

    dtype : registry name; None for an unknown one
    alias_of : name of the tensor that this one is
    dense_bytes : elements in their own dtype; 0 for an alias, which counts with its target, and for an unknown coding
    file_bytes : record and payload; codebooks and header belong to the whole file
    sections, section_bits : the same by section, in bytes (they sum up to file_bytes) and in exact bits
    nonzero : number of elements with a bit set; None if the tensor was not decoded
    gaps : number of symbols in the gap stream, skips included; None if there is none
    saved_bytes : what the adaptive coding saves against the cheapest of the others, about (they may share tables and
        bitmaps with other tensors, which is not counted); None for other codings
    pbits : width of the relative indices; None if there are none
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
        if self.nonzero is None or self.numel == 0:
            return None
        return 1 - self.nonzero / self.numel


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
        out = asdict(self)
        for tensor, entry in zip(self.tensors, out["tensors"], strict=True):
            entry["ratio"] = tensor.ratio
            entry["sparsity"] = tensor.sparsity
        return out


def inspect(file: File, *, threads: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Report:
    """Account for every byte of a file. Decodes every tensor to do so, one at a time.

    threads : for decoding the chunks of large tensors; None for as many as there are processors.
    Raises `FormatError` for a damaged file. A tensor with an unknown coding is listed, its payload counted as raw.
    """
    with Reader.open(file, limits) as reader:
        return report(reader, threads=threads)


def verify(file: File, *, threads: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Report:
    """Check every checksum and decode everything; return the same report as `inspect`.

    threads : as for `inspect`
    Raises `FormatError` for a damaged file and `UnknownCodingError` for a tensor that cannot be checked.
    """
    with Reader.open(file, limits) as reader:
        for record in reader.records:
            if record.params is None:
                reader.decode(record)
        return report(reader, threads=threads)


class Account(NamedTuple):
    """What a report needs of a decoded tensor. nonzero : elements with a bit set. gap_symbols, spans : as in `Decoded`.
    saved_bytes : as in `TensorReport`.
    """

    nonzero: int
    gap_symbols: int | None
    spans: list[Span]
    saved_bytes: int | None = None


def account(record: Record, decoded: Decoded) -> Account:
    """Look at the elements, which can then be forgotten."""
    saved = None
    if record.coding == adaptive.ID and record.info is not None:
        params = record.params
        elements = Elements(record.info, decoded.bits)
        found = survey(elements, 0, params.codebook, DEFAULT_OPTIONS, small=False)
        resources = Resources(codebooks=[params.codebook])
        _, bits = cheapest_huffman(record.info, found, 0, resources, DEFAULT_OPTIONS)
        saved = -(-bits // 8) - len(adaptive.write(params)) - record.payload_length
    return Account(_count_nonzero(decoded.bits, record), decoded.gap_symbols, decoded.spans, saved)


def report(reader: Reader, known: Mapping[str, Account] | None = None, threads: int | None = None) -> Report:
    """The report on an open file. known : the accounts of tensors that need not be decoded again, by name."""
    threads = thread_count(threads)
    spans = [span for span in reader.layout.spans if span.section != Section.RAW]
    facts: dict[int, Account] = {}
    for number, record in enumerate(reader.records):
        if record.coding == alias.ID:
            continue
        try:
            found = (known or {}).get(record.name) or account(record, reader.decode(record, threads))
        except UnknownCodingError:
            own = reader.opaque(record)
        else:
            facts[number], own = found, found.spans
        spans += [Span(span.section, span.start, span.end, number) for span in _covered(own, record)]
    spans.sort(key=lambda span: span.start)
    size = reader.source.size
    tensors = [
        _tensor(reader, number, [s for s in group if s.bits], facts.get(number))
        for number, group in enumerate(_by_record(spans, len(reader.records)))
    ]
    dense = sum(tensor.dense_bytes for tensor in tensors)
    return Report(
        file=reader.source.name,
        version="{}.{}".format(*reader.layout.version),
        file_bytes=size,
        dense_bytes=dense,
        ratio=dense / size,
        sections={section.value: sum(s.bytes for s in spans if s.section == section) for section in Section},
        metadata=reader.metadata,
        tensors=tensors,
    )


def _covered(spans: list[Span], record: Record) -> list[Span]:
    """The spans of a payload, the last one drawn out over the padding bits."""
    end = 8 * (record.offset + record.payload_length)
    if not spans or spans[-1].end == end:
        return spans
    return [*spans[:-1], Span(spans[-1].section, spans[-1].start, end)]


def _by_record(spans: list[Span], records: int) -> list[list[Span]]:
    groups: list[list[Span]] = [[] for _ in range(records)]
    for span in spans:
        if span.record is not None:
            groups[span.record].append(span)
    return groups


def _count_nonzero(bits: np.ndarray[Any, Any], record: Record) -> int:
    itemsize = record.info.dtype.itemsize if record.info is not None else 1
    if itemsize > 8:
        return int(np.count_nonzero(bits.reshape(-1, itemsize).any(axis=1)))
    return int(np.count_nonzero(bits))


def _tensor(reader: Reader, number: int, spans: list[Span], facts: Account | None) -> TensorReport:
    record = reader.records[number]
    target = reader.resolve(record)
    is_alias = record.coding == alias.ID
    info = target.info
    coded = record.params.coded if record.coding == sparse.ID and record.params else None
    bits = {section.value: sum(s.bits for s in spans if s.section == section) for section in Section}
    return TensorReport(
        name=record.name,
        dtype=info.dtype.name if info is not None else None,
        shape=list(info.shape) if info is not None else [],
        coding=codings.name(record.coding),
        alias_of=target.name if is_alias else None,
        dense_bytes=info.nbytes if info is not None and target.params is not None and not is_alias else 0,
        file_bytes=sum(span.bytes for span in spans),
        sections={section.value: sum(s.bytes for s in spans if s.section == section) for section in Section},
        section_bits=bits,
        nonzero=facts.nonzero if facts else None,
        gaps=facts.gap_symbols if facts else None,
        pbits=coded.pbits if coded else None,
        scan=coded.scan.name.lower() if coded else None,
        saved_bytes=facts.saved_bytes if facts else None,
    )
