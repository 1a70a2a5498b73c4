"""A coding without a codebook that brings a code table: those behind it are numbered as a reader numbers them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import swsfmt
from swsfmt.codings import register, unregister
from swsfmt.codings.base import Coding, Decoded, Payload, Proposal
from swsfmt.codings.streams import Stream, StreamKind, number_tables, read_stream
from swsfmt.dtypes import Bits
from swsfmt.entropy import encoding, kernels
from swsfmt.entropy.bits import BitWriter
from swsfmt.entropy.code_table import cheapest_code, write_table
from swsfmt.errors import PayloadError
from swsfmt.format.cursor import Cursor
from swsfmt.format.resources import Resources
from swsfmt.format.sections import Section, Span
from swsfmt.tensor import Elements, Loadable, TensorInfo


class HuffmanBytes(Coding[Stream]):
    """The bytes of a U8 tensor in a Huffman code of their own."""

    id = 14
    name = "huffman bytes"

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Stream:
        with cursor.packed() as reader:
            return read_stream(StreamKind.NEW_TABLE, 0, 256, reader, resources)

    def write(self, params: Stream, resources: Resources) -> bytes:
        writer = BitWriter()
        write_table(writer, params.code)
        return writer.to_bytes()

    def decode(
        self, params: Stream, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        from swsfmt.entropy.bits import BitReader

        reader = BitReader(payload, PayloadError)
        symbols, _ = kernels.decode_symbols(reader.bits, 0, tensor.numel, params.code)
        return Decoded(symbols.astype(np.uint8), [Span(Section.VALUES, 0, 8 * len(payload))])

    def propose_plain(self, elements: Elements, values: Bits | None) -> Proposal | None:
        if elements.info.dtype.name != "U8" or elements.info.numel < 100:
            return None
        code, size = cheapest_code(np.bincount(elements.bits, minlength=256))
        return Proposal(self, Stream(StreamKind.NEW_TABLE, code), size + 8)

    def number_resources(self, params: Stream, resources: Resources) -> None:
        number_tables([params], resources)

    def encode(self, params: Stream, tensor: Loadable, threads: int = 1) -> tuple[Stream, bytes]:
        return params, encoding.encode_symbols(tensor.load().bits.astype(np.uint16), params.code).tobytes()


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register(HuffmanBytes())
    yield
    unregister(14)


def test_tables_behind_it_are_found() -> None:
    random = np.random.default_rng(0)
    values = np.float32([0.5, 1, 2, 3, 4, 5, 6, 7])
    skewed = np.array([0.5, 0.2, 0.1, 0.08, 0.05, 0.04, 0.02, 0.01])
    arrays = {
        "bytes": np.minimum(random.geometric(0.02, 20000), 255).astype(np.uint8),
        **{f"dense{i}": random.choice(values, 3000, p=skewed) for i in range(3)},
    }
    data = swsfmt.save(arrays)
    report = swsfmt.verify(data)
    assert [tensor.coding for tensor in report.tensors] == ["huffman bytes", "dense", "dense", "dense"]
    # The last two refer to the table of the first dense one, which is not the first table of the file.
    assert report.tensors[2].section_bits["code_tables"] == 8
    for name, array in swsfmt.load(data).items():
        assert np.array_equal(array, arrays[name])
