"""What each choice of the format and of the encoder is worth: file sizes with one of them switched off at a time.

    python benchmarks/choices.py [CHECKPOINT ...]        (default: the *.pt files of $SWS_DATA/checkpoints)

Sizes are those of whole files. spec/rationale.md quotes this table.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import swsfmt.torch
import swsfmt.write.file
from swsfmt import dtypes
from swsfmt.codings import chunks, streams
from swsfmt.codings.sparse import plan as sparse_plan
from swsfmt.entropy import bitmap, code_table, huffman
from swsfmt.format import index, names, records
from swsfmt.write import codebook_groups


def _only_own_codebooks(distinct: Any, founders: Any) -> Any:
    numbers = [number for number, (_, values) in distinct.items() if len(values) and number in founders]
    books = [codebook_groups.Codebook.of(*distinct[number]) for number in numbers]
    return books, {number: i for i, number in enumerate(numbers)}


_FORM, _STREAM = bitmap.cheapest_form, streams.cheapest_stream
_OPTIMAL = huffman.code_lengths

# name -> (keyword options, patches of (object, attribute, value))
VARIANTS: dict[str, tuple[dict[str, Any], list[tuple[Any, str, Any]]]] = {
    "as it is": ({}, []),
    "compact=off": ({"compact": "off"}, []),
    "scan=rows": ({"scan": "rows"}, []),
    "scan=columns": ({"scan": "columns"}, []),
    "pbits 5 linear, 8 conv": ({"pbits_fc": 5, "pbits_conv": 8}, []),
    "huffman=False": ({"huffman": False}, []),
    "bitmaps: no stride": ({}, [(bitmap, "_STRIDES", ())]),
    "bitmaps: no references": ({}, [(sparse_plan, "cheapest_form", lambda bits, earlier: _FORM(bits, ()))]),
    "tables: no smoothing": ({}, [(code_table, "_WINDOWS", ())]),
    "tables: not shared": (
        {},
        [(sparse_plan, "cheapest_stream", lambda c, tables, h, smooth=False: _STREAM(c, (), h, smooth))],
    ),
    "codebooks: not shared": ({}, [(swsfmt.write.file, "share", _only_own_codebooks)]),
    "storage: never narrower": ({}, [(dtypes, "narrower", lambda dtype: [])]),
    "no inline payloads": ({}, [(records, "MAX_INLINE", 0), (index, "MAX_INLINE", 0)]),
    "names: whole": ({}, [(names, "_shared", lambda a, b: 0)]),
    "no chunk tables": ({}, [(chunks, "_CHUNKED_SYMBOLS", 1 << 62)]),
}


@contextmanager
def _patched(patches: list[tuple[Any, str, Any]]) -> Iterator[None]:
    with_all = [patch.object(*p) for p in patches]
    for p in with_all:
        p.start()
    try:
        yield
    finally:
        for p in with_all:
            p.stop()


def main() -> None:
    folder = Path(os.environ.get("SWS_DATA", Path(__file__).parents[2] / "shared" / "data")) / "checkpoints"
    paths = [Path(p) for p in sys.argv[1:]] or sorted(folder.glob("*.pt"))
    checkpoints = [torch.load(p, weights_only=True, map_location="cpu") for p in paths]
    print("| bytes |", " | ".join(p.stem for p in paths), "|")
    print("|---|" + "---:|" * len(paths))
    base = np.zeros(len(paths), int)
    for name, (options, patches) in VARIANTS.items():
        with _patched(patches):
            sizes = np.array([len(swsfmt.torch.save(c, **options)) for c in checkpoints])
        if name == "as it is":
            base = sizes
            print(f"| {name} |", " | ".join(f"{size:,}" for size in sizes), "|")
        else:
            print(f"| {name} |", " | ".join(f"{d:+,}" if d else "0" for d in sizes - base), "|")


if __name__ == "__main__":
    main()
