"""Peak memory and CPU time of quantising all-MiniLM-L6-v2: statistics, quantising and saving, each apart.

    python benchmarks/quantize_memory.py [--calibration COUNT]

Each stage is a process of its own that reads what the one before has written. Memory is the peak of the whole process
(VmHWM), beside that of one that imports the same and has the model and what the stage reads; time is that of the stage
alone, one thread. COUNT sentences of each of three kinds, 340 by default; memory does not hang on their number.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from package_networks import minilm

import swsfmt.torch
from sws.quantize import Network, QuantizedModel, Statistics, collect

LOSS = 0.005
STAGES = ("statistics", "quantising", "saving")


def peak() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10


def stage(name: str, folder: Path, count: int) -> None:
    """Print the peak before, the peak after and the seconds."""
    trained = minilm(calibration=count)
    assert trained is not None
    statistics, levels, file = folder / "statistics.safetensors", folder / "levels.pickle", folder / "model.sws"
    if name == "statistics":
        batches = trained.calibration()
        before, start = peak(), time.process_time()
        collect(trained.model, batches, trained.forward).save(statistics)
    elif name == "quantising":
        own = Statistics.load(statistics)
        weights = sum(parameter.numel() for parameter in trained.model.parameters())
        before, start = peak(), time.process_time()
        tensors = Network(trained.model.state_dict(), own).quantize(math.sqrt(24 * LOSS / weights))
    else:
        result = QuantizedModel(pickle.loads(levels.read_bytes()))
        before, start = peak(), time.process_time()
        swsfmt.torch.save_file(result.tensors, file, threads=1)
    print("measured", before, peak(), time.process_time() - start)
    if name == "quantising":
        levels.write_bytes(pickle.dumps(tensors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration", type=int, default=340, metavar="COUNT")
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        stage(given.stage[0], Path(given.stage[1]), given.calibration)
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        print("| stage | peak, MB | before it, MB | CPU s |\n|---|---:|---:|---:|", flush=True)
        for name in STAGES:
            command = [sys.executable, __file__, "--calibration", str(given.calibration), "--stage", name, folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            _, before, after, seconds = done.stdout.splitlines()[-1].split()
            print(f"| {name} | {int(after) / 1e6:,.0f} | {int(before) / 1e6:,.0f} | {float(seconds):.1f} |", flush=True)
        print(f"\n{(Path(folder) / 'model.sws').stat().st_size:,} bytes, {3 * given.calibration:,} sentences")


if __name__ == "__main__":
    main()
