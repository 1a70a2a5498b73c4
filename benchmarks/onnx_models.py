"""ONNX models to .sws files and back: `python benchmarks/onnx_models.py`.

silero-vad and three nets of rapidocr, from their packages: sizes, CPU seconds of encoding with the defaults and with
profile small, and whether onnxruntime gives the same outputs for what comes back, bit for bit, on the same random
inputs.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from package_models import RAPIDOCR_CLS, RAPIDOCR_DET, RAPIDOCR_REC, SILERO_VAD_ONNX, package_file

from swsfmt.checkpoints import convert

MODELS = {
    "silero-vad": (
        SILERO_VAD_ONNX,
        {"input": ((1, 576), "f4"), "state": ((2, 1, 128), "f4"), "sr": 16_000},
    ),
    "rapidocr, detection": (RAPIDOCR_DET, {"x": ((1, 3, 96, 160), "f4")}),
    "rapidocr, recognition": (RAPIDOCR_REC, {"x": ((1, 3, 48, 320), "f4")}),
    "rapidocr, direction": (RAPIDOCR_CLS, {"x": ((1, 3, 48, 192), "f4")}),
}
RUNS = 3


def outputs(path: Path, inputs: dict[str, Any]) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    results = []
    for seed in range(RUNS):
        generator = np.random.default_rng(seed)
        feed = {
            name: np.array(given) if isinstance(given, int) else generator.standard_normal(given[0]).astype(given[1])
            for name, given in inputs.items()
        }
        results += session.run(None, feed)
    return results


def main() -> None:
    print(
        "| model | .onnx | .sws | ratio | small | CPU s | outputs | file that comes back |\n"
        "|---|---:|---:|---:|---:|---:|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, (member, inputs) in MODELS.items():
            source = package_file(*member)
            if source is None:
                continue
            encoded, small, back = (Path(folder) / f"model.{suffix}" for suffix in ("sws", "small.sws", "onnx"))
            start = time.process_time()
            size = convert(source, encoded).size
            between = time.process_time()
            least = convert(source, small, profile="small").size
            seconds = f"{between - start:.1f}, {time.process_time() - between:.1f}"
            convert(small, back)
            pairs = zip(outputs(source, inputs), outputs(back, inputs), strict=True)
            same = all(one.tobytes() == other.tobytes() for one, other in pairs)
            is_equal = (
                "the same bytes" if back.read_bytes() == source.read_bytes() else f"{back.stat().st_size:,} bytes"
            )
            whole = source.stat().st_size
            verdict = "the same" if same else "DIFFER"
            sizes = f"{whole:,} | {size:,} | {whole / size:.2f} | {least:,}"
            print(f"| {name} | {sizes} | {seconds} | {verdict} | {is_equal} |", flush=True)


if __name__ == "__main__":
    main()
