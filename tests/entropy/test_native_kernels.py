"""The kernels in C trust no size, no code and no array that they are given; their constants are those of Python."""

from __future__ import annotations

import numpy as np
import pytest
from symbols import symbols_of

from swsfmt.entropy import adaptive_model, backend, huffman, kernels, rans, twin
from swsfmt.format.codebook import MAX_VALUES

pytestmark = pytest.mark.usefixtures("each_kernel")
native = pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")

# Of `line_gaps`: one count, no room for longer gaps, two lines.
BUFFERS = bytearray(8), bytearray(0), bytearray(48)


@native
def test_too_many_gap_symbols() -> None:
    """As many as no memory holds, and more than 64 bits count."""
    for count in (1, 4):
        with pytest.raises(MemoryError):
            backend.load(backend.NATIVE).gap_symbols(np.full(count, 2**63 - 1), 1)


@native
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("code_lengths", (np.array([1]), 12)),
        ("code_lengths", (np.ones(3, np.int64), 1)),
        ("code_lengths", (np.ones(3, np.int64), 13)),
        ("line_entries", (np.zeros(5, np.uint16), np.zeros(2, np.int64), b"", False)),
        ("line_entries", (np.zeros(5, np.uint16), b"", b"", False)),
        ("line_entries", (np.zeros(6, np.uint16), np.zeros(2, np.int64), np.zeros(2, np.int32), False)),
        *(
            ("line_gaps", (np.zeros(6, np.uint16), *changed))
            for changed in (
                (0, (0, 0, 0, 0), False, b"", *BUFFERS[:2], bytearray(0)),
                (3, (0, 3, 0, 3), False, b"", *BUFFERS[:2], bytearray(72)),
                (3, (1, 0, 0, 3), False, b"", *BUFFERS[:2], bytearray(0)),
                (3, (0, 2, 0, 4), True, b"", *BUFFERS[:2], bytearray(96)),
                (3, (0, 2, -1, 3), False, b"", *BUFFERS),
                (3, (0, 2, 0, 3), True, b"", *BUFFERS),
                (3, (0, 2, 0, 3), False, np.zeros(2, np.int32), *BUFFERS),
            )
        ),
        # A gap for which there is no room.
        ("line_gaps", (np.array([1, 0, 1], np.uint16), 3, (0, 1, 0, 3), False, b"", *BUFFERS[:2], np.full(3, -1))),
        ("gap_symbols", (np.array([-1]), 3)),
        ("gap_symbols", (np.array([1]), 0)),
        ("gap_symbols", (np.array([1]), 13)),
        ("gap_chunks", (symbols_of(1), 3, bytes(4), 0)),
        ("gap_chunks", (symbols_of(1), -1, bytes(4), 1)),
        ("gap_chunks", (symbols_of(4), 3, bytes(4), 1)),
        ("scatter", (b"", 3, b"", 3, 0, 2, 3, b"", b"", bytearray(24))),
        ("scatter", (b"", 3, b"", 4, -1, 2, 3, b"", b"", bytearray(24))),
        ("scatter", (b"", 3, b"", 4, 0, 0, 3, b"", b"", bytearray(24))),
        ("scatter", (b"", 3, b"", 4, 0, 2, 0, b"", b"", bytearray(24))),
        ("scatter", (b"", 3, b"", 4, 0, 2, 3, b"", b"", bytearray(23))),
        ("scatter", (b"", 3, b"", 4, 0, 2, 3, np.array([0, 1, 3]), np.array([4, 8]), bytearray(24))),
        ("scatter", (b"", 3, b"", 4, 0, 1 << 62, 1 << 62, b"", b"", bytearray(24))),
    ],
)
def test_native_kernels_check_sizes(name: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=f"{name}: sizes do not fit"):
        getattr(backend.load(backend.NATIVE), name)(*arguments)


def constants() -> dict[str, int]:
    return {
        "MAX_LENGTH": huffman.MAX_LENGTH,
        "MAX_DISTINCT": MAX_VALUES + 1,
        "MAX_SYMBOLS": MAX_VALUES + 1,
        "MAX_WEIGHT": twin.adaptive._MAX_WEIGHT,
        "MAX_FUSED_CHUNK": kernels.MAX_FUSED_CHUNK,
        "MAX_LINE": adaptive_model.MAX_LINE,
        "MAX_LINES": adaptive_model.MAX_LINES,
        "MAX_STRIDE": adaptive_model.MAX_STRIDE,
        "LIMIT": twin.adaptive._LIMIT,
        "CLASSES": twin.adaptive._CLASSES,
        "BUCKETS": len(twin.adaptive._BUCKET_STARTS),
        "UNSEEN": twin.adaptive._UNSEEN,
        "MAX_STRETCH": twin.adaptive._MAX_STRETCH,
        "MAX_RANS_LANES": rans.MAX_LANES,
        "MAX_RANS_ALPHABET": rans.MAX_ALPHABET,
        "MAX_LINE_CLASSES": rans.MAX_CLASSES,
        "MIN_RANS_BITS": rans.MIN_BITS,
        "MAX_RANS_BITS": rans.MAX_BITS,
    }


