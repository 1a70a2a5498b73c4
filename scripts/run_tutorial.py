"""Run the code cells of the seed tutorial, in order, in one namespace, unchanged unless an option says so.

    python scripts/run_tutorial.py [TEXT] [--seed N] [--pretrain-epochs N] [--retrain-epochs N] [--json FILE]

TEXT is the tutorial as plain text (default: $SWS_TUTORIAL, else ../shared/seed_tutorial.txt), in which `In [None]:`
begins a code cell and a heading or a rule ends it. The cells write to `tutorial_outputs2` in the current folder.
At the end stands one JSON object with what the tutorial measured; --json writes it to a file too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "In [None]:"


def tutorial_path() -> Path:
    """Where the tutorial's text is expected."""
    return Path(os.environ.get("SWS_TUTORIAL") or ROOT.parent / "shared" / "seed_tutorial.txt")


def code_cells(text: str) -> Iterator[str]:
    """The code cells. No line of code begins with `## ` or is a rule, all that follows a cell does."""
    lines: list[str] | None = None
    for line in text.splitlines():
        ends = line == "---" or re.match(r"#{2,} ", line)
        if lines is not None and (ends or line == BEGIN):
            yield "\n".join(lines)
            lines = None
        if line == BEGIN:
            lines = []
        elif lines is not None:
            lines.append(line)
    if lines is not None:
        yield "\n".join(lines)


def with_settings(cell: str, seed: int | None, pretrain_epochs: int | None, retrain_epochs: int | None) -> str:
    """A cell with other numbers in place of the tutorial's."""
    epochs = retrain_epochs if "retrain_soft_weight_sharing(" in cell else pretrain_epochs
    if epochs is not None:
        cell = re.sub(r"\bepochs=\d+", f"epochs={epochs}", cell)
    if seed is not None:
        cell = re.sub(r"\bset_seed\(\d+\)", f"set_seed({seed})", cell)
    return cell


def run(cells: list[str]) -> dict[str, Any]:
    """Run the cells and return their namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, start=1):
        started = time.perf_counter()
        exec(compile(cell, f"<cell {number}>", "exec"), namespace)
        print(f"[cell {number} of {len(cells)}: {time.perf_counter() - started:.1f} s]", flush=True)
    return namespace


def results(namespace: dict[str, Any]) -> dict[str, Any]:
    """What the tutorial measured."""
    report = namespace["report"]
    names = ("pretrain_acc", "retrain_acc", "quantized_acc")
    measured = {name: round(float(namespace[name]), 4) for name in names}
    return {**measured, **{key: report[key] for key in ("orig_bits", "compressed_bits", "CR", "nnz")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path, default=tutorial_path(), metavar="TEXT")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--pretrain-epochs", type=int)
    parser.add_argument("--retrain-epochs", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    # The cells import `scripts.tutorial_helpers` from the root, as a notebook that runs there does.
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("MPLBACKEND", "Agg")
    cells = [
        with_settings(cell, args.seed, args.pretrain_epochs, args.retrain_epochs)
        for cell in code_cells(args.text.read_text(encoding="utf-8"))
    ]
    found = json.dumps(results(run(cells)), indent=2)
    print(found)
    if args.json is not None:
        args.json.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
