"""The kernels in Python, on top of bitarray and NumPy: to be read, and to run where C was not built.

See `protocol.Kernels` for what each one does.
"""

from .adaptive import adaptive_decode, adaptive_encode
from .elements import distinct, symbols
from .entries import gap_chunks, gap_symbols, line_entries, line_gaps
from .heads import record_head
from .lengths import code_lengths
from .packed import read_runs, read_table
from .scatter import decode_sparse, scatter
from .streams import chunk_bits, decode_dense, decode_gaps, decode_stream, encode_symbols

__all__ = [
    "adaptive_decode",
    "adaptive_encode",
    "chunk_bits",
    "code_lengths",
    "decode_dense",
    "decode_gaps",
    "decode_sparse",
    "decode_stream",
    "distinct",
    "encode_symbols",
    "gap_chunks",
    "gap_symbols",
    "line_entries",
    "line_gaps",
    "read_runs",
    "read_table",
    "record_head",
    "scatter",
    "symbols",
]
