"""Ways to quantise that are not ours, each to a whole file on disk and the floats that come out of it.

Those of llama.cpp are its own kernels (package xllamacpp), in a GGUF file that package `gguf` writes and dequantises.
HQQ, NF4 and torchao run in an environment of their own, which $PEERS_PYTHON names, and NNC (ISO/IEC 15938-17) in that
of $NNC_PYTHON; without them they are left out:

    python -m venv .venv-peers && .venv-peers/bin/pip install --no-deps torchao hqq termcolor bitsandbytes
    (it needs torch and NumPy too: a .pth file with the path of an environment that has them will do)

Everywhere matrices of MIN_WEIGHTS weights or more are quantised, the others stored as float16, and names left out.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from package_models import LLAMA_CPP, package_file
from safetensors.numpy import save_file

import swsfmt.torch
from swsfmt.codings.base import Profile
from swsfmt.torch import Scaled

Array = npt.NDArray[np.float32]
State = dict[str, Array]
MIN_WEIGHTS = 1024
# In root mean squares of all weights, and whether with the trellis.
NNC_STEPS = ((0.15, 1), (0.11, 1), (0.08, 1), (0.03, 1), (0.02, 1), (0.3, 1), (0.15, 0), (0.08, 0))


@dataclass(frozen=True)
class Peer:
    """quantize : a model's tensors -> the bytes of a file, and the tensors that it gives back.

    data_free : whether it needs no inputs
    """

    name: str
    quantize: Callable[[State], tuple[int, State]]
    data_free: bool = True


def is_matrix(array: Array) -> bool:
    return array.ndim > 1 and array.size >= MIN_WEIGHTS and array.dtype == np.float32


def _others(state: State) -> State:
    return {name: a.astype(np.float16) if a.dtype == np.float32 else a for name, a in state.items() if not is_matrix(a)}


def _size(tensors: dict[str, npt.NDArray[np.generic]]) -> int:
    """Of the safetensors file of these, without its header."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file(tensors, path)
        with open(path, "rb") as file:
            return path.stat().st_size - 8 - int.from_bytes(file.read(8), "little")


def _dense(state: State, matrices: State) -> State:
    """All tensors, those that are not matrices as float16 has them."""
    others = {name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in _others(state).items()}
    return {name: (matrices | others)[name].reshape(state[name].shape) for name in state}


# ---- llama.cpp -------------------------------------------------------------------------------------------------------


@cache
def _kernels() -> ctypes.CDLL | None:
    path = package_file(*LLAMA_CPP)
    if path is None:
        return None
    library = ctypes.CDLL(str(path))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, whole, whole, whole, pointer]
    return library


