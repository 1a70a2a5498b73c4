"""SmolLM2-135M: whole files against the next-token distributions, beside llama.cpp's types of the same floats.

    NNC_PYTHON=... PEERS_PYTHON=... python benchmarks/quantize_smollm2.py [--fresh] [--no-peers] [--only PARTS]

The float model is what its GGUF (Q4_1, Q8_0) dequantises to. 8,192 tokens of prose of three kinds that nothing else
uses; calibration on 16,384 tokens of other prose, or on 8,192 that the model makes itself. KL is the mean divergence
of the next-token distributions from the float model's, in nats. PARTS, each of which takes long, with commas between
them: peers (K-quants), calibrated, self-calibrated, data-free (ours and others).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from package_networks import Trained
from package_smollm2 import WINDOW, gguf_file, model_of, tokenizer_of, windows
from quantize_harness import (
    Metrics,
    Row,
    arguments,
    grouped,
    heading,
    loss_at,
    our_rows,
    peer_rows,
    print_head,
    print_row,
    print_savings,
    print_sizes,
    statistics_of,
)
from quantize_peers import Peer, State, elsewhere, entquant, has_llama_cpp, llama_cpp, round_to_nearest
from torch import Tensor, nn

from sws.compare import OutputMeter

SHOW = ("KL", "perplexity", "top-1")
PARTS = ("peers", "calibrated", "self-calibrated", "data-free")
# In windows of 256 tokens.
MEASURED, CALIBRATED, SAMPLED = 32, 64, 32
KLS = (0.021, 0.082, 0.261)
EQUAL_TO = ("llama.cpp Q5_K", "llama.cpp Q4_K", "llama.cpp Q3_K")
LOSSES = (0.075, 0.235, 0.05, 0.018)
# The profile small takes minutes for so many weights.
PROFILES = ("default",)


def logits(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    own: Tensor = model(**batch).logits
    return own


def made_by_itself(model: nn.Module, count: int, seed: int = 5, batch: int = 16) -> list[dict[str, Tensor]]:
    """Windows of text that the model samples from its own distribution, from a random first token on."""
    torch.manual_seed(seed)
    out = []
    with torch.inference_mode():
        for _ in range(count // batch):
            ids = torch.randint(20, 49_000, (batch, 1))
            cache, last = None, ids
            while ids.shape[1] < WINDOW:
                step = model(input_ids=last, past_key_values=cache, use_cache=True)
                cache = step.past_key_values
                last = step.logits[:, -1].softmax(-1).multinomial(1)
                ids = torch.cat([ids, last], 1)
            out += [{"input_ids": part.clone()} for part in ids.split(4)]
    return out


def importance(model: nn.Module, batches: list[dict[str, Tensor]]) -> State:
    """Mean squares of the inputs of each matrix, as llama-imatrix has them; the embedding has none."""
    sums: dict[str, Tensor] = {}

    def add(name: str, _module: nn.Module, inputs: tuple[Tensor]) -> None:
        sums[name] = sums.get(name, 0) + inputs[0].double().flatten(0, -2).square().mean(0)

    hooks = [
        module.register_forward_pre_hook(partial(add, f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    with torch.inference_mode():
        for batch in batches:
            model(**batch)
    for hook in hooks:
        hook.remove()
    return {name: total.float().numpy() for name, total in sums.items() if not name.startswith("lm_head")}


def with_blocks(matrix: State) -> list[Peer]:
    """K-quants, which need no inputs, and with the importance of each column."""
    if not has_llama_cpp():
        return []
    return [
        *(Peer(f"llama.cpp {kind}", partial(llama_cpp, kind)) for kind in ("Q5_K", "Q4_K", "Q3_K", "Q6_K", "Q2_K")),
        *(
            Peer(f"llama.cpp {kind}, imatrix", partial(llama_cpp, kind, importance=matrix), False)
            for kind in ("Q4_K", "Q3_K", "Q5_K")
        ),
    ]


def data_free() -> list[Peer]:
    return [
        Peer("round to nearest, 4 bits, groups of 32", partial(round_to_nearest, 4, 32)),
        Peer("nf4 64", partial(elsewhere, "nf4", "64")),
        Peer("hqq 4 64", partial(elsewhere, "hqq", "4 64")),
        *(Peer(f"EntQuant's method, {weight}", partial(entquant, weight)) for weight in (1, 3)),
    ]


def print_equal_sizes(ours: list[Row], theirs: list[Row]) -> None:
    """The KL of others, and of ours at the same size."""
    print("\n| file | bytes | KL | ours at that size |\n|---|---:|---:|---:|")
    for row in sorted(theirs, key=lambda row: row.bytes):
        own = loss_at(ours, row.bytes, "KL", lambda kl: kl)
        print(f"| {row.name} | {row.bytes:,} | {row.metrics['KL']:.5g} | {'' if own is None else f'{own:.5g}'} |")


def main() -> None:
    given = arguments(__doc__)
    parts = given.only.split(",") if given.only else PARTS
    path = gguf_file()
    if path is None:
        return
    model, tokenizer = model_of(path), tokenizer_of(path)
    batches = windows(tokenizer, MEASURED, measuring=True)
    size = sum(p.numel() * 4 for p in model.parameters())
    trained = Trained(
        "SmolLM2-135M",
        model,
        size,
        lambda network, batch: network(**batch),
        lambda: batches,
        lambda: windows(tokenizer, CALIBRATED, measuring=False),
    )
    heading(trained)
    with torch.inference_mode():
        floats = [logits(model, batch)[:, :-1] for batch in batches]

    def compared(own: Iterable[Tensor]) -> Metrics:
        meter = OutputMeter(logits=True)
        for batch, original, other in zip(batches, floats, own, strict=True):
            meter.add(original, other, batch["input_ids"][:, 1:])
        result = meter.result
        assert result.kl is not None
        assert result.top1 is not None
        assert result.small_perplexity is not None
        return {"KL": result.kl, "perplexity": result.small_perplexity, "top-1": result.top1}

    def evaluate(network: nn.Module) -> Metrics:
        with torch.inference_mode():
            return compared(logits(network, batch)[:, :-1] for batch in batches)

    print_head(SHOW)
    print_row(Row("float32", size, compared(floats)), SHOW)
    rows: list[Row] = []
    if "peers" in parts and not given.no_peers:
        matrix = importance(model, trained.calibration()[:4])
        rows += peer_rows(trained, evaluate, given.fresh, with_blocks(matrix), show=SHOW)
    if "calibrated" in parts:
        statistics = statistics_of(trained, "other prose", trained.calibration, given.fresh)
        rows += our_rows(trained, evaluate, statistics, LOSSES, "ours", show=SHOW, profiles=PROFILES)
    if "self-calibrated" in parts:
        own = statistics_of(trained, "made by itself", lambda: made_by_itself(model, SAMPLED), given.fresh)
        rows += our_rows(trained, evaluate, own, LOSSES[:2], "ours, self-calibrated", show=SHOW, profiles=PROFILES)
    if "data-free" in parts:
        ours = our_rows(trained, evaluate, None, (0.1, 0.02), "ours, data-free", show=SHOW, profiles=PROFILES)
        theirs = [] if given.no_peers else peer_rows(trained, evaluate, given.fresh, data_free(), show=SHOW)
        rows += ours + theirs
        print_equal_sizes(ours, theirs)
    kls = {row.name: row.metrics["KL"] for row in rows}
    values = sorted({*KLS, *(kls[name] for name in EQUAL_TO if name in kls)})
    print_sizes(grouped(rows), "KL", values, lambda kl: kl)
    others = {"K-quants": "llama.cpp", "ours, self-calibrated": "ours, self-calibrated"}
    print_savings(rows, "ours, default", others, "KL", values, lambda kl: kl)


if __name__ == "__main__":
    np.random.seed(0)
    main()
