"""Build the kernels with the address and undefined-behaviour sanitizers and run a command with them.

    python scripts/sanitize.py COMMAND...        e.g.  python scripts/sanitize.py -m pytest tests/spec/test_hostile.py

COMMAND is given to a Python that finds copies of the packages with these kernels, those of the format and the one of
the quantiser. Needs gcc or a clang that has the sanitizers' libraries. Any finding ends the command with an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The folders of the extensions, whose sources are in `native`.
KERNELS = (Path("swsfmt", "entropy"), Path("sws", "quantize", "kernels"))
# `sws` finds the last two beside itself, as in a checkout.
PACKAGES = ("swsfmt", "sws", "cli", "recipes")


def build(folder: Path) -> None:
    """Copies of the packages in `folder`, with sanitized kernels whose asserts are active."""
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=ignore)
    for kernels in KERNELS:
        build_kernels(ROOT / kernels / "native", folder / kernels)


def build_kernels(native: Path, folder: Path) -> None:
    """The extension of these sources, in `folder`."""
    target = folder / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-UNDEBUG"]
    command = [os.environ.get("CC", "cc"), *flags, f"-I{sysconfig.get_path('include')}"]
    subprocess.run([*command, *sorted(native.glob("*.c")), "-o", target], check=True)


def library(name: str) -> str:
    """The path of a sanitizer's library: it has to be there before Python is."""
    command = [os.environ.get("CC", "cc"), f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([name, os.environ.get("PYTHONPATH", "")]),
            "LD_PRELOAD": " ".join(map(library, ("libasan.so", "libubsan.so"))),
            # Python itself does not give all memory back.
            "ASAN_OPTIONS": "detect_leaks=0,allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "SWS_KERNELS": "native",
            # Not the package in the current folder.
            "PYTHONSAFEPATH": "1",
        }
        command = [sys.executable, *sys.argv[1:]]
        return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
