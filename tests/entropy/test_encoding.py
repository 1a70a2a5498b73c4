"""Streams of symbols, whole and cut for threads."""

from __future__ import annotations

import numpy as np
import pytest

from swsfmt.entropy import backend, encoding, kernels
from swsfmt.entropy.prefix_code import PrefixCode

pytestmark = pytest.mark.usefixtures("each_kernel")


@pytest.mark.parametrize("count", [1, 7, 63, 64, 65, 1000, (1 << 19) + 3])
@pytest.mark.parametrize("lengths", [(7,) * 128, (3,) * 8, (12,) * 4096, (1, 2, 3, 3)])
def test_a_stream_is_the_same_in_threads(count: int, lengths: tuple[int, ...]) -> None:
    """Codewords of one length and of several, with a tail and without, cut for threads where they end within a byte."""
    if backend.active() != backend.NATIVE and count > 1000:
        pytest.skip("the twin takes too long")
    code = PrefixCode.canonical(np.array(lengths, np.uint8))
    symbols = np.random.default_rng(count).integers(0, len(lengths), count).astype(np.uint16)
    bits = encoding.encode_symbols(symbols, code)
    assert len(bits) == sum(lengths[symbol] for symbol in symbols.tolist())
    assert np.array_equal(kernels.decode_symbols(bits, 0, count, code)[0], symbols)
    for threads in (1, 2, 3):
        assert encoding.encode_stream(symbols, code, threads) == bits.tobytes()
        assert encoding.encode_symbols(symbols, code, threads) == bits
