"""One commit's side of `compare_commits.py`: answers questions on stdin, one JSON line each, on stdout.

Whichever swsfmt comes first on PYTHONPATH answers, by its public functions alone.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import workloads

import swsfmt
import swsfmt.torch

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "spec" / "vectors"
CHECKPOINTS = Path(os.environ.get("SWS_DATA") or ROOT.parent / "shared" / "data") / "checkpoints"
MUTATIONS = 150
NUMPY_DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16"]
TORCH_DTYPES = [
    "bfloat16",
    "complex32",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn_x2",
]

Tensors = dict[str, torch.Tensor]


def start() -> dict[str, Any]:
    """Where this package lies, and its compiled modules, all of them loaded by a first file."""
    swsfmt.load(swsfmt.save({"w": workloads.weights(10_000, 0.1)[0]}, profile="small"))
    files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    folder = str(Path(swsfmt.__file__).parent)
    return {"file": swsfmt.__file__, "compiled": [f for f in files if f.startswith(folder) and not f.endswith(".py")]}


# Bytes.


def sparse(generator: np.random.Generator, shape: tuple[int, ...], density: float, values: int) -> np.ndarray:
    """A tensor of zeros and of `values` others, the first of them the most frequent."""
    places = np.minimum(generator.geometric(0.3, shape) - 1, values - 1)
    book = np.sort(generator.standard_normal(values)).astype(np.float32)
    return np.where(generator.random(shape) < density, book[places], np.float32(0))


def synthetic() -> dict[str, Tensors]:
    """All dtypes, empty and small shapes, ties, and many shapes of sparsity; from a fixed seed."""
    generator = np.random.default_rng(14)
    dtypes: Tensors = {}
    for letter in NUMPY_DTYPES:
        few = generator.integers(0, 2 if letter == "?" else 100, (30, 40)).astype(letter)
        many = np.frombuffer(generator.bytes(1200 * few.itemsize), letter if letter != "?" else "u1").reshape(30, 40)
        dtypes |= {
            f"{letter} few": torch.from_numpy(few),
            f"{letter} sparse": torch.from_numpy(few * (generator.random(few.shape) < 0.05)),
            f"{letter} any": torch.from_numpy(many > 99 if letter == "?" else many.copy()),
        }
    for name in TORCH_DTYPES:
        if (dtype := getattr(torch, name, None)) is not None:
            raw = np.frombuffer(generator.bytes(1200 * dtype.itemsize), "u1").reshape(30, -1)
            live = np.repeat(generator.random((30, 40)) < 0.1, dtype.itemsize, axis=1)
            dtypes |= {f"{name} any": torch.from_numpy(raw.copy()).view(dtype)}
            dtypes |= {f"{name} sparse": torch.from_numpy(raw % 4 * live).view(dtype)}
    shapes = [(), (0,), (1,), (3, 0, 2), (1, 1), (7,), (1, 500), (500, 1), (2, 3, 5, 7), (1, 1, 1, 1, 9), (64, 3, 3, 3)]
    small = {
        f"{shape} {density} {values}": torch.from_numpy(sparse(generator, shape, density, values))
        for shape in shapes
        for density, values in ((0, 1), (0.1, 1), (0.5, 4), (1, 3), (1, 300))
    }
    base = torch.from_numpy(sparse(generator, (40, 60), 0.2, 9))
    ties = {"a": base, "b": base, "other view": base.T, "copy": base.clone(), "row": base[3], "c": base}
    out = {"dtypes": dtypes, "shapes": small, "ties": ties, "special": special()}
    for number, (rows, columns) in enumerate([(1, 3000), (60, 196), (97, 31), (2000, 5)]):
        tensors = {}
        for density in (0.003, 0.05, 0.3, 1.0):
            for values in (1, 2, 16, 17, 257):
                matrix = sparse(generator, (rows, columns), density, values)
                # Some with dead rows and columns, and some as kernels.
                if values % 2:
                    matrix[generator.random(rows) < 0.5] = 0
                    matrix[:, generator.random(columns) < 0.3] = 0
                if columns % 4 == 0 and values == 16:
                    matrix = matrix.reshape(rows, columns // 4, 2, 2)
                tensors[f"{density} {values}"] = torch.from_numpy(matrix)
        out[f"sparsity {number}"] = tensors
    for number, workload in enumerate(workloads.synthetic(200_000)):
        out[f"large {number}"] = {name: torch.from_numpy(array) for name, array in workload.tensors.items()}
    out["4.2 million"] = {"w": torch.from_numpy(workloads.weights(4_200_000, 0.05)[0])}
    return out


def special() -> Tensors:
    """Floats that have more than one pattern, or none in a narrower type."""
    odd = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-40, -1e-40, 65504, 65505, 3e38])
    pattern = odd[torch.from_numpy(np.random.default_rng(3).integers(0, len(odd), (50, 50)))]
    return {str(dtype): pattern.to(dtype) for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}


def decoded(path: Path, skipped: list[str]) -> Tensors:
    """The tensors of a file; of one that cannot be had whole, those that can."""
    try:
        return swsfmt.torch.load_file(path)
    except (swsfmt.SwsError, TypeError):
        tensors = {}
        with swsfmt.torch.safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                try:
                    tensors[name] = file.get_tensor(name)
                except (swsfmt.SwsError, TypeError) as error:
                    skipped.append(f"{path.name}: {name}: {type(error).__name__}: {error}")
        return tensors


@cache
def cases() -> tuple[dict[str, Tensors], list[str]]:
    """The tensors to encode, under the names of their cases, and what could not be had."""
    skipped: list[str] = []
    out = {}
    for path in sorted(CHECKPOINTS.glob("*.pt")):
        state = torch.load(path, map_location="cpu", weights_only=True)
        out[f"checkpoint {path.stem}"] = dict(state.get("state_dict", state))
    for folder, kind in ((ROOT / "zoo", "zoo"), (VECTORS / "valid", "vector")):
        out |= {f"{kind} {path.stem}": decoded(path, skipped) for path in sorted(folder.glob("*.sws"))}
    return out | {f"synthetic {name}": tensors for name, tensors in synthetic().items()}, skipped


def list_cases() -> dict[str, Any]:
    return {"cases": list(cases()[0]), "skipped": cases()[1]}


def raw_bytes(tensor: Any) -> bytes:
    if isinstance(tensor, np.ndarray):
        return tensor.tobytes()
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def contents(tensors: Mapping[str, Any]) -> str:
    """A hash of names, dtypes, shapes, elements, and of who shares memory with whom."""
    digest, first = hashlib.sha256(), dict[object, str]()
    for name, tensor in tensors.items():
        place = tensor.ctypes.data if isinstance(tensor, np.ndarray) else tensor.data_ptr()
        strides = tensor.strides if isinstance(tensor, np.ndarray) else tensor.stride()
        elements = raw_bytes(tensor)
        tied = first.setdefault((place, tuple(tensor.shape), strides), name) if elements else name
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape), tied)).encode() + elements)
    return digest.hexdigest()


def encode(case: str, face: str, options: dict[str, Any]) -> dict[str, Any]:
    """Hashes of the file, of what it decodes to, and of its report."""
    module: Any = swsfmt.torch if face == "torch" else swsfmt
    tensors: dict[str, Any] = cases()[0][case]
    if face == "numpy":
        # What NumPy has not stays away; tied tensors stay tied.
        with_numpy = {name: t for name, t in tensors.items() if str(t.dtype).split(".")[1] not in TORCH_DTYPES}
        tensors = {name: tensor.numpy() for name, tensor in with_numpy.items()}
    try:
        data = module.save(tensors, {"case": case}, **options)
        sections = swsfmt.inspect(data).sections
        loaded = module.load(data, threads=options["threads"])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    if sum(sections.values()) != len(data):
        return {"error": "the sections of the report are not the file"}
    return {
        "bytes": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "decoded": contents(loaded),
        "as given": contents(tensors) == contents(loaded),
        "sections": {name: size for name, size in sorted(sections.items()) if size},
    }


def answer(read: Callable[[], Any]) -> list[str]:
    try:
        read()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["", ""]


def refuse(path: str) -> list[list[str]]:
    """Class and message of what the readers say to a file."""
    data = Path(path).read_bytes()
    reads = (lambda: swsfmt.load(data), lambda: swsfmt.verify(path), lambda: swsfmt.inspect(data))
    return [answer(read) for read in (*reads, lambda: swsfmt.torch.load(data))]


def mutate(path: str) -> list[list[str]]:
    """The same for copies of a valid file of which a byte was changed, or the end cut off."""
    data, generator = Path(path).read_bytes(), random.Random(path)
    out = []
    for turn in range(MUTATIONS):
        place, copy = generator.randrange(len(data)), bytearray(data)
        copy[place] ^= 1 << generator.randrange(8)
        broken = bytes(copy) if turn % 5 else data[:place]
        out += [answer(lambda file=broken: swsfmt.load(file)), answer(lambda file=broken: swsfmt.inspect(file))]
    return out


# Speed.


@cache
def timed(weights: int, network: str | None) -> dict[str, dict[str, np.ndarray]]:
    networks = list(workloads.networks([*sorted(CHECKPOINTS.glob("*.pt")), *([Path(network)] if network else [])]))
    out = {workload.name: workload.tensors for workload in [*workloads.synthetic(weights), *networks]}
    return out | {f"zoo/{path.name}": swsfmt.load_file(path) for path in sorted((ROOT / "zoo").glob("*.sws"))}


def list_timed(weights: int, network: str | None) -> list[str]:
    return list(timed(weights, network))


@cache
def encoded(case: str, weights: int, network: str | None, profile: str) -> bytes:
    return swsfmt.save(timed(weights, network)[case], profile=profile, threads=1)


def seconds(case: str, task: str, profile: str, repeats: int, weights: int, network: str | None) -> float:
    """CPU time of one of `repeats` runs, in one thread."""
    if task == "encode":
        tensors = timed(weights, network)[case]

        def run() -> object:
            return swsfmt.save(tensors, profile=profile, threads=1)
    else:
        data = encoded(case, weights, network, profile)

        def run() -> object:
            return swsfmt.load(data, threads=1)

    gc.collect()
    gc.disable()
    begin = time.process_time()
    for _ in range(repeats):
        run()
    spent = time.process_time() - begin
    gc.enable()
    return spent / repeats


QUESTIONS = {f.__name__: f for f in (start, list_cases, encode, refuse, mutate, list_timed, seconds)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(QUESTIONS[name](*arguments)), flush=True)
