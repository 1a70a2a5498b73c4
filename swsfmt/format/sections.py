"""Where the bytes of a file go: every bit belongs to one section, a byte counts with the section of its first bit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Section(StrEnum):
    """Keys of `sections` in `sws inspect --json`."""

    HEADER_AND_INDEX = "header_and_index"
    ROW_BITMAPS = "row_bitmaps"
    COLUMN_BITMAPS = "column_bitmaps"
    ROW_ENDS = "row_ends"
    COLUMN_INDICES = "column_indices"
    VALUES = "values"
    CODE_TABLES = "code_tables"
    ADAPTIVE_CODES = "adaptive_codes"
    CODEBOOKS = "codebooks"
    CHUNK_TABLES = "chunk_tables"
    RAW = "raw"


@dataclass(frozen=True)
class Span:
    """Bits `start` to `end` of the file (bit 8k is the first bit of byte k) belong to `section` of record `record`.

    record : int or None
        Number of the record; None for what belongs to the whole file.
    """

    section: Section
    start: int
    end: int
    record: int | None = None

    @property
    def bits(self) -> int:
        return self.end - self.start

    @property
    def bytes(self) -> int:
        """Bytes whose first bit lies in this span; over spans without gaps these sum up exactly."""
        return -(-self.end // 8) - -(-self.start // 8)


def fill(spans: Iterable[Span], start: int, end: int, record: int | None = None) -> list[Span]:
    """`spans` in order, with what lies between them in [start, end) filled up as header and index."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda s: s.start):
        if span.start > start:
            out.append(Span(Section.HEADER_AND_INDEX, start, span.start, record))
        out.append(span)
        start = span.end
    if end > start:
        out.append(Span(Section.HEADER_AND_INDEX, start, end, record))
    return out
