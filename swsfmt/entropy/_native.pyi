"""The module in C: see `protocol.Kernels`, which mypy compares this with."""

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from .protocol import (
    Classes,
    Code,
    Elements,
    Form,
    GapCounts,
    Head,
    Indices,
    Labels,
    Live,
    Mask,
    Plane,
    Raw,
    Symbols,
    Table,
)
from .scaled_protocol import Reals, ScaledFactor

MAX_LENGTH: int
MAX_DISTINCT: int
MAX_SYMBOLS: int
MAX_WEIGHT: int
MAX_FUSED_CHUNK: int
MAX_LINE: int
MAX_LINES: int
MAX_STRIDE: int
LIMIT: int
CLASSES: int
BUCKETS: int
UNSEEN: int
MAX_STRETCH: int
MAX_RANS_LANES: int
MAX_RANS_ALPHABET: int
MAX_LINE_CLASSES: int
MIN_RANS_BITS: int
MAX_RANS_BITS: int

def decode_stream(
    bits: bitarray, code: Code, elements: Elements | None, itemsize: int, start: int, stop: int, out: Elements, /
) -> int | None: ...
def decode_dense(
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
) -> int: ...
def decode_gaps(bits: bitarray, code: Code, start: int, stop: int, entries: int, /) -> tuple[bytes, int] | None: ...
def decode_sparse(
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
) -> tuple[int, int]: ...
def scatter(
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
) -> int | None: ...
def plane(elements: Elements, itemsize: int, shift: int, width: int, rotated: bool, out: Plane, /) -> None: ...
def count_fields(elements: Elements, itemsize: int, widths: bytes, rotated: bool, counts: Indices, /) -> None: ...
def join_planes(planes: tuple[Plane, ...], widths: bytes, itemsize: int, rotated: bool, out: Elements, /) -> bool: ...
def count_marks(elements: Elements, itemsize: int, mark: int, /) -> int: ...
def fill_marks(out: Elements, itemsize: int, mark: int, values: Elements, /) -> int: ...
def spread(mask: Mask, values: Elements, itemsize: int, vectors: bool, out: Elements, /) -> int: ...
def gather(mask: Mask, elements: Elements, itemsize: int, out: Elements, /) -> int: ...
def dequantize(
    levels: Elements,
    dtype: int,
    table: Reals,
    shape: Indices,
    first: int,
    factors: tuple[ScaledFactor, ...],
    kind: int,
    each: bool,
    out: Elements,
    /,
) -> None: ...
def grid_steps(
    elements: Elements,
    kind: int,
    columns: int,
    block: int,
    affine: bool,
    most: int,
    steps: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32],
    /,
) -> int: ...
def grid_levels(
    elements: Elements,
    kind: int,
    columns: int,
    row_block: int,
    column_block: int,
    steps: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32],
    first: int,
    out: npt.NDArray[np.int32],
    /,
) -> None: ...
def encode_symbols(symbols: Symbols, codewords: Symbols, lengths: npt.NDArray[np.uint8], /) -> tuple[bytes, int]: ...
def chunk_bits(symbols: Symbols, lengths: npt.NDArray[np.uint8], chunk: int, /) -> bytes: ...
def line_entries(
    symbols: Symbols, starts: Indices, numbers: npt.NDArray[np.int32], fresh: bool, /
) -> tuple[bytearray, bytes, int]: ...
def line_gaps(
    symbols: Symbols,
    columns: int,
    window: tuple[int, int, int, int],
    lines_are_columns: bool,
    numbers: npt.NDArray[np.int32],
    counts: Indices,
    others: Indices,
    lines: Indices,
    /,
) -> int: ...
def head_gaps(
    lines: Indices, start: int, length: int, state: Indices, live: Live, counts: Indices, others: Indices, /
) -> None: ...
def matrix_gaps(
    symbols: Symbols, columns: int, lines_are_columns: bool, places: Live, live: Live, /
) -> tuple[int, GapCounts, GapCounts, GapCounts]: ...
def gap_symbols(gaps: Indices, pbits: int, /) -> bytes: ...
def gap_chunks(symbols: Symbols, skip: int, lengths: npt.NDArray[np.uint8], chunk: int, /) -> bytes: ...
def gap_counts(gaps: Raw, counts: Raw, pbits: int, /) -> bytes: ...
def cheapest_gaps(
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
) -> tuple[int, int]: ...
def cheapest_code(counts: Indices, windows: bytes, /) -> tuple[bytes, int, int]: ...
def cheapest_table(counts: Indices, tables: list[Table], /) -> tuple[int, int] | None: ...
def cheapest_runs(live: Live, most: int, /) -> tuple[int, int] | None: ...
def cheapest_mask(live: Live, masks: list[Raw], first: int, /) -> tuple[int, int, int] | None: ...
def distinct(elements: Elements, itemsize: int, most: int, /) -> bytes | None: ...
def symbols(elements: Elements, itemsize: int, values: Elements, out: Symbols, counts: Indices, /) -> bool: ...
def keep(elements: Elements, itemsize: int, values: Elements, mark: int, out: Elements, /) -> int: ...
def code_lengths(counts: Indices, limit: int, /) -> bytes: ...
def codewords(lengths: npt.NDArray[np.uint8], /) -> bytes: ...
def record_head(index: bytes, position: int, /) -> Head | None: ...
def read_runs(bits: bitarray, start: int, stop: int, out: npt.NDArray[np.bool_], /) -> tuple[int, int] | None: ...
def read_table(bits: bitarray, start: int, stop: int, out: npt.NDArray[np.uint8], /) -> tuple[int, int] | None: ...
def adaptive_encode(
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
) -> tuple[bytes, int]: ...
def adaptive_decode(
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
) -> int: ...
def rans_decode(
    data: bytes | memoryview,
    starts: Indices,
    chunk: int,
    first: int,
    last: int,
    classes: Classes,
    frequencies: Symbols,
    bits: int,
    lanes: int,
    elements: Elements,
    itemsize: int,
    vectors: bool,
    out: Elements,
    /,
) -> int: ...
def rans_encode(
    symbols: Symbols,
    classes: Classes,
    frequencies: Symbols,
    bits: int,
    lanes: int,
    /,
) -> bytes | None: ...
def class_counts(
    symbols: Symbols,
    classes: Classes,
    alphabet: int,
    counts: Indices,
    /,
) -> None: ...
def class_costs(
    symbols: Symbols, others: Labels, costs: npt.NDArray[np.int32], of_columns: bool, out: Indices, /
) -> None: ...
def read_frequencies(
    bits: bitarray, start: int, stop: int, row_classes: int, column_classes: int, width: int, out: Symbols, /
) -> int | None: ...
