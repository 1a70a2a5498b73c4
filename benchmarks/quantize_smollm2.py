"""SmolLM2-135M: whole files against the next-token distributions, beside llama.cpp's types of the same floats.

    NNC_PYTHON=... PEERS_PYTHON=... python benchmarks/quantize_smollm2.py [--fresh] [--kept] [--no-peers] [--only PARTS]

The float model is what its GGUF (Q4_1, Q8_0) dequantises to. 8,192 tokens of prose of three kinds that nothing else
uses; calibration on 16,384 tokens of other prose, or on as many that the model makes itself. KL is the mean divergence
of the next-token distributions from the float model's, in nats. PARTS, each of which takes long,
with commas between them, are done in their order: peers (K-quants), calibrated, self-calibrated, data-free (ours and
others). Rows are kept in the user's cache, so a run that was stopped is gone on with.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from functools import cache, partial

import numpy as np
import torch
from package_networks import Batches, Trained
from package_smollm2 import WINDOW, gguf_file, model_of, tokenizer_of, windows
from quantize_harness import (
    Metrics,
    Row,
    arguments,
    grouped,
    heading,
    kept_for_sources,
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

SHOW = ("KL", "perplexity", "top-1")
PARTS = ("peers", "calibrated", "self-calibrated", "data-free")
# In windows of 256 tokens.
MEASURED, CALIBRATED = 32, 64
KLS = (0.021, 0.082, 0.261)
EQUAL_TO = ("llama.cpp Q5_K", "llama.cpp Q4_K", "llama.cpp Q3_K")
LOSSES = (0.08, 0.27, 0.039)
DATA_FREE_LOSSES = (1.0, 0.35, 0.15, 0.02)
# The profile small takes minutes for so many weights.
PROFILES = ("default",)


def trained_of(
    model: nn.Module,
    measuring: Callable[[], Batches],
    calibration: Callable[[], Batches],
    choosing: Callable[[], Batches] = list,
) -> Trained:
    """The model with windows for each purpose."""
    size = sum(parameter.numel() * 4 for parameter in model.parameters())
    return Trained("SmolLM2-135M", model, size, lambda own, batch: own(**batch), measuring, calibration, choosing)


def distributions(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Logarithms of the probabilities of each token after the first, (windows, tokens - 1, vocabulary)."""
    own: Tensor = model(**batch).logits[:, :-1].log_softmax(-1)
    return own


def compared(batches: list[dict[str, Tensor]], originals: Iterable[Tensor], others: Iterable[Tensor]) -> Metrics:
    """What `sws.compare.OutputMeter` tells, in float32, which takes a tenth of the time."""
    divergence = surprise = agreeing = 0.0
    tokens = 0
    for batch, original, other in zip(batches, originals, others, strict=True):
        for p, q, following in zip(original, other, batch["input_ids"][:, 1:], strict=True):
            divergence += float((p.exp() * (p - q)).sum(-1).double().sum())
            surprise -= float(q.gather(-1, following[:, None]).double().sum())
            agreeing += float((p.argmax(-1) == q.argmax(-1)).sum())
            tokens += len(following)
    return {"KL": divergence / tokens, "perplexity": math.exp(surprise / tokens), "top-1": agreeing / tokens}


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


def k_quants(matrix: Callable[[], State]) -> list[Peer]:
    """Without inputs, and with the importance of each column. matrix : that importance"""
    if not has_llama_cpp():
        return []

    def with_importance(kind: str, state: State) -> tuple[int, State]:
        return llama_cpp(kind, state, matrix())

    return [
        *(Peer(f"llama.cpp {kind}", partial(llama_cpp, kind)) for kind in ("Q5_K", "Q4_K", "Q3_K")),
        *(Peer(f"llama.cpp {kind}, imatrix", partial(with_importance, kind), False) for kind in ("Q4_K", "Q3_K")),
        *(Peer(f"llama.cpp {kind}", partial(llama_cpp, kind)) for kind in ("Q6_K", "Q2_K")),
    ]


def data_free() -> list[Peer]:
    return [
        Peer("round to nearest, 4 bits, groups of 32", partial(round_to_nearest, 4, 32)),
        Peer("nf4 64", partial(elsewhere, "nf4", "64")),
        Peer("hqq 4 64", partial(elsewhere, "hqq", "4 64")),
        *(Peer(f"EntQuant's method, {weight}", partial(entquant, weight, profile=PROFILES[0])) for weight in (1, 3)),
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
    trained = trained_of(model, lambda: batches, lambda: windows(tokenizer, CALIBRATED, measuring=False))
    heading(trained)
    kept = kept_for_sources(trained, given.fresh, given.kept)

    # When it is measured, the model itself has other tensors.
    original = copy.deepcopy(model)

    @cache
    def floats() -> list[Tensor]:
        return [distributions(original, batch) for batch in batches]

    def evaluate(network: nn.Module) -> Metrics:
        with torch.inference_mode():
            return compared(batches, floats(), (distributions(network, batch) for batch in batches))

    print_head(SHOW)
    if "float32" not in kept:
        kept.add(Row("float32", trained.original_bytes, evaluate(model)))
    print_row(kept["float32"], SHOW)
    show_ours = partial(our_rows, trained, evaluate, show=SHOW, profiles=PROFILES, kept=kept)
    show_peers = partial(peer_rows, trained, evaluate, given.fresh, show=SHOW, is_complete=given.kept)
    known = partial(statistics_of, trained, fresh=given.fresh)
    rows: list[Row] = []
    for part in parts:
        if part == "peers" and not given.no_peers:
            matrix = cache(lambda: importance(model, trained.calibration()[:4]))
            rows += show_peers(k_quants(matrix))
        elif part == "calibrated":
            rows += show_ours(partial(known, "other prose", trained.calibration), LOSSES, "ours")
        elif part == "self-calibrated":
            texts = partial(made_by_itself, model, CALIBRATED)
            statistics = partial(known, f"{CALIBRATED} windows made by itself", texts)
            rows += show_ours(statistics, LOSSES[:2], "ours, self-calibrated")
        elif part == "data-free":
            ours = show_ours(None, DATA_FREE_LOSSES, "ours, data-free")
            theirs = [] if given.no_peers else show_peers(data_free())
            rows += ours + theirs
            if ours:
                print_equal_sizes(ours, theirs)
    least = kept["float32"].metrics["perplexity"]
    losses: dict[str, Callable[[float], float]] = {"KL": lambda kl: kl, "perplexity": lambda own: math.log(own / least)}
    for metric, loss in losses.items():
        theirs = {row.metrics[metric] for row in rows if row.name in EQUAL_TO}
        values = sorted({*theirs, *(KLS if metric == "KL" else ())})
        print_sizes(grouped(rows), metric, values, loss)
        others = {"K-quants": "llama.cpp", "ours, self-calibrated": "ours, self-calibrated"}
        print_savings(rows, "ours, default", others, metric, values, loss)


if __name__ == "__main__":
    np.random.seed(0)
    main()
