"""Readers that are wrong in one place only: some vector tells each of them from a right one.

Each is the reference decoder with one change of its source.
"""

from __future__ import annotations

import hashlib
import json
import types
from pathlib import Path
from typing import Any

import pytest

SPEC = Path(__file__).resolve().parents[2] / "spec"
SOURCE = (SPEC / "reference_decoder.py").read_text(encoding="utf-8")

WRONG: dict[str, tuple[str, str, str]] = {
    # what it does: (the vector that tells, source, changed source)
    "strips a byte order mark": ("valid/text", 'text.decode("utf-8")', 'text.decode("utf-8-sig")'),
    "strips blanks and marks": (
        "valid/text",
        'return text.decode("utf-8")',
        'return text.decode("utf-8").strip("\\ufeff")',
    ),
    "normalises names": (
        "valid/text",
        'return text.decode("utf-8")',
        'return __import__("unicodedata").normalize("NFC", text.decode("utf-8"))',
    ),
    "takes keys in the order of UTF-16": (
        "valid/text",
        "all(a < b for a, b in pairwise(keys))",
        'all(a < b for a, b in pairwise([key.decode().encode("utf-16-be") for key in keys]))',
    ),
    "takes keys in the order of UTF-16, which are not sorted": (
        "invalid/index-metadata-in-utf-16-order",
        "all(a < b for a, b in pairwise(keys))",
        'all(a < b for a, b in pairwise([key.decode().encode("utf-16-be") for key in keys]))',
    ),
    "takes keys in any order": ("invalid/index-metadata-not-sorted", "all(a < b for a, b in pairwise(keys))", "True"),
    "an alias sets the dtype": (
        "valid/alias-between",
        "return Record(name, suffix, ALIAS, target.shape",
        "self.dtype = target.dtype\n        return Record(name, suffix, ALIAS, target.shape",
    ),
    "the dtype before an alias is F32 again": (
        "valid/aliases",
        "return Record(name, suffix, ALIAS, target.shape",
        'self.dtype = DTYPES.index(("F32", 4))\n        return Record(name, suffix, ALIAS, target.shape',
    ),
    "bucket 201 for 200": ("valid/adaptive-long-lines", "40, 80, 200)", "40, 80, 201)"),
    "bucket 199 for 200": ("valid/adaptive-long-lines", "40, 80, 200)", "40, 80, 199)"),
    "bucket 81 for 80": ("valid/adaptive-long-lines", "40, 80, 200)", "40, 81, 200)"),
    "bucket 41 for 40": ("valid/adaptive-long-lines", "22, 40, 80, 200)", "22, 41, 80, 200)"),
    "no bucket 200": ("valid/adaptive-long-lines", "40, 80, 200)", "40, 80)"),
    "no clamp of G": ("valid/adaptive-neighbours", "min(max(g, -4), 4)", "g"),
    "no upper clamp of G": ("valid/adaptive-neighbours", "min(max(g, -4), 4)", "max(g, -4)"),
    "no lower clamp of G": ("valid/adaptive-neighbours", "min(max(g, -4), 4)", "min(g, 4)"),
    "G clamped at 3": ("valid/adaptive-neighbours", "min(max(g, -4), 4)", "min(max(g, -3), 3)"),
    "G clamped at 5": ("valid/adaptive-neighbours", "min(max(g, -4), 4)", "min(max(g, -5), 5)"),
    "no clamp of weights": ("valid/adaptive-weights", "min(max(w, -(2**20)), 2**20)", "w"),
    "counts up to 254": ("valid/adaptive-forms", "min(count + 1, 255)", "min(count + 1, 254)"),
    "counts without end": ("valid/adaptive-forms", "min(count + 1, 255)", "count + 1"),
    "kinds up to 6": ("valid/adaptive-classes", "min(bucket(abs(size) - 1), 7)", "min(bucket(abs(size) - 1), 6)"),
    "kinds up to 8": ("valid/adaptive-classes", "min(bucket(abs(size) - 1), 7)", "min(bucket(abs(size) - 1), 8)"),
    "sizes from 0 on": ("valid/adaptive-classes", "min(bucket(abs(size) - 1), 7)", "min(bucket(abs(size)), 7)"),
    "large from the third size on": ("valid/adaptive-classes", "1 if rank == 0 else 2", "1 if rank <= 1 else 2"),
    "negative integers not reversed": ("valid/adaptive-classes", "self.form.classes and self.form.signed", "False"),
    "negative floats reversed": ("valid/adaptive-classes", "self.form.classes and self.form.signed", "True"),
    "integers reversed without classes": (
        "valid/adaptive-forms",
        "self.form.classes and self.form.signed",
        "self.form.signed",
    ),
    "the last size goes on": ("valid/adaptive-classes", "2 * self.size[j - 1] - self.size[j - 2]", "self.size[j - 1]"),
    "no second neighbour": ("valid/adaptive-classes", "17 * near[0] + near[3]", "17 * near[0]"),
    "no neighbours at twice the stride": ("valid/adaptive-classes", "17 * near[1] + near[5]", "17 * near[1]"),
    "no classes of rows": ("valid/adaptive-classes", "[self.classes[1] * label for", "[0 * label for"),
    "classes of the first chunk": ("valid/adaptive-classes", "of_lines[len(symbols) :][:count]", "of_lines[:count]"),
    "more adaptive classes than rows": ("invalid/adaptive-more-classes-than-rows", "classes[0] <= shape[0] and", ""),
    "bits behind adaptive classes": (
        "invalid/adaptive-bit-behind-the-classes",
        'bits.pad("5.6")',
        "bits.at += 7 & -bits.at",
    ),
    "the sum is clamped too early": (
        "valid/adaptive-long-lines",
        "squash(min(max(x, -3071), 3071))",
        "squash(min(max(x, -2000), 2000))",
    ),
    "live flags over zeros": (
        "invalid/adaptive-live-place-of-zeros-alone",
        "check((live_places, live_lines) == holds_entry",
        "check(True",
    ),
    "no codebooks of one byte": ("valid/edges", "size in (1, 2, 4, 8), ", "size in (2, 4, 8), "),
    "no codebooks of BOOL": ("valid/edges", "numbers == [0, 1]", "False"),
    "no rank 64": ("valid/edges", "rank <= MAX_RANK", "rank < MAX_RANK"),
    "no rows of masked runs": ("valid/edges", "row_kind != 7", "row_kind < 6"),
    "no chunks without bytes": ("valid/edges", "table <= len(payload)", "table < len(payload)"),
    "square matrices": (
        "valid/edges",
        "shape[1] if columns is None else columns.count(1)",
        "shape[0] if columns is None else columns.count(1)",
    ),
    "no coding 15": ("valid/unknown-coding-15", "coding >= 15", "coding > 15"),
    "coding 14 behind the head": ("invalid/record-coding-14-behind-the-head", "coding >= 15", "coding >= 14"),
    "varints of ten bytes": (
        "invalid/record-dimension-of-2-63-of-an-unknown-coding-and-dtype",
        "range(0, 63, 7)",
        "range(0, 70, 7)",
    ),
    "one chunk": ("invalid/dense-one-chunk-with-a-chunk-table", "numel > 1 << chunk + 9", "numel > 0"),
    "a symbol more": (
        "invalid/table-one-symbol-more-than-the-alphabet",
        "check(symbol < alphabet",
        "check(symbol <= alphabet",
    ),
    "planes of floats not rotated": ("valid/planes-forms", "rotated=dtype in FLOATS", "rotated=False"),
    "planes of integers rotated": ("valid/planes-forms", "rotated=dtype in FLOATS", "rotated=True"),
    "bytes for wide fields": ("valid/planes-forms", '"U8" if width <= 8', '"U8" if width <= 9'),
    "fields of any value": (
        "invalid/part-an-element-of-5-bits",
        'check(part < 1 << width, "5.7"',
        'check(part < 1 << 16, "5.7"',
    ),
    "lowest plane first": (
        "valid/planes-forms",
        "zip(high_first, widths, strict=True)",
        "zip(high_first[::-1], widths[::-1], strict=True)",
    ),
    "one rounding where there are many": ("valid/scaled-forms", "if self.each else value", "if False else value"),
    "many roundings where there is one": ("valid/scaled-forms", "if self.each else value", "if True else value"),
    "offset before scale": (
        "valid/scaled-forms",
        '"-" * (shift == 1) + "*"',
        '"-" * (shift == 1) + "+" * (shift == 2) + "*"',
    ),
    "factors in float64": (
        "valid/scaled-forms",
        'self.dtype == "F64" else rounded(value, "F32")',
        'self.dtype == "F64" or abs(value) < 1e30 else rounded(value, "F32")',
    ),
    "blocks of equal length": ("valid/scaled-forms", "i // block for", "i * -(-length // block) // length for"),
    "one block for length 1": ("valid/scaled-forms", "block or length for length", "block or 1 for length"),
    "bfloat16 cut off": ("valid/scaled-numbers", "bits + 0x7FFF + (bits >> 16 & 1) >> 16", "bits >> 16"),
    "bfloat16 rounded up": ("valid/scaled-numbers", "bits + 0x7FFF + (bits >> 16 & 1) >> 16", "bits + 0x8000 >> 16"),
    "bfloat16 ties down": ("valid/scaled-numbers", "bits + 0x7FFF + (bits >> 16 & 1) >> 16", "bits + 0x7FFF >> 16"),
    "E4M3 with infinities": (
        "valid/scaled-numbers",
        'dtype == "F8_E4M3" and byte & 0x7F',
        'dtype == "" and byte & 0x7F',
    ),
    "FNUZ with a negative zero": ("valid/scaled-numbers", 'dtype.endswith("FNUZ") and', "False and"),
    "another bias": ("valid/scaled-numbers", '"F8_E4M3FNUZ": (4, 3, 8)', '"F8_E4M3FNUZ": (4, 3, 7)'),
    "E8M0 without NaN": ("valid/scaled-numbers", "NAN if byte == 255 else", "NAN if byte == 256 else"),
    "clamped at the largest number": (
        "valid/scaled-numbers",
        "INFINITY if value > 0 else -INFINITY",
        "65504.0 if value > 0 else -65504.0",
    ),
    "another NaN": ("valid/scaled-numbers", '"F32": 0x7FC00000', '"F32": 0xFFC00000'),
    "no negative zeros": ("valid/scaled-numbers", "[self.round(a * b) for a, b", "[self.round(a * b) + 0.0 for a, b"),
    "a block as long as its dimension": (
        "invalid/scaled-a-block-of-1-of-1",
        "all(block < length for",
        "all(block <= length for",
    ),
    "values of zero": ("invalid/escape-a-value-of-zero-beside-a-mask", "check(bytes(size) not in values", "check(True"),
    "values left over": ("invalid/escape-too-few-ones", "marks == count", "marks <= count"),
    "parts of any dtype": (
        "invalid/escape-main-part-of-another-dtype",
        'known_dtype(part.dtype, "5.9") == usual',
        'known_dtype(part.dtype, "5.9") != ""',
    ),
    "no values": ("invalid/escape-no-values", "1 <= count <= numel", "0 <= count <= numel"),
    "parts 5 deep": ("invalid/escape-parts-5-deep", "record.depth < MAX_DEPTH", "record.depth <= MAX_DEPTH"),
    "parts 3 deep": ("valid/escape-forms", "record.depth < MAX_DEPTH", "record.depth < MAX_DEPTH - 1"),
    "counts unknown codings": (
        "valid/unknown-coding-of-any-size",
        "if record.is_known():",
        "if record.dtype < len(DTYPES):",
    ),
}