def llama_cpp(kind: str, state: State, importance: State | None = None) -> tuple[int, State]:
    """All matrices in one type of llama.cpp, such as "Q4_K".

    Blocks run over the ends of rows where those are no multiple of a block: llama-quantize takes a larger type there.
    importance : mean squares of the inputs of a matrix by its name, one for each column ("imatrix")
    """
    import gguf

    library, number = _kernels(), gguf.GGMLQuantizationType[kind]
    assert library is not None
    elements, size = gguf.GGML_QUANT_SIZES[number]
    library.ggml_quantize_init(int(number))
    out: State = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for name, array in state.items():
            if not is_matrix(array):
                writer.add_tensor(name[-60:], array.astype(np.float16) if array.dtype == np.float32 else array)
                continue
            flat = np.zeros(-(-array.size // elements) * elements, np.float32)
            flat[: array.size] = array.ravel()
            blocks = np.zeros((len(flat) // elements, size), np.uint8)
            weights = None
            if importance is not None and name in importance:
                weights = np.ones_like(flat)
                weights[: array.size] = np.tile(importance[name], array.size // len(importance[name]))
            pointer = None if weights is None else weights.ctypes.data
            done = library.ggml_quantize_chunk(
                int(number), flat.ctypes.data, blocks.ctypes.data, 0, 1, len(flat), pointer
            )
            assert done == blocks.size
            writer.add_tensor(name[-60:], blocks, raw_dtype=number)
            out[name] = gguf.dequantize(blocks, number).ravel()[: array.size]
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.stat().st_size, _dense(state, out)


def has_llama_cpp() -> bool:
    return _kernels() is not None


# ---- round to nearest ------------------------------------------------------------------------------------------------


def round_to_nearest(bits: int, group: int, state: State) -> tuple[int, State]:
    """Levels from the least to the greatest weight of each group; its step and its least weight are float16."""
    stored: dict[str, npt.NDArray[np.generic]] = dict(_others(state))
    out: State = {}
    for name, array in state.items():
        if not is_matrix(array):
            continue
        groups = np.pad(array.ravel(), (0, -array.size % group), mode="edge").reshape(-1, group)
        least = groups.min(1, keepdims=True).astype(np.float16)
        wide = least.astype(np.float32)
        step = np.maximum((groups.max(1, keepdims=True) - wide) / (2**bits - 1), 1e-7).astype(np.float16)
        levels = np.rint((groups - wide) / step.astype(np.float32)).clip(0, 2**bits - 1).astype(np.uint8)
        stored |= {f"{name}.levels": packed(levels, bits), f"{name}.step": step, f"{name}.least": least}
        out[name] = (levels * step.astype(np.float32) + wide).ravel()[: array.size]
    return _size(stored), _dense(state, out)


def packed(levels: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint8]:
    """Levels below 2^bits without gaps."""
    return np.packbits(np.unpackbits(levels.reshape(-1, 1), axis=1)[:, 8 - bits :])


# ---- EntQuant --------------------------------------------------------------------------------------------------------


def entquant(weight: float, state: State, profile: Profile = "small") -> tuple[int, State]:
    """EntQuant's method (arXiv 2601.22787), integers of 8 bits: of each row the scale with the least
    |W' - W| / |W| + weight mean|Q| / 128 in norms of order 1. They search by L-BFGS from the absolute maximum, here all
    scales on a grid of eighths of an octave are tried, so the minimum is found. The file is ours, of this profile.
    """
    tensors: dict[str, torch.Tensor | Scaled] = {name: torch.from_numpy(a.copy()) for name, a in _others(state).items()}
    out: State = {}
    for name, array in state.items():
        if not is_matrix(array):
            continue
        rows = array.reshape(len(array), -1)
        norm = np.abs(rows).sum()
        largest = np.maximum(np.abs(rows).max(1, keepdims=True), 1e-12) / 127
        best, scales = np.full((len(rows), 1), np.inf), largest.copy()
        for eighths in range(8 * 8):
            scale = (largest * 2 ** (eighths / 8)).astype(np.float32)
            levels = np.rint(rows / scale).clip(-127, 127)
            cost = np.abs(levels * scale - rows).sum(1, keepdims=True) / norm
            cost += weight * np.abs(levels).sum(1, keepdims=True) / 128 / array.size
            scales, best = np.where(cost < best, scale, scales), np.minimum(cost, best)
        scales = torch.from_numpy(scales).bfloat16()
        levels = torch.from_numpy(np.rint(rows / scales.float().numpy()).clip(-127, 127)).to(torch.int8)
        shape = (len(array), *(1 for _ in array.shape[1:]))
        tensors[name] = Scaled(levels.reshape(array.shape).contiguous(), scales.reshape(shape), dtype=torch.float32)
        out[name] = (levels * scales.float()).numpy().ravel()
    return len(swsfmt.torch.save(tensors, profile=profile)), _dense(state, out)


# ---- in environments of their own ------------------------------------------------------------------------------------


def elsewhere(method: str, setting: str, state: State) -> tuple[int, State]:
    """By `peers_worker.py`, in the environment of $PEERS_PYTHON, or $NNC_PYTHON for the method "nnc"."""
    python = os.environ["NNC_PYTHON" if method == "nnc" else "PEERS_PYTHON"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(source, **{name: a.reshape(len(a), -1) for name, a in state.items() if is_matrix(a)})
        worker = Path(__file__).with_name("peers_worker.py")
        command = [python, str(worker), method, setting, str(source), str(target)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
        size = json.loads(done.stdout.splitlines()[-1])["bytes"]
        return size + _size(dict(_others(state))), _dense(state, dict(np.load(target)))


def peers(state: State, importance: State | None = None) -> Iterator[Peer]:
    """All that can be had here. state : of the model. importance : for llama.cpp, from inputs for calibration"""
    if has_llama_cpp():
        for kind in ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0"):
            yield Peer(f"llama.cpp {kind}", partial(llama_cpp, kind))
        if importance is not None:
            for kind in ("Q2_K", "Q3_K", "Q4_K", "Q5_K"):
                yield Peer(f"llama.cpp {kind}, imatrix", partial(llama_cpp, kind, importance=importance), False)
    if "NNC_PYTHON" in os.environ:
        # Its step is one for all matrices, 2^(qp / 4): here so much of the root mean square of all their weights.
        matrices = [array for array in state.values() if is_matrix(array)]
        rms = np.sqrt(sum(float(np.square(a).sum()) for a in matrices) / sum(a.size for a in matrices))
        for fraction, trellis in NNC_STEPS:
            name = "NNCodec, trellis" if trellis else "NNCodec"
            qp = round(4 * np.log2(rms * fraction))
            yield Peer(f"{name}, step {fraction:g} rms", partial(elsewhere, "nnc", f"{qp} {trellis}"))
    else:
        print("skipped: NNCodec; NNC_PYTHON is not set", file=sys.stderr)
    for bits in (3, 4, 5, 6):
        yield Peer(f"round to nearest, {bits} bits, groups of 32", partial(round_to_nearest, bits, 32))
    if "PEERS_PYTHON" in os.environ:
        for method, setting in (
            ("hqq", "3 64"),
            ("hqq", "4 64"),
            ("hqq", "8 64"),
            ("nf4", "64"),
            ("torchao", "int8"),
            ("torchao", "int4 32"),
        ):
            yield Peer(f"{method} {setting}", partial(elsewhere, method, setting))
    else:
        print("skipped: HQQ, NF4 and torchao; PEERS_PYTHON is not set", file=sys.stderr)
    for weight in (0.3, 1, 3, 10):
        yield Peer(f"EntQuant's method, {weight}", partial(entquant, weight))


if __name__ == "__main__":
    random = np.random.default_rng(0)
    trial = {"matrix": random.standard_normal((300, 200)).astype(np.float32), "bias": np.zeros(3, np.float32)}
    for peer in peers(trial, {"matrix": np.ones(200, np.float32)}):
        size, back = peer.quantize(trial)
        error = np.linalg.norm(back["matrix"] - trial["matrix"]) / np.linalg.norm(trial["matrix"])
        print(f"{peer.name:45} {8 * size / 60_000:.3f} bits, relative error {error:.4f}")
