"""Where the bytes of a file go: every bit belongs to one section, a byte counts with the section of its first bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import ClassVar, NamedTuple


class Role(Enum):
    """What a section is in a compressed sparse matrix, as the literature counts its parts."""

    ROWS = "which rows and columns live, and where rows end"
    INDICES = "relative column indices"
    VALUES = "values"
    CODES = "code tables and codebooks"
    RECORD = "name, shape, checksum and the like"


class Section(str):
    """The key of a section in `sections` of `sws inspect --json`; a string, with what else is to be said of it.

    label : for people
    role : what it is in a compressed sparse matrix

    A coding whose payload is like nothing here makes a `Section` of its own.
    """

    label: str
    role: Role
    _all: ClassVar[list[Section]] = []

    HEADER_AND_INDEX: ClassVar[Section]
    ROW_BITMAPS: ClassVar[Section]
    COLUMN_BITMAPS: ClassVar[Section]
    ROW_ENDS: ClassVar[Section]
    COLUMN_INDICES: ClassVar[Section]
    VALUES: ClassVar[Section]
    CODE_TABLES: ClassVar[Section]
    CODEBOOKS: ClassVar[Section]
    CHUNK_TABLES: ClassVar[Section]
    RAW: ClassVar[Section]

    __slots__ = ("label", "role")

    def __new__(cls, key: str, label: str, role: Role, *, before: Section | None = None) -> Section:
        """before : the section in front of which it stands in reports; None for the end."""
        if key in cls._all:
            raise ValueError(f"there is a section {key!r} already")
        section = super().__new__(cls, key)
        section.label, section.role = label, role
        cls._all.insert(len(cls._all) if before is None else cls._all.index(before), section)
        return section

    @classmethod
    def all(cls) -> Iterator[Section]:
        """In the order of reports."""
        return iter(cls._all)

    @classmethod
    def of(cls, key: str) -> Section:
        """The section with that key."""
        return cls._all[cls._all.index(key)]  # type: ignore[arg-type]

    def __reduce__(self) -> tuple[Callable[[str], Section], tuple[str]]:
        return Section.of, (str(self),)


Section.HEADER_AND_INDEX = Section("header_and_index", "header and index", Role.RECORD)
Section.ROW_BITMAPS = Section("row_bitmaps", "row bitmaps", Role.ROWS)
Section.COLUMN_BITMAPS = Section("column_bitmaps", "column bitmaps", Role.ROWS)
Section.ROW_ENDS = Section("row_ends", "row ends", Role.ROWS)
Section.COLUMN_INDICES = Section("column_indices", "column indices", Role.INDICES)
Section.VALUES = Section("values", "values (codebook ids)", Role.VALUES)
Section.CODE_TABLES = Section("code_tables", "code tables", Role.CODES)
Section.CODEBOOKS = Section("codebooks", "codebooks", Role.CODES)
Section.CHUNK_TABLES = Section("chunk_tables", "chunk tables", Role.RECORD)
Section.RAW = Section("raw", "raw elements", Role.VALUES)


class Span(NamedTuple):
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
