"""Where the bytes of a .sws file went, tensor by tensor."""

from __future__ import annotations

import os

from matplotlib.figure import Figure

from swsfmt import Report
from swsfmt.format.sections import Role, Section

from .figures import BLUE, DARK, GREEN, ORANGE, PURPLE, SKY, deliver, new_figure

_INDICES, _VALUES, _RAW = "column indices", "values", "raw elements"
_BITMAPS, _TABLES = "bitmaps of dead rows and columns", "code tables, codebooks, chunk tables"
_HEADER = "header, index, names, checksums"
_COLOURS = {_INDICES: BLUE, _VALUES: SKY, _RAW: ORANGE, _BITMAPS: GREEN, _TABLES: PURPLE, _HEADER: DARK}
# A section is drawn by its role, but for these.
_BY_ROLE = {
    Role.ROWS: _BITMAPS,
    Role.INDICES: _INDICES,
    Role.VALUES: _VALUES,
    Role.CODES: _TABLES,
    Role.RECORD: _HEADER,
}
_BY_SECTION = {Section.ROW_ENDS: _INDICES, Section.RAW: _RAW, Section.CHUNK_TABLES: _TABLES}
_SHARED = "shared by all"
_MOST_ROWS = 24


def plot_layer_bytes(report: Report, save: str | os.PathLike[str] | None = None) -> Figure | None:
    """A bar for each tensor, its length the bytes on disk, its colours what they are for.

    report : of `swsfmt.inspect`
    What tensors share (header, codebooks) is a bar of its own, so that all bars together are the file. Of a file with
    many tensors the smallest are drawn as one.
    """
    rows = _rows(report)
    figure = new_figure(9, 0.32 * len(rows) + 1.9)
    axes = figure.add_subplot()
    longest = max(sum(sizes.values()) for sizes in rows.values())
    for number, sizes in enumerate(rows.values()):
        left = 0
        for part, colour in _COLOURS.items():
            axes.barh(number, sizes[part], left=left, color=colour, height=0.7, label=part if number == 0 else None)
            left += sizes[part]
        axes.text(left + 0.01 * longest, number, f"{left:,}  ({left / report.file_bytes:.1%})", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.22 * longest)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("bytes on disk")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(
        f"{report.file_bytes:,} bytes for {report.dense_bytes:,} dense ones, {report.ratio:.1f}x", fontsize=11
    )
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return deliver(figure, save)


def _rows(report: Report) -> dict[str, dict[str, int]]:
    """Bytes by part, for each bar from top to bottom. They sum up to `report.file_bytes`."""
    sizes = {tensor.name: _parts(tensor.sections) for tensor in report.tensors}
    whole = _parts(report.sections)
    shared = {part: whole[part] - sum(row[part] for row in sizes.values()) for part in _COLOURS}
    if len(sizes) > _MOST_ROWS:
        largest = sorted(sizes, key=lambda name: -sum(sizes[name].values()))[: _MOST_ROWS - 1]
        rest = [row for name, row in sizes.items() if name not in largest]
        sizes = {name: row for name, row in sizes.items() if name in largest}
        sizes[f"{len(rest)} smaller tensors"] = {part: sum(row[part] for row in rest) for part in _COLOURS}
    return {**sizes, _SHARED: shared}


def _parts(sections: dict[str, int]) -> dict[str, int]:
    parts = dict.fromkeys(_COLOURS, 0)
    for section in Section.all():
        parts[_BY_SECTION.get(section, _BY_ROLE[section.role])] += sections[section]
    return parts
