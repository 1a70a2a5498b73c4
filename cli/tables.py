"""The tables of `sws inspect`. rich lays them out; `console` prints them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from swsfmt import Report, TensorReport
from swsfmt.format.sections import Section

from . import console

_NONE = "-"
_DETAILS = ("shape", "dtype", "coding")
_SIZES = ("original\nbytes", "compressed\nbytes", "ratio", "sparsity")
# Of a name or of metadata: a single cell of 60,000 characters would make every line as long.
_LONGEST = 200
# Wide enough for any line, so that nothing is cut or folded where no terminal is.
_PIPE_WIDTH = 1 << 16


def render(name: str, report: Report) -> str:
    """Everything that `sws inspect` shows, ready for the terminal or pipe that stdout is."""
    terminal = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not terminal.is_terminal:
        terminal = Console(file=sys.stdout, width=_PIPE_WIDTH, highlight=False, markup=False, emoji=False)
    with terminal.capture() as heading:
        for line in _heading(name, report):
            terminal.print(_safe(line), soft_wrap=True)
        terminal.print()
    lines = _lines(heading.get())
    if len(report.tensors) > console.MANY:
        lines += ["", *_tensor_lines(report.tensors)]
    with terminal.capture() as capture:
        if len(report.tensors) <= console.MANY:
            terminal.print()
            terminal.print(_tensor_table_within(terminal, report.tensors))
        terminal.print()
        terminal.print(_section_table(report))
        terminal.print()
        for line in _conclusion(report):
            terminal.print(line, soft_wrap=True)
    return "\n".join(lines + _lines(capture.get()))


def _lines(text: str) -> list[str]:
    """rich fills lines up with blanks."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _tensor_table_within(terminal: Console, tensors: Sequence[TensorReport]) -> Table:
    """Stacked where it is too wide for the terminal otherwise."""
    table = _tensor_table(tensors, stacked=False)
    unbounded = terminal.options.update(max_width=_PIPE_WIDTH)
    is_too_wide = Measurement.get(terminal, unbounded, table).maximum > terminal.width
    return _tensor_table(tensors, stacked=True) if is_too_wide else table


def _tensor_lines(tensors: Sequence[TensorReport]) -> Iterator[str]:
    """The same table of many tensors, whatever the width of the terminal: rich takes a millisecond for a row."""
    titles = [*_DETAILS, *(title.replace("\n", " ") for title in _SIZES)]
    rows = [["layer", *titles]]
    rows += [[console.escape(cell) for cell in (_name(t), *_details(t), *_sizes(t))] for t in tensors]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = 1 + len(_DETAILS)
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        yield "  ".join(cells)


def _heading(name: str, report: Report) -> Iterator[str]:
    yield f"{name}: .sws version {report.version}, {console.plural(len(report.tensors), 'tensor')}"
    if report.metadata:
        yield "metadata:"
    for key, value in report.metadata.items():
        yield f"  {_shortened(key)}: {_shortened(value)}"


def _conclusion(report: Report) -> Iterator[str]:
    saved = sum(tensor.saved_bytes or 0 for tensor in report.tensors)
    if saved:
        yield f"profile small: about {saved:,} bytes less than the profile fast would take"
    dense, size = f"{report.dense_bytes:,} dense bytes", f"{report.file_bytes:,} bytes on disk"
    yield f"ratio: {console.times(report.ratio)} = {dense} / {size} (the whole file)"


def _tensor_table(tensors: Iterable[TensorReport], *, stacked: bool) -> Table:
    """stacked : shape, dtype and coding go below the name, which leaves room for a long one."""
    table = _table(footer=False)
    table.add_column("layer\n  " + ", ".join(_DETAILS) if stacked else "layer", overflow="fold")
    for title in () if stacked else _DETAILS:
        table.add_column(title, overflow="fold")
    for title in _SIZES:
        table.add_column(title, justify="right", no_wrap=True)
    for tensor in tensors:
        name, what = _safe(_name(tensor)), _details(tensor)
        left = [name.append(f"\n  {', '.join(what)}")] if stacked else [name, *map(_safe, what)]
        table.add_row(*left, *map(_safe, _sizes(tensor)))
    return table


def _name(tensor: TensorReport) -> str:
    tied = "" if tensor.alias_of is None else f" (tied to {_shortened(tensor.alias_of)})"
    return _shortened(tensor.name) + tied


def _details(tensor: TensorReport) -> list[str]:
    return [_shape(tensor), tensor.dtype or "unknown", tensor.coding + _parts(tensor.parts)]


def _parts(parts: list[dict[str, Any]]) -> str:
    """Codings of parts: "scaled (dense, planes (raw, dense))". Equal ones that follow each other are told once."""
    told = [part["coding"] + _parts(part["parts"]) for part in parts]
    different = [own for i, own in enumerate(told) if i == 0 or own != told[i - 1]]
    return f" ({', '.join(different)})" if parts else ""


def _sizes(tensor: TensorReport) -> list[str]:
    return [
        # The memory of a tied tensor is counted with its target.
        _NONE if tensor.alias_of is not None or tensor.dtype is None else f"{tensor.dense_bytes:,}",
        f"{tensor.file_bytes:,}",
        _NONE if tensor.ratio is None or tensor.dtype is None else console.times(tensor.ratio),
        _NONE if tensor.sparsity is None else f"{tensor.sparsity:.1%}",
    ]


def _shape(tensor: TensorReport) -> str:
    if tensor.dtype is None:
        return _NONE
    return "x".join(map(str, tensor.shape)) or "scalar"


def _section_table(report: Report) -> Table:
    table = _table(footer=True)
    table.add_column("where the bytes went", footer="total, size on disk")
    table.add_column("bytes", justify="right", no_wrap=True, footer=f"{report.file_bytes:,}")
    table.add_column("percent", justify="right", no_wrap=True, footer="100.0%")
    for section in Section.all():
        count = report.sections[section]
        table.add_row(section.label, f"{count:,}", f"{count / report.file_bytes:.1%}")
    return table


def _table(*, footer: bool) -> Table:
    return Table(box=SIMPLE, pad_edge=False, collapse_padding=True, show_edge=False, show_footer=footer)


def _safe(text: str) -> Text:
    """Text, not str: rich would take square brackets for markup."""
    return Text(console.escape(text))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
