"""Symbols to bits, in parts for threads. See `kernels` for the way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from bitarray import bitarray

from ..errors import ChangedError
from . import backend
from .arrays import Symbols
from .kernels import in_parts
from .prefix_code import PrefixCode

# Elements that a thread must have.
_PART = 1 << 18


def chunk_bits(symbols: Symbols, code: PrefixCode, chunk: int, threads: int = 1) -> npt.NDArray[np.int64]:
    """The bits that the symbols of each chunk of `chunk` symbols take: int64 of shape (chunks,)."""
    data, kernels = np.ascontiguousarray(symbols), backend.kernels
    parts = in_parts(
        lambda i, j: np.frombuffer(kernels.chunk_bits(data[i * chunk : j * chunk], code.lengths, chunk), np.int64),
        -(-len(data) // chunk),
        threads,
        -(-_PART // chunk),
    )
    return np.concatenate(parts)


def encode_symbols(symbols: Symbols, code: PrefixCode, threads: int = 1) -> bitarray:
    """The bits of `symbols`. Raises `ChangedError` for one that has no codeword: the code was made for all of them."""
    return _joined(_encode_parts(symbols, code, threads))


def _joined(parts: Sequence[tuple[bytes, int]]) -> bitarray:
    first, *others = parts or [(b"", 0)]
    bits = bitarray(buffer=first[0], endian="little")[: first[1]]
    for data, count in others:
        end = len(bits) + count
        bits.extend(bitarray(buffer=data, endian="little"))
        del bits[end:]
    return bits


def encode_stream(symbols: Symbols, code: PrefixCode, threads: int = 1) -> bytes:
    """The same, filled up with zeros to a whole byte."""
    parts = _encode_parts(symbols, code, threads)
    if all(count % 8 == 0 for _, count in parts[:-1]):
        return parts[0][0] if len(parts) == 1 else b"".join(data for data, _ in parts)
    return _joined(parts).tobytes()


def _encode_parts(symbols: Symbols, code: PrefixCode, threads: int) -> list[tuple[bytes, int]]:
    """Bytes, and how many bits they hold, of what each thread has encoded."""
    if code.single is not None:
        if not bool((symbols == code.single).all()):
            raise ChangedError
        return []
    ids, kernels = np.ascontiguousarray(symbols), backend.kernels
    parts = in_parts(
        lambda i, j: kernels.encode_symbols(ids[i:j], code.codewords, code.lengths), len(ids), threads, _PART
    )
    encoded = [part for part in parts if part is not None]
    if len(encoded) < len(parts):
        raise ChangedError
    return encoded
