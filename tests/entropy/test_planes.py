"""Counts of fields: those of the planes, with the kernels in C and in Python."""

from __future__ import annotations

import numpy as np
import pytest

from swsfmt.entropy import backend, planes

pytestmark = pytest.mark.usefixtures("each_kernel")

WIDTHS = {
    1: [(8,), (4, 4), (1, 7)],
    2: [(16,), (8, 8), (9, 7), (4, 4, 4, 4), (1,) * 16],
    4: [(8, 8, 8, 8), (9, 7, 8, 8), (4,) * 8, (16, 16)],
    8: [(8,) * 8, (11, 5, *[8] * 6), (1,) * 64],
}
CASES = [(size, widths) for size, own in WIDTHS.items() for widths in own]


def elements(size: int, count: int) -> planes.Elements:
    """Some values more frequent than others."""
    random = np.random.default_rng(count)
    return random.integers(0, 1 << 8 * size - 1, 1 + count // 3, dtype=f"u{size}")[
        random.integers(0, 1 + count // 3, count)
    ]


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5000, planes._MANY + 3])
@pytest.mark.parametrize(("size", "widths"), CASES)
def test_counts_are_those_of_the_planes(size: int, widths: tuple[int, ...], count: int, rotated: bool) -> None:
    bits = elements(size, count)
    counts = planes.Counts(bits, rotated).of(widths)
    for number, own in enumerate(counts):
        plane = planes.plane(bits, widths, number, rotated)
        assert own.tolist() == np.bincount(plane, minlength=1 << widths[number]).tolist()


def test_counts_are_asked_for_more_than_once() -> None:
    bits = elements(2, planes._MANY)[::2].repeat(2)
    count = planes.Counts(bits, rotated=True)
    assert [[own.sum() for own in count.of(widths)] for widths in ((8, 8), (9, 7))] == [[len(bits)] * 2] * 2


@pytest.mark.skipif(backend.active() == backend.BITARRAY, reason="the extension is not built")
@pytest.mark.parametrize(
    ("size", "widths", "counts"),
    [
        (3, (8, 8, 8), 768),
        (2, (8, 7), 384),
        (2, (17,), 1 << 17),
        (2, (0, 16), 1 + (1 << 16)),
        (2, (8, 8), 511),
        (1, (), 0),
        (8, (1,) * 65, 130),
    ],
)
def test_sizes_that_do_not_fit_are_refused(size: int, widths: tuple[int, ...], counts: int) -> None:
    with pytest.raises(ValueError, match="count_fields: sizes do not fit"):
        backend.load(backend.NATIVE).count_fields(
            np.zeros(24, np.uint8), size, bytes(widths), False, np.zeros(counts, np.int64)
        )
