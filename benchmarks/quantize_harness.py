"""What the benchmarks of quantising have in common: rows of a table, what is kept from run to run, sizes at a quality.

Kept in the user's cache: statistics, for as long as the modules that make them are what they were, and the rows of
peers; --fresh measures them anew.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from package_networks import Trained
from quantize_peers import Peer, peers
from torch import Tensor, nn

import swsfmt.torch
from sws import quantize
from sws.quantize import Network, QuantizedModel, Statistics, collect

CACHE = Path.home() / ".cache" / "swsfmt" / "quantize"
# What statistics hang on.
MODULES = ("collect.py", "observe.py", "layers.py", "layout.py", "statistics.py", "recurrence.py")

Metrics = dict[str, float]
Evaluate = Callable[[nn.Module], Metrics]


@dataclass(frozen=True)
class Row:
    """One file and how good it is. kind : "peer", "ours", or what else a table is about"""

    name: str
    bytes: int
    metrics: Metrics
    kind: str = "ours"


class Kept:
    """Rows by name, in a file of the cache from run to run. is_complete : no others are to be measured"""

    def __init__(self, file: str, fresh: bool, is_complete: bool = False) -> None:
        self._path = CACHE / file
        self.is_complete = is_complete
        self._rows = json.loads(self._path.read_text()) if self._path.is_file() and not fresh else {}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> Row:
        return Row(**self._rows[name])

    def add(self, row: Row) -> None:
        self._rows[row.name] = asdict(row)
        CACHE.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._rows, indent=1))


def kept_for_sources(trained: Trained, fresh: bool, is_complete: bool = False) -> Kept:
    """Rows of ours, for as long as no source file is another one: for networks that take long."""
    root = Path(quantize.__file__).parent.parent.parent
    files = sorted(path for part in ("sws", "swsfmt") for path in (root / part).rglob("*.*"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files if path.suffix in (".py", ".c", ".h")))
    return Kept(f"{_slug(trained.name)}-ours-{digest.hexdigest()[:10]}.json", fresh, is_complete)


def arguments(document: str | None, kinds: Collection[str] = ()) -> argparse.Namespace:
    """kinds : that may be asked for, several at once"""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="measure peers and collect statistics anew")
    parser.add_argument(
        "--kept", action="store_true", help="print what was kept and measure nothing, where rows are kept"
    )
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    parser.add_argument("--only", metavar="WORD", default="", help="networks with this in their names")
    if kinds:
        parser.add_argument("kinds", nargs="+", choices=kinds)
    return parser.parse_args()


def heading(trained: Trained) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    print(f"\n{trained.name}: {trained.original_bytes:,} bytes as float32 (commit {commit.strip()})\n", flush=True)


def statistics_of(
    trained: Trained, name: str, batches: Callable[[], Iterable[object]], fresh: bool, seed: int = 0
) -> Statistics:
    """Statistics on these batches. name : of the inputs. seed : of directions"""
    folder = Path(quantize.__file__).parent
    code = b"".join((folder / module).read_bytes() for module in MODULES if (folder / module).is_file())
    path = CACHE / f"{_slug(trained.name)}-{_slug(name)}-{hashlib.sha256(code).hexdigest()[:10]}.safetensors"
    if path.is_file() and not fresh:
        return Statistics.load(path)
    start = time.process_time()
    statistics = collect(trained.model, batches(), trained.forward, seed=seed)
    print(f"statistics, {name}: {time.process_time() - start:.0f} CPU s", file=sys.stderr, flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    statistics.save(path)
    return statistics


def with_tensors(trained: Trained, state: dict[str, Tensor], evaluate: Evaluate) -> Metrics:
    """The metrics of the network with other tensors, which it has not afterwards."""
    own = {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}
    try:
        trained.model.load_state_dict(state)
        return evaluate(trained.model)
    finally:
        trained.model.load_state_dict(own)


def peer_rows(
    trained: Trained,
    evaluate: Evaluate,
    fresh: bool,
    which: Iterable[Peer] | None = None,
    *,
    show: Sequence[str] = (),
    is_complete: bool = False,
) -> list[Row]:
    """Each printed as it is measured. A tied tensor is stored once, as with ours."""
    first = first_names(trained.model.state_dict())
    arrays = {name: tensor.numpy() for name, tensor in trained.model.state_dict().items() if first[name] == name}
    kept = Kept(f"{_slug(trained.name)}-peers.json", fresh, is_complete)
    rows = []
    for peer in peers(arrays) if which is None else which:
        is_kept = peer.name in kept and set(show) <= set(kept[peer.name].metrics)
        if not is_kept and kept.is_complete:
            continue
        if not is_kept:
            size, back = peer.quantize(arrays)
            state = {name: torch.from_numpy(np.ascontiguousarray(back[own])) for name, own in first.items()}
            kept.add(Row(peer.name, size, with_tensors(trained, state, evaluate), "peer"))
        rows.append(kept[peer.name])
        print_row(rows[-1], show)
    return rows


def our_rows(
    trained: Trained,
    evaluate: Evaluate,
    statistics: Statistics | Callable[[], Statistics] | None,
    losses: Sequence[float],
    name: str,
    *,
    show: Sequence[str] = (),
    profiles: Sequence[str] = ("default", "small"),
    kept: Kept | None = None,
    paths: int = 1,
) -> list[Row]:
    """One file for each loss and profile: one quality, sizes of files as they are saved.

    losses : 1 - cosine or KL that is to be expected: N weights with errors of c^2 / 12 each in units of a relative
        error of 1 give a loss of N c^2 / 24
    kept : rows of before, which are not measured again, and where new ones go
    """

    @cache
    def network() -> Network:
        return Network(trained.model.state_dict(), statistics() if callable(statistics) else statistics, paths=paths)

    weights = sum(p.numel() for p in trained.model.parameters())
    rows = []
    for step in (math.sqrt(24 * loss / weights) for loss in losses):
        names = {profile: f"{name}, c = {step:.4g}, {profile}" for profile in profiles}
        if kept is not None and all(one in kept for one in names.values()):
            new = [kept[one] for one in names.values()]
        elif kept is not None and kept.is_complete:
            continue
        else:
            start = time.process_time()
            result = QuantizedModel(network().quantize(step))
            print(f"quantised in {time.process_time() - start:.0f} CPU s", file=sys.stderr, flush=True)
            metrics = with_tensors(trained, result.state_dict(), evaluate)
            sizes = {profile: len(swsfmt.torch.save(result.tensors, profile=profile)) for profile in profiles}
            new = [Row(names[one], size, metrics, f"{name}, {one}") for one, size in sizes.items()]
        for row in new:
            if kept is not None:
                kept.add(row)
            print_row(row, show)
        rows += new
    return rows


def print_head(show: Sequence[str]) -> None:
    print(f"| file | bytes | {' | '.join(show)} |\n|---|---:|{'---:|' * len(show)}")


def print_row(row: Row, show: Sequence[str]) -> None:
    values = [f"{row.metrics[name]:.5g}" if name in row.metrics else "" for name in show]
    print(f"| {row.name} | {row.bytes:,} | {' | '.join(values)} |", flush=True)


def size_at(rows: Iterable[Row], metric: str, value: float, loss: Callable[[float], float]) -> float | None:
    """Bytes at a quality: between the two files next to it linear in the logarithm of the loss; None beyond all.

    loss : of the metric, positive; less is better
    """
    frontier: list[tuple[float, int]] = []
    # Of several of one size the best.
    for row in sorted(rows, key=lambda row: (row.bytes, loss(row.metrics[metric]))):
        own = loss(row.metrics[metric])
        # What is larger and no better is never taken.
        if np.isfinite(own) and own > 0 and (not frontier or own < frontier[-1][0]):
            frontier.append((own, row.bytes))
    wanted = loss(value)
    for (worse, smaller), (better, larger) in itertools.pairwise(frontier):
        if better <= wanted <= worse:
            part = np.log(worse / wanted) / np.log(worse / better)
            return float(smaller + part * (larger - smaller))
    return None


def loss_at(rows: Iterable[Row], size: int, metric: str, loss: Callable[[float], float]) -> float | None:
    """The loss that files of this size have: linear in its logarithm between the two next to it; None beyond all."""
    ordered = sorted(rows, key=lambda row: row.bytes)
    if not ordered[0].bytes <= size <= ordered[-1].bytes:
        return None
    losses = [math.log(max(loss(row.metrics[metric]), 1e-12)) for row in ordered]
    return float(np.exp(np.interp(size, [row.bytes for row in ordered], losses)))


def print_sizes(
    groups: dict[str, list[Row]], metric: str, values: Sequence[float], loss: Callable[[float], float]
) -> None:
    """Sizes of each group at these qualities."""
    print(f"\n| bytes at {metric} | {' | '.join(f'{value:g}' for value in values)} |\n|---|{'---:|' * len(values)}")
    for name, rows in groups.items():
        sizes = [size_at(rows, metric, value, loss) for value in values]
        if any(size is not None for size in sizes):
            print(f"| {name} | {' | '.join('' if size is None else f'{size:,.0f}' for size in sizes)} |", flush=True)


def print_savings(
    rows: Sequence[Row],
    ours: str,
    others: dict[str, str],
    metric: str,
    values: Sequence[float],
    loss: Callable[[float], float],
) -> None:
    """How much smaller ours are than the best of others at these qualities. others : names, and how their rows begin"""
    print(f"\n| {ours}: smaller than | {' | '.join(f'{value:g}' for value in values)} |\n|---|{'---:|' * len(values)}")
    own = [row for row in rows if row.kind == ours]
    for name, start in others.items():
        theirs = [row for row in rows if row.name.startswith(start)]
        sizes = [(size_at(own, metric, value, loss), size_at(theirs, metric, value, loss)) for value in values]
        parts = ["" if None in pair else f"{1 - pair[0] / pair[1]:.1%}" for pair in sizes]  # type: ignore[operator]
        print(f"| {name} | {' | '.join(parts)} |", flush=True)


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Ours by kind, peers by family: what comes before the setting."""
    families = (
        "llama.cpp", "round to nearest", "hqq", "nf4", "torchao", "EntQuant's method", "NNCodec, trellis", "NNCodec"
    )  # fmt: skip
    out: dict[str, list[Row]] = {}
    for row in rows:
        family = next((name for name in families if row.name.startswith(name)), row.name)
        if family == "llama.cpp":
            family += ", importance matrix" if "imatrix" in row.name else ", data-free"
        out.setdefault(family if row.kind == "peer" else row.kind, []).append(row)
    return out


def cosines(first: Tensor, second: Tensor) -> Metrics:
    own = torch.cosine_similarity(first.double(), second.double(), dim=1)
    return {"cosine": float(own.mean()), "least": float(own.min())}


def outputs(trained: Trained, model: nn.Module, batches: Iterable[object]) -> Tensor:
    with torch.inference_mode():
        return torch.cat([trained.forward(model, batch) for batch in batches])


def first_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Of each tensor of a state_dict, the first name of the same memory: its own where it is tied to none before."""
    first: dict[int, str] = {}
    return {name: first.setdefault(tensor.data_ptr(), name) for name, tensor in tensors.items()}


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())
