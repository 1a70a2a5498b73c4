"""Put the files of finished runs into zoo/, with a table: `python scripts/make_zoo.py FOLDER`.

FOLDER holds one folder for each run, RECIPE-SEED, made by
`sws train records/RECIPE -o FOLDER/RECIPE-SEED --seed SEED`. The file of seed 1 is copied; zoo/runs.json keeps the
figures of all seeds, and zoo/README.md shows them. Runs that are there already and not in FOLDER stay.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

ZOO = Path(__file__).resolve().parent.parent / "zoo"
COPIED = 1

TEXT = """# The zoo

Small networks as `.sws` files: everything that the network needs is in the file, and `ls -l` shows its size.
`python scripts/make_zoo.py` made this page and [runs.json](runs.json) from the runs.

| file | dataset | bytes | ratio | error, % | dense network, % | made by |
|---|---|---:|---:|---:|---:|---|
{files}

*ratio*: bytes of the dense float32 state_dict, biases and all, over the size of the file. *error*: of the decoded file
on the test set, used once at the end of the run; `sws eval zoo/lenet5.sws` measures it again. The metadata, which
`sws inspect` shows, say which network it is, the dataset, what the pixels are divided by and the command: 87 to 117
bytes of each file, written later than the rest and counted for all seeds.
The hyper-parameters were chosen on 5,000 held-out training images; for lenet5_smallest only which ingredients it has.
The times in the recipes are of one core of an idle machine; where it was shared, runs took up to three times as long.

All seeds:

| recipe | seed | bytes | ratio | error, % | dense network, % |
|---|---:|---:|---:|---:|---:|
{runs}
"""


def runs(folder: Path) -> list[dict[str, Any]]:
    """The figures of each finished run, by recipe and seed."""
    out = []
    for path in sorted(folder.glob("*/report.json")):
        recipe, _, seed = path.parent.name.rpartition("-")
        report = json.loads(path.read_text(encoding="utf-8"))
        if int(seed) != report["seed"]:
            raise SystemExit(f"{path}: the run has seed {report['seed']}")
        size = (path.parent / "model.sws").stat().st_size
        figures = {
            key: report[key] for key in ("model", "dataset", "seed", "dense_bytes", "test_error", "dense_test_error")
        }
        out.append({"recipe": recipe, **figures, "file_bytes": size})
    return sorted(out, key=lambda run: (run["recipe"], run["seed"]))


def figures(run: dict[str, Any]) -> str:
    ratio = run["dense_bytes"] / run["file_bytes"]
    return f"{run['file_bytes']:,} | {ratio:.1f} | {run['test_error']:.2%} | {run['dense_test_error']:.2%}".replace(
        "%", ""
    )


def page(found: list[dict[str, Any]]) -> str:
    files = [
        f"| [{run['recipe']}.sws]({run['recipe']}.sws) | {run['dataset']} | {figures(run)} | "
        f"`sws train records/{run['recipe']} -o OUT --seed {run['seed']}` |"
        for run in found
        if run["seed"] == COPIED
    ]
    rows = [f"| {run['recipe']} | {run['seed']} | {figures(run)} |" for run in found]
    return TEXT.format(files="\n".join(files), runs="\n".join(rows))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    found = runs(folder)
    if not found:
        sys.exit(f"{folder}: no finished run")
    ZOO.mkdir(exist_ok=True)
    for run in found:
        if run["seed"] == COPIED:
            shutil.copyfile(folder / f"{run['recipe']}-{run['seed']}" / "model.sws", ZOO / f"{run['recipe']}.sws")
    table = ZOO / "runs.json"
    known = json.loads(table.read_text(encoding="utf-8")) if table.exists() else []
    every = {(run["recipe"], run["seed"]): run for run in [*known, *found]}
    ordered = [every[key] for key in sorted(every)]
    table.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    (ZOO / "README.md").write_text(page(ordered), encoding="utf-8")


if __name__ == "__main__":
    main()
