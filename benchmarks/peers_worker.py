"""Run in an environment of its own: packages that quantise matrices, or NNC. Prints the bytes as JSON.

    python benchmarks/peers_worker.py METHOD SETTING IN.npz OUT.npz

OUT gets the floats that come out. METHOD and SETTING: hqq "BITS GROUP"; nf4 BLOCK; torchao int8 or "int4 GROUP"; nnc
"QP TRELLIS". Bytes are those of levels without gaps, of scales and zero points as float16 where the package has them
in a wider type; of NNC the payloads and 32 bytes a matrix for its header.
"""

from __future__ import annotations

import json
import sys

import numpy as np


def hqq(matrix, bits, group):  # type: ignore[no-untyped-def]
    import torch
    from hqq.core.quantize import Quantizer

    # Rows over whose ends groups would go: as one row, filled up with zeros.
    flat = torch.from_numpy(np.pad(matrix.ravel(), (0, -matrix.size % (8 * group))))[None]
    levels, meta = Quantizer.quantize(
        flat, nbits=bits, group_size=group, axis=1, optimize=True, device="cpu", compute_dtype=torch.float32
    )
    meta["scale"], meta["zero"] = meta["scale"].half().float(), meta["zero"].half().float()
    back = Quantizer.dequantize(levels, meta).float().numpy().ravel()[: matrix.size]
    return matrix.size * bits / 8 + 4 * meta["scale"].numel(), back


def nf4(matrix, block):  # type: ignore[no-untyped-def]
    import torch
    from bitsandbytes import functional

    weights = torch.from_numpy(matrix)
    levels, state = functional.quantize_4bit(weights, blocksize=block, quant_type="nf4", compress_statistics=True)
    back = functional.dequantize_4bit(levels, state).float().numpy()
    # One byte for each block, and a float for each 256 blocks.
    return levels.numel() + state.absmax.numel() + 4 * state.state2.absmax.numel(), back


def torchao(matrix, kind, group=0):  # type: ignore[no-untyped-def]
    import torch
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    if kind != "int8":
        matrix = np.pad(matrix.ravel(), (0, -matrix.size % group)).reshape(-1, group)
    layer = torch.nn.Sequential(torch.nn.Linear(matrix.shape[1], matrix.shape[0], bias=False))
    layer[0].weight.data.copy_(torch.from_numpy(matrix))
    quantize_(layer, Int8WeightOnlyConfig() if kind == "int8" else IntxWeightOnlyConfig(torch.int4, PerGroup(group)))
    back = layer[0].weight.dequantize().detach().float().numpy()
    return matrix.size // (1 if kind == "int8" else 2) + 2 * len(matrix), back


def nnc(matrix, qp, trellis):  # type: ignore[no-untyped-def]
    from nncodec.extensions import deepCABAC  # type: ignore[import-not-found]
    from nncodec.nnc_core.hdsp.hdsp_tool import HDSP_OPTS_OFF  # type: ignore[import-not-found]

    # Its defaults: 2 bits of fraction of qp, unary up to 10 and one more, no lambda of one's own.
    density, unary = 2, 11
    levels = np.zeros(matrix.shape, np.int32)
    encoder = deepCABAC.Encoder()
    encoder.initCtxModels(unary, 0)
    qp = encoder.quantLayer(matrix, levels, trellis, density, qp, 0.0, unary - 1, 0, 0)
    encoder = deepCABAC.Encoder()
    encoder.initCtxModels(unary, 1)
    encoder.encodeLayer(levels, trellis, 0, 0, 0, 0, np.zeros(len(levels), np.int32), *HDSP_OPTS_OFF(), 0, 0)
    code = np.array(encoder.finish())
    decoder = deepCABAC.Decoder()
    decoder.setStream(code)
    decoder.initCtxModels(unary)
    decoded, back = np.zeros(matrix.shape, np.int32), np.zeros(matrix.shape, np.float32)
    decoder.decodeLayer(decoded, trellis, 0, 0, 0, *HDSP_OPTS_OFF(), 0, 0)
    deepCABAC.Decoder().dequantLayer(back, decoded, density, qp, 0)
    return len(code) + 32, back


def main():  # type: ignore[no-untyped-def]
    method, setting, source, target = sys.argv[1:]
    function = {"hqq": hqq, "nf4": nf4, "torchao": torchao, "nnc": nnc}[method]
    settings = [part if part.startswith("int") else int(part) for part in setting.split()]
    size, out = 0, {}
    for name, matrix in np.load(source).items():
        count, back = function(np.ascontiguousarray(matrix), *settings)
        size += count
        out[name] = back.ravel()[: matrix.size]
    np.savez(target, **out)
    print(json.dumps({"bytes": int(size)}))


main()
