"""Who decodes and encodes in `speed.py`: swsfmt, copies of memory, other formats, other entropy coders."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import brotli  # type: ignore[import-not-found]
import constriction  # type: ignore[import-not-found]
import dahuffman  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch
import zstandard  # type: ignore[import-not-found]
from bitarray import bitarray, decodetree
from bitarray.util import canonical_huffman
from isal import isal_zlib
from workloads import Workload

import swsfmt
from swsfmt.entropy import encoding, kernels

# Slow coders deal with a part of the ids, at least this many of them.
FEWEST = 200_000
# Symbols between two restart points, as the writer has it.
CHUNK = 8192


@dataclass(frozen=True)
class Contestant:
    """run : returns its seconds where it measures them itself
    part : of the weights that `run` deals with
    size : bytes of what is decoded or made, where all weights are in it
    """

    name: str
    run: Callable[[], object]
    part: float = 1.0
    size: int | None = None


class Ids:
    """The places of all quantised weights of a network among the sorted values of their matrix, zero first.

    matrices : uint8. all : the same, flat, one after the other.
    layers : the matrices, signed, zero for the value zero (or the first one), as NNC has them.
    """

    def __init__(self, work: Workload) -> None:
        self.matrices, self.layers = {}, {}
        for name, array in work.quantised.items():
            values, ids = np.unique(array, return_inverse=True)
            zero = int(np.searchsorted(values, 0)) if 0 in values else 0
            self.layers[name] = (ids.reshape(len(array), -1) - zero).astype(np.int32)
            places = np.concatenate([np.arange(1, zero + 1), [0], np.arange(zero + 1, len(values))])
            self.matrices[name] = places.astype(np.uint8)[ids].reshape(len(array), -1)
        self.all = np.concatenate([matrix.ravel() for matrix in self.matrices.values()])
        self.share = self.all.size / sum(a.size for a in work.tensors.values())

    def first(self, part: float) -> tuple[npt.NDArray[np.uint8], float]:
        """A part of the ids, and what part of all weights that is."""
        count = min(self.all.size, max(int(self.all.size * part), FEWEST))
        return self.all[:count], count / self.all.size * self.share


def formats(work: Workload, folder: Path) -> list[Contestant]:
    """All tensors, from memory and from a file."""
    tensors = work.tensors
    paths = {suffix: folder / f"model.{suffix}" for suffix in ("sws", "safetensors", "pt")}
    fast, small = swsfmt.save(tensors), swsfmt.save(tensors, profile="small", contexts="light")
    paths["sws"].write_bytes(fast)
    safetensors.numpy.save_file(tensors, paths["safetensors"])
    torch.save({name: torch.from_numpy(a) for name, a in tensors.items()}, paths["pt"])
    there = {name: np.empty_like(a) for name, a in tensors.items()}

    def copy_there() -> None:
        for name, array in tensors.items():
            np.copyto(there[name], array)

    return [
        Contestant("copy", lambda: [np.copy(a) for a in tensors.values()]),
        Contestant("copy, out=", copy_there),
        Contestant("filling new memory", lambda: [np.empty_like(a).fill(0) for a in tensors.values()]),
        Contestant("CRC-32 of the .sws file, zlib", lambda: zlib.crc32(fast)),
        Contestant("CRC-32 of the .sws file, isal", lambda: isal_zlib.crc32(fast)),
        Contestant("swsfmt.load", lambda: swsfmt.load(fast, threads=1), size=len(fast)),
        Contestant("swsfmt.load, out=", lambda: swsfmt.load(fast, threads=1, out=there), size=len(fast)),
        Contestant("swsfmt.load_file", lambda: swsfmt.load_file(paths["sws"], threads=1), size=len(fast)),
        Contestant("swsfmt.load, small, light", lambda: swsfmt.load(small, threads=1), size=len(small)),
        Contestant(
            "safetensors load_file",
            lambda: safetensors.numpy.load_file(paths["safetensors"]),
            size=paths["safetensors"].stat().st_size,
        ),
        Contestant("torch.load", lambda: torch.load(paths["pt"], weights_only=True), size=paths["pt"].stat().st_size),
    ]


def coders(ids: Ids) -> Iterator[tuple[Contestant, Contestant | None]]:
    """Decoders of ids, and the encoders that belong to them. Each is checked once."""
    flat, share = ids.first(1)
    counts = np.bincount(flat)
    yield from _own(flat, share, counts)
    yield from _own_files(ids)
    yield from _compressors(ids)
    yield _constriction(*ids.first(1 / 10), counts)
    yield from _bitarray(*ids.first(1 / 50), counts)
    yield _dahuffman(*ids.first(1 / 100), counts)


def _compressors(ids: Ids) -> Iterator[tuple[Contestant, Contestant | None]]:
    flat, share = ids.first(1)
    small, there = zstandard.ZstdCompressor(3).compress(flat), np.empty_like(flat)

    def expand_there() -> None:
        zstandard.ZstdDecompressor().stream_reader(small).readinto(there)

    expand_there()
    assert np.array_equal(there, flat)
    yield Contestant("zstd -3, out=", expand_there, share), None
    expand = zstandard.ZstdDecompressor().decompress
    for name, part, pack, unpack in (
        ("zstd -3", 1, zstandard.ZstdCompressor(3).compress, expand),
        ("zstd -19", 1 / 8, zstandard.ZstdCompressor(19).compress, expand),
        ("brotli", 1 / 8, lambda data: brotli.compress(data, quality=9), brotli.decompress),
    ):
        flat, share = ids.first(part)
        data = flat.tobytes()
        packed = pack(data)
        assert unpack(packed) == data
        yield (
            Contestant(name, lambda unpack=unpack, packed=packed: unpack(packed), share),  # type: ignore[misc]
            Contestant(name, lambda pack=pack, data=data: pack(data), share) if part == 1 else None,  # type: ignore[misc]
        )


Pair = tuple[Contestant, Contestant]


def _own(
    flat: npt.NDArray[np.uint8], share: float, counts: npt.NDArray[np.int64]
) -> Iterator[tuple[Contestant, Contestant | None]]:
    """In chunks, as the files of swsfmt have it."""
    symbols = flat.astype(np.uint16)
    code = kernels.PrefixCode.optimal(counts)
    stream = encoding.encode_symbols(symbols, code)
    starts = np.concatenate([[0], np.cumsum(encoding.chunk_bits(symbols, code, CHUNK))]).astype(np.int64)
    identity = np.arange(code.alphabet, dtype=np.uint8)

    def decode() -> npt.NDArray[np.unsignedinteger] | None:
        return kernels.decode_dense(stream, starts, CHUNK, flat.size, code, identity)

    def encode() -> bitarray:
        return encoding.encode_symbols(symbols, code)

    def decode_there() -> None:
        kernels.decode_dense(stream, starts, CHUNK, flat.size, code, identity, out=there)

    there = np.empty_like(flat)
    assert np.array_equal(decode(), flat)
    yield (
        Contestant("swsfmt, Huffman codes to ids", decode, share),
        Contestant("swsfmt, ids to Huffman codes", encode, share),
    )
    yield Contestant("swsfmt, Huffman codes to ids, out=", decode_there, share), None


def _own_files(ids: Ids) -> Iterator[tuple[Contestant, Contestant | None]]:
    """Whole files that hold the ids as they are, checksum and all, in the coding that is smallest for them."""
    data = swsfmt.save(ids.matrices)
    there = {name: np.empty_like(matrix) for name, matrix in ids.matrices.items()}
    swsfmt.load(data, out=there)
    assert all(np.array_equal(there[name], matrix) for name, matrix in ids.matrices.items())
    yield Contestant("swsfmt.load, file of ids", lambda: swsfmt.load(data, threads=1), ids.share, len(data)), None
    yield (
        Contestant(
            "swsfmt.load, file of ids, out=", lambda: swsfmt.load(data, threads=1, out=there), ids.share, len(data)
        ),
        Contestant("swsfmt.save, file of ids", lambda: swsfmt.save(ids.matrices, threads=1), ids.share),
    )


def _constriction(flat: npt.NDArray[np.uint8], share: float, counts: npt.NDArray[np.int64]) -> Pair:
    symbols = flat.astype(np.int32)
    model = constriction.stream.model.Categorical((counts / counts.sum()).astype(np.float32), perfect=False)

    def encode() -> npt.NDArray[np.uint32]:
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(symbols, model)
        return coder.get_compressed()

    def decode() -> npt.NDArray[np.int32]:
        return constriction.stream.stack.AnsCoder(packed).decode(model, symbols.size)

    packed = encode()
    assert np.array_equal(decode(), symbols)
    return Contestant("constriction, ANS", decode, share), Contestant("constriction, ANS", encode, share)


def _bitarray(
    flat: npt.NDArray[np.uint8], share: float, counts: npt.NDArray[np.int64]
) -> Iterator[tuple[Contestant, Contestant | None]]:
    """It gives an iterator of ids; what it takes to get float32 from that is a contestant of its own."""
    symbols, values = flat.tolist(), np.arange(len(counts), dtype=np.float32)
    codes, _, _ = canonical_huffman({symbol: int(count) for symbol, count in enumerate(counts) if count})
    tree = decodetree(codes)

    def encode() -> bitarray:
        coded = bitarray()
        coded.encode(codes, symbols)
        return coded

    coded = encode()
    assert list(coded.decode(tree)) == symbols
    yield (
        Contestant("bitarray to a list of ids", lambda: list(coded.decode(tree)), share),
        Contestant("bitarray", encode, share),
    )
    yield Contestant("bitarray to float32", lambda: values[np.fromiter(coded.decode(tree), np.uint8)], share), None


def _dahuffman(flat: npt.NDArray[np.uint8], share: float, counts: npt.NDArray[np.int64]) -> Pair:
    symbols = flat.tolist()
    codec = dahuffman.HuffmanCodec.from_frequencies({s: int(count) for s, count in enumerate(counts) if count})
    coded = codec.encode(symbols)
    assert codec.decode(coded) == symbols
    return (
        Contestant("dahuffman", lambda: codec.decode(coded), share),
        Contestant("dahuffman", lambda: codec.encode(symbols), share),
    )


@contextmanager
def nnc(ids: Ids, python: str) -> Iterator[Contestant]:
    """NNCodec's DeepCABAC in a process of its own that waits for its turns. Of a large network it gets the first rows
    of each layer.
    """
    part = min(1.0, 5 * FEWEST / ids.all.size)
    layers = {name: layer[: max(1, int(part * len(layer)))] for name, layer in ids.layers.items()}
    share = sum(layer.size for layer in layers.values()) / ids.all.size * ids.share
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.savez(folder / "layers.npz", **{str(number): layer for number, layer in enumerate(layers.values())})
        command = [python, Path(__file__).with_name("nnc_worker.py"), folder / "layers.npz", "--serve"]
        worker = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        stack.callback(worker.stdin.close)
        if not worker.stdout.readline():
            sys.exit("nncodec failed")
        ask, answer = worker.stdin, worker.stdout

        def turn() -> float:
            ask.write("decode\n")
            ask.flush()
            return float(json.loads(answer.readline())["seconds"])

        yield Contestant("NNCodec", turn, share)


def savers(work: Workload) -> list[Contestant]:
    tensors = work.tensors

    def torch_save() -> None:
        torch.save({name: torch.from_numpy(a) for name, a in tensors.items()}, io.BytesIO())

    fewer = {name: a[: max(1, len(a) // 10)] for name, a in tensors.items()}
    part = sum(a.size for a in fewer.values()) / sum(a.size for a in tensors.values())
    return [
        Contestant("copy", lambda: [np.copy(a) for a in tensors.values()]),
        Contestant("swsfmt.save", lambda: swsfmt.save(tensors, threads=1)),
        Contestant(
            "swsfmt.save, small, light", lambda: swsfmt.save(fewer, profile="small", contexts="light", threads=1), part
        ),
        Contestant("safetensors save", lambda: safetensors.numpy.save(tensors)),
        Contestant("torch.save", torch_save),
    ]
