"""The table of trained networks: `python benchmarks/recipe_table.py RUN [RUN ...]`, the folders of `sws train`.

Runs of one recipe with several seeds share a line: mean and, after it, the smallest and the largest.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any


def spread(values: list[float], form: str) -> str:
    """Mean (smallest to largest)."""
    mean = format(statistics.mean(values), form)
    return mean if len(values) == 1 else f"{mean} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for folder in sys.argv[1:]:
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
        recipe = json.loads((Path(folder) / "recipe.json").read_text(encoding="utf-8"))
        recipe.pop("seed")
        groups.setdefault((report["model"], report["dataset"], json.dumps(recipe)), []).append(report)
    print("| model | dataset | seeds | dense, % error | in the file, % error | bytes | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for (model, dataset, _), reports in groups.items():
        columns = [
            spread([100 * r["dense_test_error"] for r in reports], ".2f"),
            spread([100 * r["test_error"] for r in reports], ".2f"),
            spread([r["file_bytes"] for r in reports], ",.0f"),
            spread([r["ratio"] for r in reports], ".1f"),
        ]
        print(f"| {model} | {dataset} | {len(reports)} |", " | ".join(columns), "|")


if __name__ == "__main__":
    main()
