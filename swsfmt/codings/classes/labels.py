"""The classes of rows and columns as bits: what payloads with classes begin with (spec 5.10)."""

from __future__ import annotations

import numpy as np

from ...entropy.bits import BitReader, BitWriter
from ...entropy.prefix_code import field_width
from ...entropy.protocol import Labels
from ...entropy.rans import Classes
from ...format.sections import Role, Section

CLASS_LABELS = Section("class_labels", "classes of rows and columns", Role.ROWS, before=Section.CODE_TABLES)


def read_classes(reader: BitReader, shape: tuple[int, int], row_classes: int, column_classes: int) -> Classes:
    """Of a matrix of that shape. Raises the error of the reader for a class that is not there."""
    rows, columns = shape
    return Classes(
        _labels(reader, rows, row_classes, "classes of rows"),
        _labels(reader, columns, column_classes, "classes of columns"),
        row_classes,
        column_classes,
    )


def _labels(reader: BitReader, count: int, classes: int, what: str) -> Labels:
    if classes == 1:
        return np.zeros(count, np.uint8)
    width = field_width(classes)
    flags = reader.flags(count * width, what).reshape(count, width)
    labels: Labels = flags[:, 0].copy()
    for bit in range(1, width):
        labels |= flags[:, bit] << bit
    if int(labels.max()) >= classes:
        raise reader.fail(f"{what}: class {int(labels.max())} of {classes}")
    return labels


def write_classes(writer: BitWriter, classes: Classes) -> None:
    """The inverse of `read_classes`."""
    for labels, count in ((classes.rows, classes.row_classes), (classes.columns, classes.column_classes)):
        writer.fields(labels, field_width(count))