def module(source: str) -> Any:
    made = types.ModuleType("wrong_reader")
    # Dataclasses look their module up.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "wrong_reader", made)
        exec(compile(source, "wrong_reader.py", "exec"), made.__dict__)
    return made


def is_right(reader: Any, vector: str) -> bool:
    """Whether a reader does with a vector what the manifest says."""
    folder, name = vector.split("/")
    path = SPEC / "vectors" / folder / f"{name}.sws"
    manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))[path.name]
    try:
        decoded = reader.decode(path.read_bytes())
    except (reader.Invalid, IndexError, ValueError):
        return folder == "invalid"
    if folder == "invalid" or decoded.metadata != manifest["metadata"]:
        return False
    if list(decoded.tensors) != [entry["name"] for entry in manifest["tensors"]]:
        return False
    return all(agrees(decoded.tensors[entry["name"]], entry) for entry in manifest["tensors"])


def agrees(tensor: Any, entry: dict[str, Any]) -> bool:
    if tensor.alias_of != entry.get("alias_of") or tensor.coding != entry["coding"]:
        return False
    if "dtype" not in entry:
        return True
    if [tensor.dtype, list(tensor.shape)] != [entry["dtype"], entry["shape"]]:
        return False
    if "hex" in entry:
        return bool(tensor.data.hex() == entry["hex"])
    return bool(hashlib.sha256(tensor.data).hexdigest() == entry["sha256"])


# Half a million decisions, twice.
SLOW = {"no clamp of weights"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in WRONG])
def test_a_vector_tells_a_wrong_reader(name: str) -> None:
    vector, right, wrong = WRONG[name]
    assert SOURCE.count(right) == 1
    assert is_right(module(SOURCE), vector)
    assert not is_right(module(SOURCE.replace(right, wrong)), vector)
