"""What records refer to by number, in the order of the index: codebooks, code tables, bitmaps (spec 3 to 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dtypes import DType
from ..entropy.bitmap import LOOK_BACK as _BITMAPS
from ..entropy.bitmap import Live
from ..entropy.bits import varint_bytes
from ..entropy.prefix_code import PrefixCode
from ..entropy.protocol import Raw, Table
from ..limits import DEFAULT_LIMITS, Limits
from .codebook import Codebook
from .cursor import Cursor
from .sections import Section, Span

# Earlier tables that a writer tries, so that the time for a file stays in proportion to its tensors.
_LOOK_BACK = 64


@dataclass
class Resources:
    """The codebooks of a file, and the tables and bitmaps of the records so far.

    spans : where the bits of the record that is parsed go; None where nobody asks
    records : of the index, and of the parts that have been parsed
    depth : of the parts that are parsed; 0 for a tensor
    """

    codebooks: list[Codebook] = field(default_factory=list)
    tables: list[PrefixCode] = field(default_factory=list)
    bitmaps: list[Live] = field(default_factory=list)
    limits: Limits = DEFAULT_LIMITS
    spans: list[Span] | None = None
    bitmap_bits: int = 0
    table_symbols: int = 0
    records: int = 0
    depth: int = 0
    _recent: list[Table] = field(default_factory=list, init=False, repr=False)
    _indexed: int = field(default=0, init=False, repr=False)
    _recent_bitmaps: list[Raw] = field(default_factory=list, init=False, repr=False)
    _indexed_bitmaps: int = field(default=0, init=False, repr=False)

    def add_table(self, code: PrefixCode) -> None:
        """Number a new code table."""
        self.tables.append(code)
        self.table_symbols += len(code.lengths)

    def recent_tables(self) -> tuple[int, list[Table]]:
        """The number of the first of the latest tables, and what the kernels take of each of these."""
        for number in range(self._indexed, len(self.tables)):
            code = self.tables[number]
            single = -1 if code.single is None else code.single
            self._recent.append((code.lengths.tobytes(), single, 8 * varint_bytes(number)))
        self._indexed = len(self.tables)
        del self._recent[:-_LOOK_BACK]
        return len(self.tables) - len(self._recent), self._recent

    def add_bitmap(self, live: Live) -> None:
        """Number a new bitmap."""
        self.bitmaps.append(live)
        self.bitmap_bits += len(live)

    def recent_bitmaps(self) -> tuple[int, list[Raw]]:
        """The number of the first of the latest bitmaps, and these, as the kernels take them fastest."""
        for number in range(self._indexed_bitmaps, len(self.bitmaps)):
            self._recent_bitmaps.append(self.bitmaps[number].tobytes())
        self._indexed_bitmaps = len(self.bitmaps)
        del self._recent_bitmaps[:-_BITMAPS]
        return len(self.bitmaps) - len(self._recent_bitmaps), self._recent_bitmaps

    def has_room(self, table_symbols: int = 0, bitmap_bits: int = 0) -> bool:
        """Whether a writer may add tables and bitmaps of these sizes."""
        return (
            self.table_symbols + table_symbols <= self.limits.max_table_symbols
            and self.bitmap_bits + bitmap_bits <= self.limits.max_bitmap_bits
        )

    def codebook(self, cursor: Cursor, dtype: DType) -> tuple[int, Codebook]:
        """The number that comes next and the codebook of that number. Raises `IndexRuleError`."""
        number = cursor.varint("codebook number")
        if number >= len(self.codebooks):
            raise cursor.error(f"codebook {number} does not exist, there are {len(self.codebooks)}")
        book = self.codebooks[number]
        if book.dtype is not dtype and book.dtype != dtype:
            raise cursor.error(f"codebook {number} holds {book.dtype.name}, the tensor is {dtype.name}")
        return number, book

    def span(self, section: Section, start: int, end: int) -> None:
        """Bits `start` to `end` of the file belong to `section`."""
        if self.spans is not None and end > start:
            self.spans.append(Span(section, start, end))
