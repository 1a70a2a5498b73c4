"""Memory and time of `sws quantize` on a checkpoint alone, in shards; stopped in the middle, and gone on with.

The checkpoint is made up: matrices of 4,096 x 4,096 float32 weights, one billion of them by default, in shards of half
a gigabyte. Memory is the peak of the whole process, Python and torch included; time is processor time.

python benchmarks/quantize_sharded.py [--weights 1e9] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

SIDE = 4096
SHARD = 8  # matrices at most; there are two shards at least
ARGUMENTS = ["--target-bits", "3", "--threads", "1", "--force"]
PROGRAM = """
import sys, time
import sws.cli
sws.cli.main(["quantize", *sys.argv[1:]], standalone_mode=False)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10
print("measured", peak, time.process_time())
"""


def shards_for(count: int) -> int:
    return max(2, -(-count // SHARD))


def make(folder: Path, count: int) -> Path:
    """The index of so many matrices."""
    weight_map: dict[str, str] = {}
    random = torch.Generator().manual_seed(0)
    shards = shards_for(count)
    for shard, numbers in enumerate(torch.arange(count).tensor_split(shards)):
        names = [f"layers.{i}.weight" for i in numbers.tolist()]
        tensors = {name: torch.randn(SIDE, SIDE, generator=random) * (0.01 + 0.02 * torch.rand(())) for name in names}
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(names, file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=float, default=1e9)
    parser.add_argument("--folder", help="where there is room for four bytes a weight, and one more")
    chosen = parser.parse_args()
    count = max(2, round(chosen.weights / SIDE**2))
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    try:
        index, whole, stopped = make(folder, count), folder / "whole.sws", folder / "stopped.sws"
        largest = 4 * SIDE**2
        process = start(str(index), "-o", str(whole), *ARGUMENTS)
        lines = process.communicate()[0].splitlines()
        _, peak, seconds = lines[-1].split()
        limit = 4 * largest + 300_000_000
        print(f"{count * SIDE**2:,} weights in {shards_for(count)} shards -> {whole.stat().st_size:,} bytes")
        print(f"peak memory {int(peak):,} bytes; the largest tensor x 4 + 300 MB is {limit:,}")
        print(f"processor time {float(seconds):.0f} s, {len(lines) - 3} tries")

        process = start(str(index), "-o", str(stopped), *ARGUMENTS)
        work = folder / "stopped.sws.unfinished"
        while process.poll() is None and len(list(work.glob("step-*/*.safetensors"))) < count // 2:
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = len(list(work.glob("step-*/*.safetensors")))
        print(f"killed with {there} of {count} tensors made; an output is there: {stopped.exists()}")
        process = start(str(index), "-o", str(stopped), *ARGUMENTS, "--resume")
        seconds = process.communicate()[0].splitlines()[-1].split()[2]
        same = digest(whole) == digest(stopped)
        print(f"gone on with in {float(seconds):.0f} s of processor time; the same bytes: {same}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
