"""Part of a tensor, from the chunks that it needs and no others.

`decode_range` gives the elements first to last - 1 of a tensor in C order. Where a coding has no restart points it
decodes the whole tensor. Raises `PayloadError`, as `decode` does, for the chunks that it reads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import dtypes
from ..dtypes import Bits
from ..entropy import kernels
from ..entropy.bits import BitReader
from ..errors import PayloadError
from ..tensor import TensorInfo
from . import BY_ID, dense, narrow, raw
from .adaptive import params as adaptive
from .common import Payload
from .sparse import params as sparse
from .sparse.entries import flat_positions
from .sparse.matrix import matrix_shape


def decode_range(coding: int, params: Any, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    """Elements as unsigned integers, flat (bytes where an element has 16)."""
    if isinstance(params, raw.Params):
        part = payload[first * tensor.dtype.itemsize : last * tensor.dtype.itemsize]
        return raw.decode(params, TensorInfo(tensor.dtype, (last - first,)), part).bits
    if isinstance(params, narrow.Params):
        stored = np.frombuffer(payload, params.storage.bits)[first:last]
        return dtypes.widen(stored, params.storage, tensor.dtype)
    if isinstance(params, dense.Params) and last > first:
        reader = BitReader(payload, PayloadError)
        chunks = dense.chunk_starts(params, tensor.numel, reader)
        if chunks is not None:
            return _dense(params, tensor, reader, *chunks, first, last)
    if isinstance(params, sparse.Params) and params.coded is not None and last > first:
        coded = params.coded
        if coded.chunks.code and coded.scan == sparse.Scan.ROWS:
            return _sparse(params.entries, coded, tensor, payload, first, last)
    if isinstance(params, adaptive.Params) and params.chunk_lines and last > first and params.scan == sparse.Scan.ROWS:
        return _adaptive(params, tensor, payload, first, last)
    bits: Bits = BY_ID[coding].decode(params, tensor, payload).bits[first:last]
    return bits


def _dense(
    params: dense.Params,
    tensor: TensorInfo,
    reader: BitReader,
    size: int,
    starts: npt.NDArray[np.int64],
    first: int,
    last: int,
) -> Bits:
    begin, end = first // size, -(-last // size)
    total = min(end * size, tensor.numel) - begin * size
    symbols = _symbols(reader, starts[begin], starts[end], total, params.stream.code)
    return params.codebook.symbols[symbols[first - begin * size : last - begin * size]]


def _adaptive(params: adaptive.Params, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    chunks = adaptive.chunk_starts(params, tensor)
    _, parts = adaptive.split(payload, len(chunks))
    rows, columns = matrix_shape(tensor.shape)
    size = params.chunk_lines * columns
    begin, end = first // size, -(-last // size)
    wanted = range(begin * params.chunk_lines, min(end * params.chunk_lines, rows))
    part = TensorInfo(tensor.dtype, (len(wanted), columns))
    starts = range(0, len(wanted), params.chunk_lines)
    out = np.empty(part.numel, tensor.dtype.bits)
    adaptive.decode_chunks(params, part, starts, parts[begin:end], out, 1)
    return out[first - begin * size : last - begin * size]


def _sparse(entries: int, p: sparse.Coded, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
    reader = BitReader(payload, PayloadError)
    told = sparse.read_chunk_table(reader, entries, p)
    starts = sparse.chunk_starts(told, reader.position)
    # Elements first to last lie in these positions of the compacted matrix.
    wanted = [_position(p, first), _position(p, last)]
    begin = max(0, int(np.searchsorted(starts[:, 2], wanted[0], "right")) - 1)
    end = min(len(told), int(np.searchsorted(starts[:, 2], wanted[1], "left")))
    out = np.zeros(last - first, tensor.dtype.bits)
    if end <= begin:
        return out
    count = min(end * p.chunks.size, entries) - begin * p.chunks.size
    gaps, position = kernels.decode_gaps(reader.bits, int(starts[begin, 0]), count, p.gaps.code)
    if position != starts[end, 0]:
        raise PayloadError(f"chunk {end - 1} does not end where the next one starts")
    values = _symbols(reader, starts[begin, 1], starts[end, 1], count, p.values.code)
    positions = int(starts[begin, 2]) + flat_positions(gaps, p.pbits)
    if int(positions[-1]) != starts[end, 2] - 1 or starts[end, 2] > p.matrix.size:
        raise PayloadError(f"chunk {end - 1} does not agree with its advance")
    keep = (positions >= wanted[0]) & (positions < wanted[1])
    places = p.matrix.flat_indices(positions[keep], p.scan)
    inside = (places >= first) & (places < last)
    out[places[inside] - first] = p.codebook.values[values[keep][inside]]
    return out


def _symbols(reader: BitReader, start: int, end: int, count: int, code: Any) -> npt.NDArray[np.uint16]:
    if end > len(reader.bits):
        raise PayloadError("the chunk table tells of more bits than there are")
    symbols, position = kernels.decode_symbols(reader.bits, int(start), count, code)
    if position != end:
        raise PayloadError("a chunk does not end where the next one starts")
    return symbols


def _position(p: sparse.Coded, element: int) -> int:
    """The first position that lies at `element` or behind it."""
    row, column = divmod(element, p.matrix.columns)
    rows, columns = p.matrix.live_rows, p.matrix.live_columns
    before = row if rows is None else int(np.count_nonzero(rows[:row]))
    if rows is not None and row < p.matrix.rows and not rows[row]:
        column = 0
    left = column if columns is None else int(np.count_nonzero(columns[:column]))
    return before * p.matrix.line_length(p.scan) + left