@native
def test_constants_of_c_are_those_of_python() -> None:
    module = backend.load(backend.NATIVE)
    assert {name: value for name, value in vars(module).items() if name.isupper()} == constants()


# A code of two symbols, and one whose lengths are too long.
CODE, LONG = (symbols_of(0, 1), bytes([1, 1]), -1), (symbols_of(0, 1), bytes([1, 13]), -1)
ROWS = np.array([[0, 8, 0], [8, 16, 4]])


@native
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        # Of NumPy before 2, int32 times int64 stays int32: half the memory that was meant.
        ("line_entries", (np.zeros(4, np.uint16), np.zeros(2, np.int32), b"", False)),
        ("line_entries", (np.zeros(4, np.uint32), np.zeros(2, np.int64), b"", False)),
        ("decode_stream", (b"\0", CODE, None, 4, 0, 8, bytearray(4))),
        ("decode_stream", (b"\0", CODE, b"\0", 1, 0, 8, bytearray(4))),
        ("decode_stream", (b"\0", CODE, b"\0\1", 1, 0, 9, bytearray(4))),
        ("decode_stream", (b"\0", CODE, b"\0\1", 1, 5, 4, bytearray(4))),
        ("decode_dense", (b"\0", CODE, b"\0\1", 1, np.array([0, 8]), 8, 8, 0, 1, bytearray(7))),
        ("decode_dense", (b"\0", CODE, b"\0\1", 1, np.array([0, 9]), 8, 8, 0, 1, bytearray(8))),
        ("decode_dense", (b"\0", CODE, b"\0\1", 1, np.array([0, 8], np.int32), 8, 8, 0, 1, bytearray(8))),
        ("decode_dense", (b"\0", CODE, b"\0\1", 1, np.array([0, 8]), 8, 8, 0, 2, bytearray(8))),
        ("decode_dense", (b"\0", CODE, b"\0\1", 1, np.array([0, 2**63 - 1]), 8, 8, 0, 1, bytearray(8))),
        ("decode_dense", (b"\0", CODE, b"\0\1", 3, np.array([0, 8]), 8, 8, 0, 1, bytearray(24))),
        ("decode_gaps", (b"\0", CODE, 0, 9, 1)),
        *(
            ("decode_sparse", (bytes(2), CODE, CODE, b"\0\1", 1, *changed))
            for changed in (
                (ROWS, 4, 4, 0, 1, 1, 3, b"", b"", False, False, bytearray(3)),
                (ROWS, 4, 4, 0, 1, 1, 4, b"", b"", False, False, bytearray(3)),
                (ROWS, 4, 4, 0, 2, 1, 4, b"", b"", False, False, bytearray(4)),
                (ROWS, 4, 5, 0, 1, 1, 4, b"", b"", False, False, bytearray(4)),
                (ROWS[::-1].copy(), 4, 4, 0, 1, 1, 4, b"", b"", False, False, bytearray(4)),
                (ROWS + np.array([0, 9, 0]), 4, 4, 0, 1, 1, 4, b"", b"", False, False, bytearray(4)),
                # Offsets that lead out of the tensor.
                (ROWS, 4, 4, 0, 1, 1, 4, np.array([0]), np.arange(1, 5), False, False, bytearray(4)),
                (ROWS, 4, 4, 0, 1, 1, 4, np.array([0]), np.arange(-1, 3), False, False, bytearray(4)),
                (ROWS, 4, 4, 0, 1, 1, 4, np.array([0]), np.arange(4), True, False, bytearray(4)),
            )
        ),
        ("scatter", (symbols_of(0), 3, b"\1", 1, 0, 1, 1, np.array([4]), np.array([0]), bytearray(4))),
        ("scatter", (symbols_of(0), 3, b"\1", 1, 0, 1, 1, np.array([-1]), np.array([0]), bytearray(4))),
        ("encode_symbols", (symbols_of(0), symbols_of(0), b"\1\1")),
        ("encode_symbols", (symbols_of(0), symbols_of(0), b"\x0d")),
        ("chunk_bits", (symbols_of(0), b"\1", 0)),
        ("distinct", (b"", 3, 1)),
        ("distinct", (b"", 1, 4097)),
        ("symbols", (b"\0", 1, np.zeros(1, np.uint64), bytearray(2), bytearray(0))),
        ("keep", (bytes(4), 4, b"", 0, bytearray(8))),
        ("keep", (bytes(4), 3, b"", 0, bytearray(4))),
        ("keep", (bytes(4), 4, np.zeros(4097, np.uint64), 0, bytearray(4))),
        ("class_costs", (bytes(16), bytes(4), bytes(255), False, bytearray(128))),
        ("class_costs", (bytes(16), bytes(4), bytes(256), True, bytearray(64))),
        ("class_costs", (bytes(16), b"\0\1\2\x08", bytes(256), True, bytearray(128))),
        ("class_costs", (bytes(12), bytes(4), bytes(256), True, bytearray(128))),
        ("count_marks", (bytes(6), 4, 0)),
        ("count_marks", (bytes(6), 3, 0)),
        ("fill_marks", (bytearray(6), 4, 0, bytes(4))),
        ("fill_marks", (bytearray(8), 4, 0, bytes(3))),
        ("fill_marks", (bytearray(9), 3, 0, bytes(3))),
        ("spread", (bytes(2), bytes(4), 4, True, bytearray(4))),
        ("spread", (bytes(2), bytes(3), 4, True, bytearray(8))),
        ("spread", (bytes(2), bytes(3), 3, True, bytearray(6))),
        ("gather", (bytes(2), bytes(4), 4, bytearray(4))),
        ("gather", (bytes(2), bytes(8), 4, bytearray(3))),
        ("gather", (bytes(2), bytes(6), 3, bytearray(3))),
        (
            "decode_sparse",
            (bytes(2), CODE, CODE, bytes(3), 1, ROWS, 4, 4, 0, 1, 1, 4, b"", b"", False, True, bytearray(4)),
        ),
        ("symbols", (b"\0", 1, np.zeros(1, np.uint64), bytearray(0), bytearray(8))),
    ],
)
def test_native_kernels_trust_no_size(name: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=f"{name}: sizes do not fit"):
        getattr(backend.load(backend.NATIVE), name)(*arguments)


