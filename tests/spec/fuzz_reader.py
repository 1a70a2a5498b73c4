"""A fuzz target: any bytes give tensors or an `SwsError`, the same with the kernels in C and with those in Python; and
those tensors give a file, the same with both.

    python tests/spec/fuzz_reader.py --seconds 60 [--seed N]      mutations of the vectors of the specification
    python tests/spec/fuzz_reader.py --atheris [CORPUS ...]       under atheris, where it is installed

`make fuzz` runs it on kernels built with the address and undefined-behaviour sanitizers. Checksums are taken for right,
so that mutations get past them.
"""

from __future__ import annotations

import random
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

from swsfmt import Limits, SwsError
from swsfmt.entropy import backend
from swsfmt.format import index
from swsfmt.read import reader
from swsfmt.read.reader import Reader
from swsfmt.tensor import Elements
from swsfmt.write.file import encode
from swsfmt.write.options import Options

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors"
OPTIONS = [Options(profile="default"), Options(profile="small")]
# To encode takes longer: of so many files one, and of tensors of so many elements at most.
ONE_IN, MOST_ENCODED = 16, 1 << 13
LIMITS = Limits(max_decoded_bytes=1 << 17, max_tensors=64, max_index_bytes=1 << 16, max_bitmap_bits=1 << 14)


class _Equal(int):
    """A checksum that is always right."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


@contextmanager
def without_checksums() -> Iterator[None]:
    def always(*_: object) -> _Equal:
        return _Equal()

    with patch.object(index, "crc32", always), patch.object(reader, "crc32", always):
        yield


def outcome(data: bytes) -> list[tuple[str, Any]]:
    """What a reader makes of a file: the elements of each tensor, or the error."""
    out: list[tuple[str, Any]] = []
    try:
        with Reader.open(data, LIMITS) as opened:
            for record in opened.records:
                try:
                    out.append((record.name, opened.decode(opened.resolve(record)).bits.tobytes()))
                except SwsError as error:
                    out.append((record.name, type(error).__name__))
    except SwsError as error:
        out.append(("", type(error).__name__))
    return out


def encoded(data: bytes) -> bytes:
    """A file of the tensors in a file, which must come back: all kernels of the encoder see them."""
    tensors: dict[str, Elements] = {}
    try:
        with Reader.open(data, LIMITS) as opened:
            for record in opened.records:
                with suppress(SwsError):
                    record = opened.resolve(record)
                    if record.info is not None and record.info.numel <= MOST_ENCODED:
                        tensors[record.name] = Elements(record.info, opened.decode(record).bits.copy())
    except SwsError:
        return b""
    file = encode(tensors, options=OPTIONS[len(data) % len(OPTIONS)], threads=1)
    with Reader.open(file) as opened:
        for record in opened.records:
            assert opened.decode(record).bits.tobytes() == tensors[record.name].bits.tobytes()
    return file


def test_one_input(data: bytes) -> None:
    """The target itself. Raises what is not an `SwsError`, and `AssertionError` where the kernels do not agree."""
    found, is_encoded = outcome(data), zlib.crc32(data) % ONE_IN == 0
    file = encoded(data) if is_encoded else b""
    if backend.active() == backend.NATIVE:
        with backend.use(backend.BITARRAY):
            assert outcome(data) == found
            assert not is_encoded or encoded(data) == file


def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(VECTORS.glob("*valid/*.sws"))]


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, inserted, taken away or taken from another file; the index keeps its length where it can."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            out[at:at] = bytes([rng.randrange(256)]) * rng.choice((1, 1, 2, 9))
        elif kind == 3:
            del out[at : at + rng.choice((1, 1, 2, 9))]
        elif kind == 4 and other:
            start = rng.randrange(len(other))
            piece = other[start : start + rng.randrange(1, 40)]
            out[at : at + len(piece)] = piece
        elif at < len(out):
            out[at:] = bytes(rng.randrange(256) for _ in range(len(out) - at))
    if len(out) > 11 and out[:10] == data[:10] and rng.random() < 0.8:
        # The length of a file and of its index are checked first of all: most mutations would get no further.
        del out[len(data) :]
        out += bytes(len(data) - len(out))
    return bytes(out)


def run(seed: int, until: Callable[[int], bool]) -> int:
    """Try mutations until told to stop; how many there were. Failing input is written to fuzz-failure.sws."""
    rng, seeds, count = random.Random(seed), corpus(), 0
    with without_checksums():
        while not until(count):
            data = mutated(rng.choice(seeds), rng.choice(seeds), rng)
            try:
                test_one_input(data)
            except BaseException:
                Path("fuzz-failure.sws").write_bytes(data)
                raise
            count += 1
    return count


@click.command()
@click.option("--seconds", default=60, show_default=True, help="How long to try.")
@click.option("--seed", default=0, show_default=True)
@click.option("--atheris", "under_atheris", is_flag=True, help="Run under atheris, with its own mutations.")
@click.argument("arguments", nargs=-1)
def main(seconds: int, seed: int, under_atheris: bool, arguments: tuple[str, ...]) -> None:
    if under_atheris:
        import atheris  # type: ignore[import-not-found]

        with without_checksums():
            atheris.instrument_all()
            atheris.Setup([sys.argv[0], *arguments], test_one_input)
            atheris.Fuzz()
        return
    end = time.monotonic() + seconds
    count = run(seed, lambda _: time.monotonic() >= end)
    click.echo(f"{count:,} files, kernels: {backend.active()}, no finding")


if __name__ == "__main__":
    main()
