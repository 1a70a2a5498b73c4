"""Run in an environment of its own that has nncodec: sizes and times of NNC (ISO/IEC 15938-17, DeepCABAC).

    python benchmarks/nnc_worker.py FILE.npz            one int32 matrix for each layer; prints JSON
    python benchmarks/nnc_worker.py FILE.npz --serve    then decodes all layers at each line of the input

For each layer the smallest of all settings that its coder has: unary length, adaptive context parameters, row skipping,
scan order, and the matrix transposed. Times are CPU time of this thread, the least of three.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import product

import numpy as np
from nncodec.extensions import deepCABAC  # type: ignore[import-not-found]
from nncodec.nnc_core.hdsp.hdsp_tool import HDSP_OPTS_OFF  # type: ignore[import-not-found]

# Above this size, or where only times count, only the settings that win on large layers are tried.
LARGE = 0 if "--serve" in sys.argv else 1 << 20


def encode(matrix, unary, adaptive, scan, profile, skip):  # type: ignore[no-untyped-def]
    coder = deepCABAC.Encoder()
    coder.initCtxModels(unary, adaptive)
    dead = np.array([profile and not row.any() for row in matrix], np.int32)
    coder.encodeLayer(matrix, 0, scan, profile, 0, skip, dead, *HDSP_OPTS_OFF(), 0, 0)
    return np.array(coder.finish())


def decode(code, shape, unary, scan, profile):  # type: ignore[no-untyped-def]
    coder = deepCABAC.Decoder()
    coder.setStream(code)
    coder.initCtxModels(unary)
    out = np.zeros(shape, np.int32)
    start = time.thread_time()
    coder.decodeLayer(out, 0, scan, profile, 0, *HDSP_OPTS_OFF(), 0, 0)
    return out, time.thread_time() - start


def best_of(layer):  # type: ignore[no-untyped-def]
    large = layer.size > LARGE
    found = []
    for unary, adaptive, scan, (profile, skip), turn in product(
        (6, 10) if large else (1, 2, 4, 6, 10),
        (1,) if large else (0, 1),
        (0,) if large else (0, 1, 2, 3, 4),
        ((0, 0), (1, 0), (1, 1)),
        (False,) if large else (False, True),
    ):
        matrix = np.ascontiguousarray(layer.T if turn else layer)
        if scan and min(matrix.shape) < 8:
            continue
        found.append((encode(matrix, unary, adaptive, scan, profile, skip), matrix, unary, scan, profile))
    # Some settings do not give large layers back as they were.
    for code, matrix, unary, scan, profile in sorted(found, key=lambda one: len(one[0])):
        arguments = code, matrix.shape, unary, scan, profile
        if np.array_equal(decode(*arguments)[0], matrix):
            return arguments
    raise SystemExit("nncodec gives back nothing as it was")


def main():  # type: ignore[no-untyped-def]
    layers = [best_of(layer) for layer in np.load(sys.argv[1]).values()]
    if "--serve" not in sys.argv:
        seconds = [min(decode(*layer)[1] for _ in range(3)) for layer in layers]
        print(json.dumps([{"bytes": len(layer[0]), "seconds": s} for layer, s in zip(layers, seconds, strict=True)]))
        return
    print(json.dumps({"bytes": sum(len(layer[0]) for layer in layers)}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"seconds": sum(decode(*layer)[1] for layer in layers)}), flush=True)


main()
