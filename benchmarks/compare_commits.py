"""Another commit beside this one: the same bytes, and how much faster or slower.

    python benchmarks/compare_commits.py OLD_CHECKOUT [--old-python PYTHON] [--bytes] [--speed] [--json FILE]

OLD_CHECKOUT is a folder with a checkout of the other commit and its extensions built in place. Without --bytes or
--speed, both. Each commit has a process of its own for the whole run, and is asked by its public functions alone.

Bytes: every shared checkpoint, zoo file and valid vector, and synthetic tensors, are encoded with many options; files,
what they decode to, and the sections of their reports have to be equal. So has the class of the error for each invalid
vector and for broken copies of the valid ones; other messages are listed. Any other difference exits with 1.

Speed: CPU times in one thread. Old and new take turns; all cases are gone through several times, and the middle one of
the ratios of the least times counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "spec" / "vectors"
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "default, 2 threads": {"threads": 2},
    "small": {"profile": "small"},
    "small, 2 threads": {"profile": "small", "threads": 2},
    "small, contexts full": {"profile": "small", "contexts": "full"},
    "small, contexts light": {"profile": "small", "contexts": "light"},
    "no huffman": {"huffman": False},
    **{f"pbits {width}": {"pbits": width} for width in (1, 5, 8, 12)},
    "pbits_fc 5, pbits_conv 8": {"pbits_fc": 5, "pbits_conv": 8},
    "scan rows": {"scan": "rows"},
    "scan columns": {"scan": "columns"},
    "compact off": {"compact": "off"},
    "no huffman, scan columns, compact off": {"huffman": False, "scan": "columns", "compact": "off"},
}
SWEEPS = 3
# In seconds: short turns are repeated until they last this long; a long one has three turns in each sweep.
TURN, SLOW = 0.02, 0.1
IMPORTS = {
    "import swsfmt": "import time; import swsfmt; print(time.process_time())",
    "import swsfmt, NumPy there": "import numpy, time; b = time.process_time(); import swsfmt; "
    "print(time.process_time() - b)",
}
IMPORT_TURNS = 15
# Freed memory is used again in both, so that page faults are not what is compared.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
console = Console(width=120)


class Worker:
    """A process in which one checkout's swsfmt answers."""

    def __init__(self, python: str, checkout: Path) -> None:
        self.python = python
        self.checkout = checkout.resolve()
        self.environment = os.environ | MALLOC | {"PYTHONPATH": str(self.checkout), "OMP_NUM_THREADS": "1"}
        command = [python, str(ROOT / "benchmarks" / "compare_worker.py")]
        self.process = subprocess.Popen(
            command, cwd=self.checkout, env=self.environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.send("start")
        place = self.receive()
        if Path(place["file"]).resolve().parent.parent != self.checkout:
            raise click.ClickException(f"swsfmt is {place['file']}, it should be that of {self.checkout}")
        console.print(f"{place['file']}: {len(place['compiled'])} compiled modules")
        if not place["compiled"]:
            raise click.ClickException("its kernels in C are not there: build them in place, pip install -e .")

    def send(self, question: str, *arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([question, arguments]) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException(f"the process of {self.checkout} ended")
        return json.loads(line)

    def ask(self, question: str, *arguments: Any) -> Any:
        self.send(question, *arguments)
        return self.receive()

    def import_seconds(self, code: str) -> float:
        command = [self.python, "-c", code]
        done = subprocess.run(
            command, cwd=self.checkout, env=self.environment, text=True, check=True, capture_output=True
        )
        return float(done.stdout)


def both(old: Worker, new: Worker, question: str, *arguments: Any) -> tuple[Any, Any]:
    """The answers of both at the same time."""
    old.send(question, *arguments)
    new.send(question, *arguments)
    return old.receive(), new.receive()


def compare_bytes(old: Worker, new: Worker) -> tuple[bool, dict[str, Any]]:
    """Whether all is equal, and what is not."""
    there, here = both(old, new, "list_cases")
    for line in sorted({*there["skipped"], *here["skipped"]}):
        console.print(f"skipped: {line}", highlight=False)
    different: list[str] = [] if there == here else ["the lists of cases"]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for number, case in enumerate(here["cases"], 1):
        console.print(f"{number} of {len(here['cases'])}: {case}")
        for setting, options in OPTIONS.items():
            # Most of what follows is the same for both faces.
            for face in ("torch", "numpy") if setting == "default" or case == "synthetic dtypes" else ("torch",):
                before, after = both(old, new, "encode", case, face, {"threads": 1} | options)
                counts[setting]["files"] += 1
                counts[setting]["errors"] += "error" in after
                counts[setting]["bytes in all"] += after.get("size", 0)
                wrong = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
                if not wrong and not after.get("as given", True):
                    wrong = ["decoded tensors are not those given"]
                counts[setting]["different"] += bool(wrong)
                if wrong:
                    different.append(f"{case}, {face}, {setting}: {', '.join(sorted(wrong))}: {before} {after}")
    columns = ("files", "errors", "bytes in all", "different")
    table = Table("options", *columns, title="Encoded, decoded and inspected")
    for setting, count in counts.items():
        table.add_row(setting, *(f"{count[key]:,}" for key in columns))
    console.print(table)

    messages: list[str] = []
    refusals: Counter[str] = Counter()
    questions = [("refuse", path) for path in sorted((VECTORS / "invalid").glob("*.sws"))]
    questions += [("mutate", path) for path in sorted((VECTORS / "valid").glob("*.sws"))]
    for question, path in questions:
        for number, pair in enumerate(zip(*both(old, new, question, str(path)), strict=True)):
            (class_before, before), (class_after, after) = pair
            refusals[class_after or "no error"] += 1
            if class_before != class_after:
                different.append(f"{question} {path.name} {number}: {class_before}: {before} | {class_after}: {after}")
            elif before != after:
                messages.append(f"{question} {path.name} {number}: {class_after}: {before} | {after}")
    table = Table("answer to an invalid vector or a broken copy", "times")
    for name, times in refusals.most_common():
        table.add_row(name, f"{times:,}")
    console.print(table)
    for title, lines in (("another message", messages), ("DIFFERENT", different)):
        console.print(f"{title}: {len(lines)}")
        for line in lines:
            console.print(f"  {line}", highlight=False, markup=False)
    return not different, {"counts": counts, "refusals": refusals, "messages": messages, "different": different}


def compare_speed(old: Worker, new: Worker, weights: int, network: str | None, turns: int) -> list[dict[str, Any]]:
    """One row for each case and task."""
    names, _ = both(old, new, "list_timed", weights, network)
    tasks = [(name, task, profile) for name in names for profile in ("fast", "small") for task in ("encode", "decode")]
    # The first run of both is not counted: it is slower.
    once = {key: min(*both(old, new, "seconds", *key, 1, weights, network)) for key in tasks}
    repeats = {key: max(1, round(TURN / spent)) for key, spent in once.items()}
    times: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(SWEEPS):
        for key in tasks:
            least = [float("inf")] * 2
            for turn in range(turns if once[key] < SLOW else min(turns, 3)):
                for side in (0, 1) if turn % 2 else (1, 0):
                    spent = (old, new)[side].ask("seconds", *key, repeats[key], weights, network)
                    least[side] = min(least[side], spent)
            times[key].append((least[0], least[1]))
        for name, code in IMPORTS.items():
            pairs = [(old.import_seconds(code), new.import_seconds(code)) for _ in range(IMPORT_TURNS)]
            times[(name, "", "")].append((min(a for a, _ in pairs), min(b for _, b in pairs)))
    rows = []
    for (name, task, profile), pairs in times.items():
        before, after = (min(pair[side] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(b / a for a, b in pairs)
        rows.append({"case": name, "task": f"{task} {profile}".strip(), "old": before, "new": after, "ratio": ratio})
    table = Table("case", "task", title="CPU time in one thread")
    for column in ("old ms", "new ms", "new/old"):
        table.add_column(column, justify="right")
    for row in rows:
        style = "bold red" if row["ratio"] > 1.03 else None
        numbers = f"{1e3 * row['old']:.3f}", f"{1e3 * row['new']:.3f}", f"{row['ratio']:.3f}"
        table.add_row(row["case"], row["task"], *numbers, style=style)
    console.print(table)
    worst = max(rows, key=lambda row: row["ratio"])
    console.print(f"worst: {worst['case']}, {worst['task']}: {worst['ratio']:.3f}")
    return rows


@click.command(help=__doc__)
@click.argument("old_checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--old-python", default=sys.executable, help="Interpreter for the other commit; default: this one.")
@click.option("--bytes", "with_bytes", is_flag=True)
@click.option("--speed", "with_speed", is_flag=True)
@click.option("--weights", default=200_000, show_default=True, help="Of each synthetic matrix that is timed.")
@click.option("--turns", default=7, show_default=True, help="Of each case in each of three sweeps.")
@click.option("--network", type=click.Path(exists=True, resolve_path=True), help="A safetensors file, timed too.")
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(
    old_checkout: Path,
    old_python: str,
    with_bytes: bool,
    with_speed: bool,
    weights: int,
    turns: int,
    network: str | None,
    json_path: Path | None,
) -> None:
    old, new = Worker(old_python, old_checkout), Worker(sys.executable, ROOT)
    results: dict[str, Any] = {}
    equal = True
    if with_bytes or not with_speed:
        equal, results["bytes"] = compare_bytes(old, new)
    if with_speed or not with_bytes:
        results["speed"] = compare_speed(old, new, weights, network, turns)
    if json_path:
        json_path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    sys.exit(not equal)


if __name__ == "__main__":
    main()
