"""What a kernel is: its arguments, its result. C (`_native`) and Python (`twin`) are held to this by mypy."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from .arrays import Elements as Elements
from .arrays import Indices as Indices
from .arrays import Labels as Labels
from .arrays import Live as Live
from .arrays import Mask as Mask
from .arrays import Plane as Plane
from .arrays import Symbols as Symbols
from .classes_protocol import Classes as Classes
from .classes_protocol import ClassesKernels
from .parts_protocol import PartsKernels
from .scaled_protocol import ScaledKernels

# Bits of the longest codeword of a Huffman code, and what a complete code adds up to in units of the smallest share.
MAX_LENGTH = 12
KRAFT_ONE = 1 << MAX_LENGTH

# Plain memory in which an array lies, for `np.frombuffer`.
Raw = bytes | bytearray | npt.NDArray[Any]
# Lengths of an earlier code, its one symbol or -1, and the bits of a reference to it.
Table = tuple[bytes, int, int]
# Gaps that occur and how often, int64.
GapCounts = tuple[Raw, Raw]
# Of one way to read a matrix: gaps that occur, how often, the bits of all but the gaps, and how far its size is shifted
# to the right to count for so much more.
Form = tuple[Raw, Raw, int, int]
# Codewords, lengths, and the one symbol of a code without bits or -1: `PrefixCode.arrays`.
Code = tuple[Symbols, npt.NDArray[np.uint8], int]
# Of a record: length of the name's prefix, its suffix (or how many records before it was), head, coding, dtype or -1,
# shape, and the byte after all that.
Head = tuple[int, bytes | int, int, int, int, tuple[int, ...], int]


class Kernels(ScaledKernels, PartsKernels, ClassesKernels, Protocol):
    """One signature for each kernel. All arrays are contiguous and have the dtype of the machine's byte order.

    Sizes that do not fit each other raise `ValueError` in C, which trusts nothing but that a code is a complete prefix
    code. Bits that do not decode are no error: the result says so.

    elements : what a symbol stands for, one for each of the alphabet
    itemsize : bytes of an element
    """

    def decode_stream(
        self,
        bits: bitarray,
        code: Code,
        elements: Elements | None,
        itemsize: int,
        start: int,
        stop: int,
        out: Elements,
        /,
    ) -> int | None:
        """Decode symbols from bit `start` on until `out` is full; elements of 1, 2 or 4 bytes, None for the symbols.

        Returns the bit after the last codeword; None where bits `start` to stop - 1 do not hold so many.
        """
        ...

    def decode_dense(
        self,
        bits: bitarray,
        code: Code,
        elements: Elements,
        itemsize: int,
        starts: Indices,
        chunk: int,
        total: int,
        first: int,
        last: int,
        out: Elements,
        /,
    ) -> int:
        """Decode chunks first to last - 1 of a stream of `total` symbols into `out`, which is of all of them.

        starts : (chunks + 1,), the bit where each chunk of `chunk` symbols starts, and the last one ends
        Returns -1, or a chunk that does not end where the next one starts. Elements of 1, 2 or 4 bytes.
        """
        ...

    def decode_gaps(self, bits: bitarray, code: Code, start: int, stop: int, entries: int, /) -> tuple[Raw, int] | None:
        """Decode gap symbols until `entries` of them are not the skip, the last one of the alphabet.

        Returns all of them, uint16, and the bit after them; None where bits `start` to stop - 1 do not hold so many.
        The code has bits.
        """
        ...

    def decode_sparse(
        self,
        bits: bitarray,
        gap_code: Code,
        value_code: Code,
        elements: Elements,
        itemsize: int,
        starts: Indices,
        chunk: int,
        entries: int,
        first: int,
        last: int,
        lines: int,
        line_length: int,
        line_offsets: Indices,
        place_offsets: Indices,
        clear: bool,
        in_order: bool,
        out: Elements,
        /,
    ) -> tuple[int, int]:
        """Decode gaps and values of chunks first to last - 1 and put the elements where they belong.

        starts : (chunks + 1, 3), gap bit, value bit and position where each chunk starts, and the ends
        line_offsets, place_offsets : (lines,) and (line_length,), see `scatter`
        clear : set to zero what lies between, where `out` is not zero; only without offsets
        in_order : the elements are those of all entries, of up to 8 bytes: values are not read, which take no bits
        Returns -1, or a chunk that does not end where the next one starts, and the number of gap symbols. Elements of
        1, 2 or 4 bytes.
        """
        ...

    def scatter(
        self,
        gaps: Symbols,
        skip: int,
        elements: Elements,
        itemsize: int,
        position: int,
        lines: int,
        line_length: int,
        line_offsets: Indices,
        place_offsets: Indices,
        out: Elements,
        /,
    ) -> int | None:
        """Put each of `elements` where its gap symbol leads from `position` on.

        line_offsets, place_offsets : position p lies at line_offsets[p // line_length] + place_offsets[p %
            line_length]; both empty where it lies at p
        Returns the position after all gaps; None, with nothing written, where they leave the matrix or are not those of
        so many elements.
        """
        ...

    def encode_symbols(
        self, symbols: Symbols, codewords: Symbols, lengths: npt.NDArray[np.uint8], /
    ) -> tuple[bytes, int] | None:
        """The stream of these symbols, in bytes, and its size in bits; None where one has no codeword (length 0)."""
        ...

    def chunk_bits(self, symbols: Symbols, lengths: npt.NDArray[np.uint8], chunk: int, /) -> Raw:
        """The bits that each `chunk` symbols take: int64."""
        ...

    def line_entries(
        self, symbols: Symbols, starts: Indices, numbers: npt.NDArray[np.int32], fresh: bool, /
    ) -> tuple[Raw, Raw, int]:
        """See `kernels.line_entries`: gaps (int64, for the caller to write to), values (uint16), the last position.

        numbers : empty where places are 0, 1, 2 and so on
        """
        ...

    def line_gaps(
        self,
        symbols: Symbols,
        columns: int,
        window: tuple[int, int, int, int],
        lines_are_columns: bool,
        numbers: npt.NDArray[np.int32],
        counts: Indices,
        others: Indices,
        lines: Indices,
        /,
    ) -> int:
        """See `kernels.line_gaps`: fills counts, others and lines; returns how many others there are.

        columns : of the whole matrix
        counts : (countable,), gaps below that are counted, others listed
        lines : (3, lines), for each line -1, -1 and 0 at first
        """
        ...

    def head_gaps(
        self,
        lines: Indices,
        start: int,
        length: int,
        state: Indices,
        live: Live,
        counts: Indices,
        others: Indices,
        /,
    ) -> None:
        """Count the gaps before the first entries of lines in three ways: from the start of the line; from the last
        entry before it; and that where lines without entries are left out.

        lines : as `line_gaps` fills it, of the lines from number `start` on
        length : places of a line
        state : (8,), zero at first: the position after the last entry, each way; how many lines have entries; the most
            entries of a line; how many gaps are listed, each way
        live : (lines,), set to whether each has entries
        counts, others : (3, countable) and (3, room); gaps below countable are counted, others listed
        """
        ...

    def matrix_gaps(
        self, symbols: Symbols, columns: int, lines_are_columns: bool, places: Live, live: Live, /
    ) -> tuple[int, GapCounts, GapCounts, GapCounts]:
        """All gaps of a small matrix: what `line_gaps` and `head_gaps` count, together, none of them listed.

        places : which of a line count, all entries among them; empty where all do
        live : set to whether each line has entries
        Returns the most entries of a line; and for each of the three ways the gaps that occur, ascending, and how often
        (int64).
        """
        ...

    def gap_symbols(self, gaps: Indices, pbits: int, /) -> Raw:
        """Gap symbols of `pbits` bits, each after the skips that it needs: uint16."""
        ...

    def gap_chunks(self, symbols: Symbols, skip: int, lengths: npt.NDArray[np.uint8], chunk: int, /) -> Raw:
        """For each `chunk` entries the bits of their gap symbols, and how far these lead: int64, (chunks, 2)."""
        ...

    def gap_counts(self, gaps: Raw, counts: Raw, pbits: int, /) -> Raw:
        """How often each gap symbol of `pbits` bits occurs, where gaps occur `counts` times: int64, (2**pbits,)."""
        ...

    def cheapest_gaps(
        self,
        forms: list[Form],
        widths: tuple[int, int],
        logarithms: Indices,
        symbol_bits: int,
        finalists: int,
        huffman: bool,
        tabled: bool,
        windows: bytes,
        tables: list[Table],
        /,
    ) -> tuple[int, int]:
        """The form, and the bits of its gap symbols, from the first to the last of the widths, of the smallest size.

        All are ranked by about that size, the gaps of fixed width, or, with `huffman`, their entropy and `symbol_bits`
        for each symbol that occurs, where that is less: in integers, to be equal on every machine. The very size
        decides among so many `finalists`, without those that could have one bit less with the same symbols. Of equals
        the first is taken.
        logarithms : (256,), log2 of 1 + i / 256 in 4096ths
        tabled : whether codes other than the fixed width may be chosen, of `cheapest_code` with these windows, and of
            those tables that have so many symbols
        """
        ...

    def cheapest_code(self, counts: Indices, windows: bytes, /) -> tuple[Raw, int, int]:
        """The code for which its table and a stream with these counts take the fewest bits.

        windows : half-widths, in 64ths of the symbol's own number, of moving averages of the counts whose codes are
            tried too. The last symbol stays as it is.
        Returns lengths (uint8), the one symbol of a code without bits or -1, and the size in bits.
        """
        ...

    def cheapest_table(self, counts: Indices, tables: list[Table], /) -> tuple[int, int] | None:
        """Which of these tables makes the smallest stream, and its size with the reference, the first of equals; None
        where none of the same alphabet has all symbols that occur.
        """
        ...

    def cheapest_runs(self, live: Live, most: int, /) -> tuple[int, int] | None:
        """The stride from 2 to 64, less than the length, whose differences have the shortest runs, or 0 for the runs of
        the bitmap as it is, and the size in bits, with 8 of the stride; None where it is not less than `most`.
        """
        ...

    def cheapest_mask(self, live: Live, masks: list[Raw], first: int, /) -> tuple[int, int, int] | None:
        """The shortest way to write a bitmap by means of one before, with the size in bits, its number included.

        masks : bool, the first of which has the number `first`; each is stretched to the length of `live`, which it may
            or may not have all live bits of
        Returns the kind (spec 6.5), copy, masked or masked runs, and the number; of equals the lowest kind, and of
        these the first. None where no mask has all live bits.
        """
        ...

    def distinct(self, elements: Elements, itemsize: int, most: int, /) -> Raw | None:
        """The distinct elements, ascending, uint64; None where there are more than `most` <= 4096.

        This and `symbols` are the kernels whose elements others may write to at the same time.
        """
        ...

    def symbols(self, elements: Elements, itemsize: int, values: Elements, out: Symbols, counts: Indices, /) -> bool:
        """The number of each element among the ascending `values` (uint64); how often each occurs is added to `counts`.

        Returns whether all elements are among them.
        """
        ...

    def code_lengths(self, counts: Indices, limit: int, /) -> Raw:
        """Optimal code lengths of at most `limit` bits (uint8) of 2 to 2**limit ascending counts, none of them 0."""
        ...

    def codewords(self, lengths: npt.NDArray[np.uint8], /) -> Raw:
        """The codewords of a complete code by (length, symbol), as in RFC 1951 section 3.2.2: uint16, 0 without length.

        Bit-reversed: written as a field (least significant bit first) a codeword goes in from its first bit.
        """
        ...

    def record_head(self, index: bytes, position: int, /) -> Head | None:
        """What a record begins with (spec 4), from that byte of the index on.

        None where the index does not hold it, or where the caller is to read it by itself: it can, and knows what is
        wrong with it.
        """
        ...

    def read_runs(self, bits: bitarray, start: int, stop: int, out: npt.NDArray[np.bool_], /) -> tuple[int, int] | None:
        """The runs of a bitmap, from bit `start` on, until `out` is full (spec 6.5).

        Returns the bit after them, and -1; None where bits `start` to stop - 1 do not hold them. Then `out` may hold
        anything.
        """
        ...

    def read_table(
        self, bits: bitarray, start: int, stop: int, out: npt.NDArray[np.uint8], /
    ) -> tuple[int, int] | None:
        """A code table, from bit `start` on: the lengths of its symbols, into zeros for an alphabet (spec 6.4).

        Returns the bit after it, and the one symbol of a code without bits or -1; None where bits `start` to stop - 1
        do not hold a complete code. Then `out` may hold anything.
        """
        ...

    def adaptive_encode(
        self,
        symbols: Symbols,
        logarithms: Indices,
        lines: int,
        length: int,
        stride: int,
        line_stride: int,
        first: int,
        second: int,
        zeros: bool,
        light: bool,
        line_classes: bytes,
        place_classes: bytes,
        pairs: int,
        /,
    ) -> tuple[bytes, int]:
        """See `adaptive.encode_each`; first, second : the `values` of the model. logarithms : `logarithms.TABLE`.

        line_classes, place_classes, pairs : its `pairs`; empty and 0 where it has none
        """
        ...

    def adaptive_decode(
        self,
        data: bytes | memoryview,
        starts: Indices,
        chunk: int,
        first_chunk: int,
        last_chunk: int,
        values: Elements,
        elements: Elements,
        line_step: int,
        place_step: int,
        lines: int,
        length: int,
        stride: int,
        line_stride: int,
        first: int,
        second: int,
        zeros: bool,
        light: bool,
        line_classes: bytes,
        place_classes: bytes,
        pairs: int,
        /,
    ) -> int:
        """See `adaptive.decode_elements`: chunks first_chunk to last_chunk - 1.

        Returns -1, or a chunk whose bytes are not what `adaptive_encode` makes of its symbols.
        """
        ...
