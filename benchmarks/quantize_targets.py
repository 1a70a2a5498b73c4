"""`sws quantize` asked for sizes, bits and errors on trained networks, and for what it must refuse.

    python benchmarks/quantize_targets.py [--only WORD] [--with-smollm2]

Each row is a run of the command in a process of its own: what was asked, what the file has, how many files were tried,
the CPU time. All-MiniLM-L6-v2, CREPE tiny, facenet's R-Net and resemblyzer, calibrated with some of the inputs of
`package_networks` that are for calibration; a fifth of them measures the error. Then what cannot be done: of each one
error, the file that was there before as it was; what was tried is kept for --resume where there is something.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import texts
import torch
from package_networks import Batches, Trained, crepe_tiny, face_rnet, minilm, sentence_embeddings, voice_encoder
from torch import Tensor, nn

MAKES = {
    "minilm": lambda: minilm(calibration=60),
    "crepe": crepe_tiny,
    "rnet": face_rnet,
    "voice": voice_encoder,
}
# Of the size as float32; and what is asked of all.
PART, BITS, ERROR = 10, 3.0, 0.1


# ---- what the command is given: a network, its batches, how it is run ------------------------------------------------


def _trained() -> Trained:
    trained = MAKES[os.environ["SWS_BENCHMARK_NETWORK"]]()
    assert trained is not None
    return trained


def make() -> nn.Module:
    return _trained().model


def batches() -> Batches:
    return _trained().calibration()


def embed(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return sentence_embeddings(model, batch)


def not_a_number() -> nn.Module:
    model = make()
    next(parameter for parameter in model.parameters() if parameter.dim() > 1).data.view(-1)[7] = torch.nan
    return model


def infinite() -> nn.Module:
    model = make()
    next(parameter for parameter in model.parameters() if parameter.dim() > 1).data.view(-1)[7] = torch.inf
    return model


# ---- runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """seconds : of CPU. report : what --json gives; None of a run that failed, whose lines of errors are `lines`"""

    code: int
    seconds: float
    report: dict[str, Any] | None
    lines: list[str]


def sws(network: str, *given: str) -> Done:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SWS_BENCHMARK_NETWORK": network}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "from sws.cli import main; main()", "quantize", *given, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report = json.loads(done.stdout) if done.returncode == 0 else None
    return Done(done.returncode, seconds, report, done.stderr.strip().splitlines())


def program(function: str) -> str:
    return f"{Path(__file__).resolve()}:{function}"


def ask(network: str, folder: Path, model: str, calibration: Sequence[str], size: int) -> None:
    statistics = folder / f"{network}.safetensors"
    for option, asked in (("size", size), ("bits", BITS), ("error", ERROR)):
        output = folder / f"{network}-{option}.sws"
        done = sws(
            network, model, "-o", str(output), f"--target-{option}", str(asked), "--statistics", str(statistics),
            *calibration,
        )  # fmt: skip
        if done.report is None:
            print(f"| {network} | {option} {asked:,} | exit {done.code}: {' '.join(done.lines)} | | | |", flush=True)
            continue
        report, real = done.report, output.stat().st_size
        assert real == report["file_bytes"]
        got = {"size": real, "bits": report["bits"], "error": report["error"]}[option]
        error = "" if report["error"] is None else f"{report['error']:.4g}"
        value = f"{got:,}" if option == "size" else f"{got:.5g}"
        print(
            f"| {network} | {option} {asked:,} | {value} | {got / asked - 1:+.2%} | {real:,} | {error} | "
            f"{len(report['attempts'])} | {done.seconds:.0f} |",
            flush=True,
        )


def refuse(folder: Path) -> None:
    """On R-Net, which is quick."""
    np.save(folder / "wrong.npy", np.zeros((32, 3, 7), np.float32))
    np.save(folder / "nan.npy", np.full((32, 3, 24, 24), np.nan, np.float32))
    (folder / "broken.py").write_text(
        "import torch\n\n\nclass Broken(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = torch.nn.Linear(8, 8)\n\n    def forward(self, x):\n"
        '        raise RuntimeError("no way through")\n\n\ndef number():\n    return 3\n'
    )
    good, well = program("make"), ("--calibrate", program("batches"))
    bits = ("--target-bits", "3")
    cases: dict[str, Sequence[str]] = {
        "a size that cannot be reached": (good, "--target-size", "500B", *well),
        "an error that cannot be reached": (good, "--target-error", "1e-12", *well),
        "bits that are no number": (good, "--target-bits", "nan", *well),
        "a rule about no tensor": (good, *bits, *well, "--rule", "dense9.*:raw"),
        "a weight that is NaN": (program("not_a_number"), *bits, *well),
        "a weight that is infinite": (program("infinite"), *bits, *well),
        "calibration of the wrong shape": (good, *bits, "--calibrate", str(folder / "wrong.npy")),
        "calibration that is NaN": (good, *bits, "--calibrate", str(folder / "nan.npy")),
        "no calibration, and the network reads no text": (good, *bits),
        "a network that cannot be run": (f"{folder / 'broken.py'}:Broken", *bits, "--calibrate", "noise:8"),
        "a function that makes no network": (f"{folder / 'broken.py'}:number", *bits, "--calibrate", "noise:8"),
        "a function that is not there": (program("mak"), *bits, *well),
        "an error above --max-error": (good, "--target-bits", "1.5", "--max-error", "1e-5", *well),
    }
    output = folder / "kept.sws"
    print("\n| asked | exit | what it says | the file before | left over |\n|---|---:|---|---|---|")
    for name, given in cases.items():
        output.write_bytes(b"what was here before")
        done = sws("rnet", given[0], "-o", str(output), "--force", *given[1:])
        kept = "as it was" if output.read_bytes() == b"what was here before" else "CHANGED"
        others = [path for path in folder.glob("kept*") if path != output]
        left = ", ".join(path.name for path in others) or "nothing"
        for path in others:
            shutil.rmtree(path)
        text = " ".join(done.lines).replace(str(folder), "FOLDER").replace(str(Path(__file__).parent), "benchmarks")
        print(f"| {name} | {done.code} | {text} | {kept} | {left} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", default="", help="networks with this in their names, or refusals")
    parser.add_argument("--with-smollm2", action="store_true", help="too: it takes a quarter of an hour")
    given = parser.parse_args()
    makes: dict[str, Callable[[], Trained | None]] = {name: m for name, m in MAKES.items() if given.only in name}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| network | asked | got | off by | bytes | error | files tried | CPU s |")
        print("|---|---|---:|---:|---:|---:|---:|---:|", flush=True)
        for network, made in makes.items():
            trained = made()
            if trained is None:
                continue
            forward = ("--forward", program("embed")) if network == "minilm" else ()
            calibration = ("--calibrate", program("batches"), *forward)
            ask(network, folder, program("make"), calibration, trained.original_bytes // PART)
        if given.with_smollm2:
            from package_smollm2 import gguf_file

            path = gguf_file()
            if path is not None:
                (folder / "text.txt").write_text("\n".join(texts.calibration(150)))
                text = ("--calibrate", str(folder / "text.txt"), "--samples", "32")
                ask("smollm2", folder, str(path), text, 538_060_032 // PART)
        if given.only in "refusals":
            refuse(folder)


if __name__ == "__main__":
    main()
