"""Bytes and decoding time of the adaptive coding beside NNC (ISO/IEC 15938-17) and the Huffman codings.

    NNC_PYTHON=.venv-nnc/bin/python python benchmarks/against_nnc.py [FILE ...]     (or: make bench-nnc)

FILE is a checkpoint whose weights have few values (default: the *.pt files of $SWS_DATA/checkpoints), or a safetensors
file of floats: its matrices then get 16 values each by k-means, after 0, 70 and 90 % were pruned by magnitude.
Bytes count the coded weights and their parameters; codebooks, biases and the container are left out. Times are CPU time
of one thread, decoding to codebook symbols, both in the same run; "over NNC" is the ratio of these times. The last
column is the time to encode, scan and stride being known, over the time to decode, full set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from workloads import checkpoints, networks

from swsfmt.codings import codings_of
from swsfmt.codings.adaptive import params as adaptive
from swsfmt.codings.adaptive import plan as adaptive_plan
from swsfmt.codings.adaptive.chunks import encode
from swsfmt.codings.base import SymbolMatrix
from swsfmt.codings.matrix import matrix_shape
from swsfmt.entropy import adaptive as coder
from swsfmt.format.codebook import Codebook
from swsfmt.format.resources import Resources
from swsfmt.numpy import from_array
from swsfmt.tensor import Elements
from swsfmt.write.codebook_groups import distinct_values
from swsfmt.write.examine import survey
from swsfmt.write.file import DEFAULT_OPTIONS, propose


@dataclass(frozen=True)
class Row:
    """Sums over the layers of a network."""

    name: str
    weights: int
    huffman: int
    nnc: int
    full: int
    light: int
    full_time: float
    light_time: float
    encode_time: float


def measure(name: str, tensors: list[Elements], nnc: str) -> Row:
    huffman = full = light = 0
    times = {False: 0.0, True: 0.0}
    encoding = 0.0
    signed = {}
    for number, tensor in enumerate(tensors):
        values = distinct_values(tensor)
        assert values is not None
        book = Codebook.of(tensor.info.dtype, values)
        freedom = DEFAULT_OPTIONS.freedom(len(tensor.info.shape))
        surveys = survey(tensor, 0, book, codings_of("fast"), freedom)
        huffman += propose(tensor.info, surveys, 0, Resources(codebooks=[book]), freedom).bits // 8
        flat, counts = book.symbols_of(tensor.bits)
        symbols = flat.reshape(matrix_shape(tensor.info.shape))
        planned = adaptive_plan.plan(SymbolMatrix(tensor.info, 0, book, symbols, counts), light=False)
        assert planned is not None
        for is_light in (False, True):
            params = replace(planned[0], light=is_light, chunk_lines=0)
            start = time.thread_time()
            payload = encode(params, symbols)
            encoding += 0 if is_light else time.thread_time() - start
            lines = symbols if params.scan == 0 else symbols.T
            spent = []
            for _ in range(3):
                start = time.thread_time()
                coder.decode(payload, *lines.shape, params.model)
                spent.append(time.thread_time() - start)
            times[is_light] += min(spent)
            size = len(adaptive.write(params)) + len(payload)
            full, light = (full, light + size) if is_light else (full + size, light)
        first = adaptive.signs(book)[0]
        ranks = symbols.astype(np.int32)
        signed[str(number)] = np.where(ranks > first, first - ranks, ranks).astype(np.int32)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "layers.npz", **signed)
        worker = Path(__file__).with_name("nnc_worker.py")
        command = [nnc, worker, Path(folder) / "layers.npz"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    theirs = json.loads(done.stdout)
    seconds = sum(layer["seconds"] for layer in theirs)
    weights, size = sum(t.info.numel for t in tensors), sum(layer["bytes"] for layer in theirs)
    return Row(
        name,
        weights,
        huffman,
        size,
        full,
        light,
        times[False] / seconds,
        times[True] / seconds,
        encoding / times[False],
    )


def main() -> None:
    nnc = os.environ.get("NNC_PYTHON")
    if not nnc:
        sys.exit("NNC_PYTHON is not set: the python of an environment that has nncodec; `make bench-nnc` makes one")
    paths = [Path(name) for name in sys.argv[1:]] or checkpoints()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(
        "network | weights | Huffman | NNC | adaptive, full | light | full / NNC | time over NNC, full | light | encode"
    )
    for work in networks(paths):
        if tensors := [from_array(array) for array in work.quantised.values()]:
            row = measure(work.name, tensors, nnc)
            sizes = " | ".join(f"{n:,}" for n in (row.weights, row.huffman, row.nnc, row.full, row.light))
            times = " | ".join(f"{t:.2f}" for t in (row.full_time, row.light_time, row.encode_time))
            print(f"{work.name} | {sizes} | {row.full / row.nnc:.3f} | {times}", flush=True)


if __name__ == "__main__":
    main()
