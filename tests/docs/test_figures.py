"""Tables and pictures of the documentation are what its commands print and draw."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from documents import documents, table
from modules import load

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


def benchmark(name: str) -> Any:
    """The module of a command, of which nothing else is installed."""
    return load(BENCHMARKS / f"{name}.py")


def test_tensors_of_many_values() -> None:
    """The other compressors may come in other versions."""
    pytest.importorskip("zstandard")
    module = benchmark("weak_spots")
    head, *rows = table("docs/sizes.md", "weights")
    matrices = module.matrices()
    assert [row[0] for row in rows] == list(matrices)
    for row in rows:
        ratios = module.ratios(matrices[row[0]])
        assert list(ratios) == head[1:]
        for (name, ratio), cell in zip(ratios.items(), row[1:], strict=True):
            assert float(cell) == pytest.approx(ratio, rel=0.002 if name.startswith(".sws") else 0.1)


def test_sizes_of_the_checkpoint_that_is_shipped() -> None:
    for package in ("zstandard", "brotli"):
        pytest.importorskip(package)
    import torch

    module = benchmark("compare_sizes")
    head, *rows = table("docs/sizes.md", "checkpoint")
    (row,) = [row for row in rows if row[0] == "digits_cnn"]
    checkpoint = torch.load(ROOT / "examples" / "digits_cnn.pt", weights_only=True)
    sizes = module.sizes(checkpoint)
    assert list(sizes) == head[1:-1]
    for name, cell in zip(head[1:-1], row[1:-1], strict=True):
        assert int(cell.replace(",", "")) == pytest.approx(sizes[name], rel=0 if name == ".sws" else 0.02)
    dense = sum(tensor.nbytes for tensor in checkpoint.values())
    assert float(row[-1]) == pytest.approx(dense / sizes[".sws"], abs=0.006)


def test_commands_that_print_figures_are_there() -> None:
    """`python FILE`, `make TARGET`, links to files and to headings."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in documents():
        text = page.read_text(encoding="utf-8")
        for script in re.findall(r"python ((?:benchmarks|scripts|spec)/\w+\.py)", text):
            assert (ROOT / script).is_file(), f"{page.name}: {script}"
        for target in re.findall(r"`make ([\w-]+)", text):
            assert re.search(rf"^{target}:", makefile, re.M), f"{page.name}: make {target}"
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = link.partition("#")
            if "://" in path:
                continue
            linked = (page.parent / path) if path else page
            assert linked.exists(), f"{page.name}: {link}"
            if heading and linked.suffix == ".md":
                assert heading in anchors(linked.read_text(encoding="utf-8")), f"{page.name}: {link}"


def test_every_table_of_figures_names_its_command() -> None:
    """In the same section."""
    for page in documents():
        if page.parent.name in ("spec", "zoo"):
            continue  # tables of the format, and the page that a script writes
        for section in re.split(r"^#+ ", page.read_text(encoding="utf-8"), flags=re.M):
            figures = re.findall(r"^\|.*\| *\d[\d,.]* *\|", section, re.M)
            command = re.search(r"`(?:[A-Z_]+=\S+ )*(?:python (?:benchmarks|scripts)/\w+\.py|make bench)", section)
            assert not figures or command, f"{page.name}: {section.splitlines()[0]}"


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_trade_off() -> None:
    """Every line has its entry in the legend, every recipe and paper its name; nothing is cut off or written over."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    module = benchmark("trade_off")
    points: dict[str, dict[str, list[tuple[float, float]]]] = {model: {} for model in module.PAPERS}
    for run in json.loads((ROOT / "zoo" / "runs.json").read_text(encoding="utf-8")):
        if run["dataset"] == "mnist" and run["model"] in points:
            place = (100 * run["test_error"], run["dense_bytes"] / run["file_bytes"])
            points[run["model"]].setdefault(run["recipe"], []).append(place)
    figure = module.draw(points)
    figure.canvas.draw()
    entries = {text.get_text() for text in figure.legends[0].get_texts()}
    for axes, (model, papers) in zip(figure.axes, module.PAPERS.items(), strict=True):
        assert {line.get_label() for line in axes.lines} <= entries
        names = [text for text in axes.texts if text.get_text()]
        assert {text.get_text() for text in names} == {*papers, *points[model]}
        boxes = [text.get_window_extent() for text in names]
        for box in boxes:
            assert axes.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
        assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    matplotlib.pyplot.close(figure)
