"""The reader in JavaScript beside the kernels in C: `benchmarks/js_reader.py MODEL.safetensors`.

A row for MODEL (all-MiniLM-L6-v2, in the documentation) as it is, without loss, and with its matrices rounded to
multiples of a quarter of their standard deviation, in the profiles default and fast: bytes of the file; processor time
in milliseconds for decoding all of it with the kernels (one thread, with and without vector instructions) and in Node;
their ratios; and the peak memory of Node (Linux), which takes 40 MB for itself, for reading at once and as a stream (of
one buffer that is filled again and again), beside the size of all decoded tensors and of the largest one. Times are
the least of several, taken by turns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent

import swsfmt  # noqa: E402
import swsfmt.checkpoints  # noqa: E402
import swsfmt.numpy  # noqa: E402
from swsfmt.entropy import backend  # noqa: E402

ROUNDS = 4
NODE = """
import { openSync, readFileSync, readSync } from "node:fs";
import { read, stream } from "%s";
const [mode, path] = process.argv.slice(2);
const times = [];
function* pieces() {
  const piece = new Uint8Array(65536);
  const file = openSync(path);
  for (let n; (n = readSync(file, piece)); ) yield piece.subarray(0, n);
}
for (let i = 0; i < (mode === "time" ? 6 : 1); i++) {
  const bytes = mode === "stream" ? undefined : readFileSync(path);
  const start = process.cpuUsage();
  if (mode === "stream") for await (const tensor of stream(pieces())) void tensor;
  else read(bytes).load();
  const { user, system } = process.cpuUsage(start);
  times.push((user + system) / 1e3);
}
const peak = 1024 * /VmHWM:\\s*(\\d+)/.exec(readFileSync("/proc/self/status"))[1];
console.log(JSON.stringify({ ms: Math.min(...times), peak }));
"""


def files(model: Path, folder: Path) -> dict[str, Path]:
    paths = {"lossless": folder / "lossless.sws"}
    swsfmt.checkpoints.convert(model, paths["lossless"])
    arrays = swsfmt.numpy.load_file(paths["lossless"])
    for name, array in arrays.items():
        if array.ndim == 2 and array.dtype == np.float32:
            step = np.float32(array.std() / 4)
            arrays[name] = (np.rint(array / step) * step + np.float32(0)).astype(np.float32)
    for profile in ("default", "fast"):
        paths[f"sigma / 4, {profile}"] = folder / f"{profile}.sws"
        swsfmt.numpy.save_file(arrays, paths[f"sigma / 4, {profile}"], profile=profile)
    return paths


def node(script: Path, mode: str, path: Path) -> dict[str, float]:
    result = subprocess.run(["node", str(script), mode, str(path)], check=True, capture_output=True, text=True)
    return dict(json.loads(result.stdout))


def kernels(data: bytes) -> float:
    start = time.process_time()
    swsfmt.load(data)
    return (time.process_time() - start) * 1e3


def main() -> None:
    if len(sys.argv) != 2 or shutil.which("node") is None:
        raise SystemExit("usage: js_reader.py MODEL.safetensors, with node installed")
    os.environ["OMP_NUM_THREADS"] = "1"
    columns = "bytes | C, ms | C without vectors, ms | Node, ms | ratios | peak of Node, MB | as a stream"
    columns += " | decoded, MB | largest, MB"
    print(f"| file | {columns} |\n|---|{9 * '---:|'}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "time.mjs"
        script.write_text(NODE % (HERE / "readers" / "js" / "sws.js").as_uri(), encoding="utf-8")
        for label, path in files(Path(sys.argv[1]), folder).items():
            data = path.read_bytes()
            c, plain, js = [], [], []
            for _ in range(ROUNDS):
                c += [kernels(data) for _ in range(3)]
                js.append(node(script, "time", path)["ms"])
                with backend.without_vectors():
                    plain += [kernels(data) for _ in range(3)]
            sizes = [array.nbytes / 1e6 for array in swsfmt.load(data).values()]
            peaks = [node(script, mode, path)["peak"] / 1e6 for mode in ("once", "stream")]
            ratios = f"{min(js) / min(c):.1f}, {min(js) / min(plain):.1f}"
            print(
                f"| {label} | {len(data):,} | {min(c):.0f} | {min(plain):.0f} | {min(js):.0f} |"
                f" {ratios} | {peaks[0]:.0f} | {peaks[1]:.0f} | {sum(sizes):.0f} | {max(sizes):.0f} |"
            )


if __name__ == "__main__":
    main()
