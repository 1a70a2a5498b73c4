"""Draw where the bytes of .sws files go: `python benchmarks/where_the_bytes_go.py [CHECKPOINT ...] -o PICTURE`.

Default: the quantised and sparse checkpoints of $SWS_DATA/checkpoints and examples/digits_cnn.pt, to docs/.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import swsfmt
import swsfmt.torch

HERE = Path(__file__).resolve().parents[1]
# Parts that belong together, largest first; colours of Okabe and Ito, told apart by colour-blind readers.
PARTS = {
    "column indices": (("column_indices", "row_ends"), "#0072B2"),
    "values": (("values",), "#56B4E9"),
    "raw (biases, last layers)": (("raw",), "#E69F00"),
    "bitmaps of dead rows and columns": (("row_bitmaps", "column_bitmaps"), "#009E73"),
    "class labels, code tables, codebooks, chunk tables": (
        ("class_labels", "code_tables", "codebooks", "chunk_tables"),
        "#CC79A7",
    ),
    "header, index, names, checksums": (("header_and_index",), "#333333"),
}


def draw(paths: list[Path], output: Path) -> None:
    """One bar of 100 % for each checkpoint, its bytes and ratio beside it."""
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(paths) + 1.6))
    labels = []
    for row, path in enumerate(paths):
        report = swsfmt.inspect(swsfmt.torch.save(torch.load(path, weights_only=True, map_location="cpu")))
        labels.append(path.stem)
        left = 0.0
        for name, (sections, colour) in PARTS.items():
            share = 100 * sum(report.sections[section] for section in sections) / report.file_bytes
            axes.barh(row, share, left=left, color=colour, label=name if row == 0 else None, height=0.7)
            if share >= 4:
                ink = "white" if colour in ("#0072B2", "#333333", "#009E73") else "black"
                axes.text(left + share / 2, row, f"{share:.0f}", ha="center", va="center", color=ink, fontsize=9)
            left += share
        axes.text(101, row, f"{report.file_bytes:,} bytes, {report.ratio:.1f}x", va="center", fontsize=9)
    axes.set_yticks(range(len(paths)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of the file on disk")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="upper center", ncols=3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    figure.savefig(output, dpi=120, bbox_inches="tight")


def main() -> None:
    data = Path(os.environ.get("SWS_DATA", HERE.parent / "shared" / "data")) / "checkpoints"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="*", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "docs" / "where_the_bytes_go.png")
    args = parser.parse_args()
    default = [*sorted(data.glob("*_quantized.pt")), *sorted(data.glob("*_sparse.pt")), HERE / "examples/digits_cnn.pt"]
    draw(args.checkpoints or default, args.output)


if __name__ == "__main__":
    main()
