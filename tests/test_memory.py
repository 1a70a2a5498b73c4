"""Peak memory, of processes of their own: encoding and decoding hold one large tensor at a time, loading what it gives.

Tensors here are 32 MiB, and there are twelve: whoever holds all of them is far above every bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process")

COUNT, ROWS, COLUMNS = 12, 2048, 4096
TENSOR = 4 * ROWS * COLUMNS
SLACK = 64 << 20

MEASURE = """
import sys
import numpy, safetensors.numpy, swsfmt, sws.cli

def peak():
    # Not ru_maxrss, which begins with that of the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10

before = peak()
{work}
print(peak() - before)
"""


def peak_of(work: str, *arguments: Path) -> int:
    """Bytes above what the imports take."""
    command = [sys.executable, "-c", MEASURE.format(work=work), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
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


def test_loading(encoded: tuple[Path, int]) -> None:
    out, _ = encoded
    peak = peak_of("kept = swsfmt.load_file(sys.argv[1]); [array.sum() for array in kept.values()]", out)
    assert 0.9 * COUNT * TENSOR <= peak <= COUNT * TENSOR + out.stat().st_size + SLACK


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
