"""What is installed works: run by the Python of a fresh environment, in another folder than the sources (`make wheel`).

Kernels in C, arrays there and back, the command, and every valid vector of the specification.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import swsfmt
from swsfmt.entropy import backend

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    assert not Path(swsfmt.__file__).is_relative_to(ROOT / "swsfmt"), "these are the sources, not what is installed"
    assert backend.active() == "native", "the kernels in C are missing"
    generator = np.random.default_rng(0)
    levels = generator.integers(-4, 5, (300, 200)).astype(np.float32) / 8
    arrays = {
        "weight": levels * (generator.random(levels.shape) < 0.1) + 0.0,
        "bias": generator.random(300, np.float32),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        np.savez("model.npz", **arrays)
        for line in ("encode model.npz", "inspect model.sws", "verify model.sws --against model.npz"):
            subprocess.run([sys.executable, "-m", "sws", *line.split()], check=True)
        for name, array in swsfmt.load_file("model.sws").items():
            np.testing.assert_array_equal(array, arrays[name])
    vectors = sorted((ROOT / "spec" / "vectors").glob("valid/*.sws"))
    for path in vectors:
        swsfmt.inspect(path)
    print(f"swsfmt {swsfmt.__version__} works here, {len(vectors)} vectors included")


if __name__ == "__main__":
    main()