@native
@pytest.mark.parametrize("code", [LONG, (symbols_of(0), b"\1\1", -1), (b"", b"", -1), (symbols_of(0), b"\0", 1)])
def test_native_kernels_check_codes(code: object) -> None:
    with pytest.raises(ValueError, match="a code has too many symbols, none"):
        backend.load(backend.NATIVE).decode_gaps(b"\0", code, 0, 8, 1)  # type: ignore[arg-type]


# Of each kernel an array that it reads or writes, and one of another dtype in its place.
TWO_SYMBOLS, TWO_NUMBERS = np.zeros(2, np.uint16), np.zeros(2, np.int64)
TWO_ELEMENTS = np.zeros(2, np.uint32)
FITTING: list[tuple[str, tuple[object, ...]]] = [
    ("line_entries", (TWO_SYMBOLS, TWO_NUMBERS, b"", False)),
    ("line_gaps", (TWO_SYMBOLS, 2, (0, 1, 0, 2), False, b"", *BUFFERS[:2], np.full(3, -1))),
    ("gap_symbols", (TWO_NUMBERS, 3)),
    ("gap_chunks", (TWO_SYMBOLS, 3, bytes(4), 1)),
    ("scatter", (TWO_SYMBOLS, 3, np.zeros(2, np.uint32), 4, 0, 1, 2, b"", b"", np.zeros(2, np.uint32))),
    ("decode_dense", (b"\0", CODE, b"\0\1", 1, TWO_NUMBERS + np.array([0, 8]), 8, 8, 0, 1, bytearray(8))),
    ("decode_sparse", (bytes(2), CODE, CODE, b"\0\1", 1, ROWS, 4, 4, 0, 1, 1, 4, b"", b"", False, False, bytearray(4))),
    ("encode_symbols", (TWO_SYMBOLS, symbols_of(0, 1), np.ones(2, np.uint8))),
    ("chunk_bits", (TWO_SYMBOLS, np.ones(2, np.uint8), 1)),
    ("symbols", (b"\0\0", 1, np.zeros(2, np.uint64), TWO_SYMBOLS.copy(), TWO_NUMBERS.copy())),
    ("keep", (TWO_ELEMENTS, 4, np.zeros(2, np.uint64), 7, TWO_ELEMENTS.copy())),
    ("count_marks", (TWO_ELEMENTS, 4, 7)),
    ("fill_marks", (TWO_ELEMENTS.copy(), 4, 7, TWO_ELEMENTS)),
    ("spread", (b"\0\1", TWO_ELEMENTS, 4, True, TWO_ELEMENTS.copy())),
    ("gather", (b"\0\1", TWO_ELEMENTS, 4, TWO_ELEMENTS.copy())),
    ("code_lengths", (TWO_NUMBERS + 1, 12)),
]


@native
@pytest.mark.parametrize(("name", "arguments"), FITTING, ids=[name for name, _ in FITTING])
def test_native_kernels_want_whole_arrays_of_their_dtype(name: str, arguments: tuple[object, ...]) -> None:
    kernel = getattr(backend.load(backend.NATIVE), name)
    kernel(*arguments)
    for i, array in enumerate(arguments):
        if not isinstance(array, np.ndarray) or array.itemsize == 1:
            continue
        wrong = [np.repeat(array, 2, axis=-1)[..., ::2], array.astype(np.complex128)]
        # Of elements only the bytes count.
        for other in wrong[: 1 if array.dtype == np.uint32 else 2]:
            with pytest.raises((ValueError, BufferError, TypeError)):
                kernel(*arguments[:i], other, *arguments[i + 1 :])


@native
def test_native_kernels_do_not_write_to_what_is_read_only() -> None:
    out = np.zeros(2, np.uint16)
    out.flags.writeable = False
    with pytest.raises((ValueError, BufferError, TypeError)):
        backend.load(backend.NATIVE).symbols(b"\0\0", 1, np.zeros(2, np.uint64), out, TWO_NUMBERS.copy())
