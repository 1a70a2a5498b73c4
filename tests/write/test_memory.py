"""Peak memory, of processes of their own: encoding and decoding hold one large tensor at a time, loading what it gives.

Tensors here are 32 MiB, and there are twelve: whoever holds all of them is far above every bound.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import swsfmt

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process")

COUNT, ROWS, COLUMNS = 12, 2048, 4096
TENSOR = 4 * ROWS * COLUMNS
SLACK = 64 << 20

MEASURE = """
import sys
import numpy, safetensors.numpy, swsfmt, sws.cli
{imports}

def peak():
    # Not ru_maxrss, which begins with that of the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10

before = peak()
{work}
print(peak() - before)
"""


def peak_of(work: str, *arguments: Path, kernels: str = "") -> int:
    """Bytes above what the imports take. kernels : see SWS_KERNELS."""
    # It takes seconds.
    imports = "import torch, swsfmt.torch" if "torch" in work else ""
    command = [sys.executable, "-c", MEASURE.format(imports=imports, work=work), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"SWS_KERNELS": kernels}
    )
    return int(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sparse tensors in three shards, the .sws file of them, and its options."""
    folder = tmp_path_factory.mktemp("large")
    random = np.random.default_rng(0)
    weight_map = {}
    for shard in range(3):
        file = f"model-{shard + 1:05d}-of-00003.safetensors"
        tensors = {}
        for number in range(shard, COUNT, 3):
            array = np.zeros((ROWS, COLUMNS), np.float32)
            array[random.integers(0, ROWS, 50_000), random.integers(0, COLUMNS, 50_000)] = random.choice(
                [0.5, -0.5], 50_000
            )
            tensors[f"layer.{number}"] = array
        safetensors.numpy.save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(tensors, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.fixture(scope="module")
def encoded(folder: Path) -> tuple[Path, int]:
    """The file, and the peak of encoding it."""
    out = folder / "model.sws"
    work = "sws.cli.main(['encode', sys.argv[1], '-o', sys.argv[2], '--threads', '2'], standalone_mode=False)"
    return out, peak_of(work, folder / "model.safetensors.index.json", out)


def test_encoding_shards(encoded: tuple[Path, int]) -> None:
    out, peak = encoded
    assert peak <= 2 * TENSOR + out.stat().st_size + SLACK < COUNT * TENSOR


@pytest.mark.parametrize(
    ("shape", "dtype", "density", "options"),
    [
        ((1 << 24,), "float32", 0.08, []),
        ((1 << 22, 4), "float32", 0.08, []),
        ((4, 1 << 22), "float32", 0.08, []),
        ((4096, 8192), "float16", 0.08, ["--scan", "columns"]),
        ((4096, 4096), "float32", 1.0, []),
        ((2048, 4096), "int64", 0.5, []),
    ],
)
def test_encoding_one_tensor(
    shape: tuple[int, ...], dtype: str, density: float, options: list[str], tmp_path: Path
) -> None:
    """Twice the tensor and the file, and no more than blocks beside: also where there are as many rows as elements."""
    random = np.random.default_rng(0)
    array = random.integers(1, 17, shape, dtype=np.uint8)
    array[random.random(shape, dtype=np.float32) >= density] = 0
    source, out = tmp_path / "a.safetensors", tmp_path / "a.sws"
    safetensors.numpy.save_file({"a": array.astype(dtype)}, source)
    dense = array.size * np.dtype(dtype).itemsize
    work = f"sws.cli.main(['encode', *sys.argv[1:], '--threads', '2', *{options}], standalone_mode=False)"
    peak = peak_of(work, source, Path("-o"), out)
    print(shape, dtype, peak >> 20, (2 * dense + out.stat().st_size) >> 20)
    assert dense <= peak <= 2 * dense + out.stat().st_size + (24 << 20)


def test_loading(encoded: tuple[Path, int]) -> None:
    out, _ = encoded
    peak = peak_of("kept = swsfmt.load_file(sys.argv[1]); [array.sum() for array in kept.values()]", out)
    assert 0.9 * COUNT * TENSOR <= peak <= COUNT * TENSOR + out.stat().st_size + SLACK


def test_torch_converts_one_tensor_at_a_time(encoded: tuple[Path, int]) -> None:
    """What is kept is half as large as the tensors; the one at work is there in both dtypes."""
    out, _ = encoded
    work = "kept = swsfmt.torch.load_file(sys.argv[1], dtype=torch.float16); [t.sum() for t in kept.values()]"
    peak = peak_of(work, out)
    half = COUNT * TENSOR // 2
    # Two at once would be above that.
    assert 0.9 * half <= peak <= half + TENSOR + SLACK // 4 < COUNT * TENSOR


def test_torch_leaves_nothing_in_memory_that_goes_to_a_device(encoded: tuple[Path, int]) -> None:
    """The meta device keeps no elements: what remains is the largest tensor."""
    out, _ = encoded
    peak = peak_of("kept = swsfmt.torch.load_file(sys.argv[1], device='meta')", out)
    assert peak <= 2 * TENSOR + SLACK < COUNT * TENSOR


def test_loading_a_tensor_with_as_many_rows_as_elements(tmp_path: Path) -> None:
    """Half of them are dead, and the others are found without an index for each of them."""
    count, path = 1 << 24, tmp_path / "a.sws"
    array = np.random.default_rng(0).integers(1, 4, count).astype(np.float32)
    array.reshape(-1, 64)[::2] = 0
    swsfmt.save_file({"a": array}, path)
    assert swsfmt.inspect(path).tensors[0].sections["row_bitmaps"] > 0
    dense = 4 * count
    peak = peak_of("kept = swsfmt.load_file(sys.argv[1], threads=1); kept['a'].sum()", path)
    assert 0.9 * dense <= peak <= dense + path.stat().st_size + SLACK
    np.testing.assert_array_equal(swsfmt.load_file(path)["a"], array)


@pytest.mark.parametrize(("dtype", "kernels"), [("int64", ""), ("float32", "bitarray")])
@pytest.mark.parametrize("density", [1.0, 0.2])
def test_loading_without_fused_kernels(dtype: str, kernels: str, density: float, tmp_path: Path) -> None:
    """Elements of eight bytes, and all elements without the C kernels: symbols never lie in memory all at once."""
    count = 1 << (24 if dtype == "int64" else 22)
    random = np.random.default_rng(0)
    array = random.integers(1, 17, count, dtype=np.uint8)
    if density < 1:
        array[random.random(count, dtype=np.float32) >= density] = 0
    path = tmp_path / "a.sws"
    swsfmt.save_file({"a": array.astype(dtype)}, path)
    dense = count * np.dtype(dtype).itemsize
    peak = peak_of("kept = swsfmt.load_file(sys.argv[1]); kept['a'].sum()", path, kernels=kernels)
    # Of the symbols two bytes each would be 32 MiB of the int64, indices of NumPy would be 128 MiB.
    assert 0.9 * dense <= peak <= dense + path.stat().st_size + (24 << 20)


def test_decoding_to_shards(encoded: tuple[Path, int]) -> None:
    out, _ = encoded
    work = (
        "sws.cli.main(['decode', sys.argv[1], '-o', sys.argv[2], '--max-shard-size', '40MB', "
        "'--threads', '2'], standalone_mode=False)"
    )
    back = out.parent / "back"
    back.mkdir()
    peak = peak_of(work, out, back)
    assert peak <= 2 * TENSOR + out.stat().st_size + SLACK < COUNT * TENSOR
    index = json.loads((back / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) == COUNT
    first = safetensors.numpy.load_file(back / index["weight_map"]["layer.7"])["layer.7"]
    original = safetensors.numpy.load_file(out.parent / "model-00002-of-00003.safetensors")["layer.7"]
    assert np.array_equal(first, original)
