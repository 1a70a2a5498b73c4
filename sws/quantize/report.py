"""What quantising did and what it cost: for programs as JSON, for people as a page with plots."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swsfmt import InputError, TensorReport
from swsfmt.write.atomic import write_atomically

from .targets import Attempt

JSON, HTML = ".json", ".html"
# Of layers that have a bar with their name.
_NAMED = 80


@dataclass(frozen=True)
class Layer:
    """A tensor in the file. bytes : there, its share of codebooks apart. error : relative, of its weights"""

    name: str
    shape: list[int]
    elements: int
    bytes: int
    bits: float
    coding: str
    error: float | None

    @classmethod
    def of(cls, tensor: TensorReport, error: float | None) -> Layer:
        elements = 1
        for size in tensor.shape:
            elements *= size
        bits = 8 * tensor.file_bytes / max(1, elements)
        return cls(tensor.name, list(tensor.shape), elements, tensor.file_bytes, bits, tensor.coding, error)


@dataclass
class Report:
    """file, file_bytes, dense_bytes, ratio, bits : of the whole file; bits for each element of a tensor
    target : in words. step : that was found. method, calibration, rules : as asked for
    error, error_kind : of outputs; None where there is nothing to run
    untuned_error : as `error`, before tuning; None without
    weight_error : relative, of all weights together
    attempts : what was tried for the target, in order
    layers : of the file, tied names left out; none where no details were asked for
    seconds : by what was done
    """

    file: str
    file_bytes: int
    dense_bytes: int
    ratio: float
    bits: float
    target: str
    step: float
    method: str
    calibration: str
    rules: list[str]
    error: float | None
    error_kind: str | None
    weight_error: float | None
    untuned_error: float | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    without_statistics: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    def write(self, path: str | os.PathLike[str]) -> None:
        """As its suffix says. Raises `InputError` as `check_name` does, `OSError`."""
        check_name(path)
        text = json.dumps(self.to_json(), indent=2) if Path(path).suffix.lower() == JSON else page(self)
        write_atomically(path, (text + "\n").encode())


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` for the name of neither kind of report, and where pages cannot be drawn."""
    suffix = Path(path).suffix.lower()
    if suffix not in (JSON, HTML):
        raise InputError(f"a report is NAME{JSON} or NAME{HTML}", file=os.fspath(path))
    if suffix == HTML:
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            raise InputError("a page with plots needs matplotlib: pip install 'swsfmt[train]'") from error


def attempts_of(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """For a report."""
    return [
        {"step": one.step, "bytes": one.bytes, "error": one.error, "weight_error": one.weight_error} for one in attempts
    ]


def page(report: Report) -> str:
    """One HTML page that needs nothing else."""
    plots = "\n".join(
        f'<figure><img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{image}">'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
        for title, image in _plots(report)
    )
    error = (
        "not measured: there is nothing to run" if report.error is None else f"{report.error:.4g} ({report.error_kind})"
    )
    if report.untuned_error is not None:
        error += f", before tuning {report.untuned_error:.4g}"
    facts = {
        "file": f"{report.file}, {report.file_bytes:,} bytes",
        "ratio": f"{report.ratio:.2f}x of {report.dense_bytes:,} dense bytes, {report.bits:.3f} bits a weight",
        "target": report.target,
        "error of the outputs": error,
        "relative error of the weights": "none" if report.weight_error is None else f"{report.weight_error:.4g}",
        "method": f"{report.method}, step {report.step:.6g}",
        "calibration": report.calibration,
        "rules": ", ".join(report.rules) or "none",
        "seconds": ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items()),
    }
    rows = "".join(f"<tr><th>{html.escape(k)}<td>{html.escape(v)}" for k, v in facts.items())
    tried = _table(report.attempts, ("step", "bytes", "error", "weight_error"))
    layers = _table(report.layers, ("name", "shape", "coding", "bytes", "bits", "error"))
    return _PAGE.format(title=html.escape(report.file), facts=rows, plots=plots, attempts=tried, layers=layers)


_PAGE = """<!doctype html>
<meta charset="utf-8"><title>{title}, quantised</title>
<style>body{{font:15px sans-serif;margin:2em auto;max-width:70em;padding:0 1em}}th{{text-align:left;padding-right:1em}}
td{{padding-right:1em;font-variant-numeric:tabular-nums}}img{{max-width:100%}}figure{{margin:2em 0}}</style>
<h1>{title}</h1>
<table>{facts}</table>
{plots}
<h2>What was tried</h2>
<table>{attempts}</table>
<h2>Layers</h2>
<table>{layers}</table>"""


def _table(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> str:
    head = "<tr>" + "".join(f"<th>{column.replace('_', ' ')}" for column in columns)
    return head + "".join("<tr>" + "".join(f"<td>{_cell(row[c])}" for c in columns) for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "x".join(map(str, value)) or "scalar"
    return f"{value:,}" if isinstance(value, int) else html.escape(str(value))


def _plots(report: Report) -> Iterable[tuple[str, str]]:
    from matplotlib.figure import Figure

    quantized = [layer for layer in report.layers if layer["error"] is not None]
    for title, key, label in (
        ("Bits of each layer", "bits", "bits a weight"),
        ("Error of each layer", "error", "relative error of the weights"),
    ):
        if not quantized:
            continue
        shown = quantized if len(quantized) <= _NAMED else quantized[:: -(-len(quantized) // _NAMED)]
        figure = Figure(figsize=(9, 1 + 0.18 * len(shown)))
        axes = figure.subplots()
        axes.barh([layer["name"] for layer in shown], [layer[key] for layer in shown])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=7)
        axes.set_xlabel(label)
        yield title, _svg(figure)
    key = "error" if all(one["error"] is not None for one in report.attempts) else "weight_error"
    points = sorted((one["bytes"], one[key]) for one in report.attempts if one[key])
    if points:
        figure = Figure(figsize=(7, 4))
        axes = figure.subplots()
        axes.plot(*zip(*points, strict=True), marker="o")
        axes.set_yscale("log")
        axes.set_xlabel("bytes of the file")
        axes.set_ylabel(report.error_kind if key == "error" and report.error_kind else "relative error of the weights")
        axes.grid(alpha=0.3, which="both")
        yield "Rate and distortion: what was tried", _svg(figure)


def _svg(figure: Any) -> str:
    image = io.BytesIO()
    # The date would make each page another one.
    figure.savefig(image, format="svg", bbox_inches="tight", metadata={"Date": None})
    return base64.b64encode(image.getvalue()).decode()
