"""A checkpoint in several safetensors files with an index, named and cut as Hugging Face's libraries do."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from swsfmt.atomic import write_atomically
from swsfmt.reader import Reader

from . import safetensors_files

_UNITS = {unit: 10 ** (3 * i) for i, unit in enumerate(("", "K", "M", "G", "T"))}
_BINARY = {f"{unit}I": 2 ** (10 * i) for i, unit in enumerate(("", "K", "M", "G", "T")) if unit}


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes: 5GB, 500MB, 2GiB, 1000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d{1,18})(|[KMGT]I?)B?", str(value).strip().upper())
        size = int(found[1]) * (_UNITS | _BINARY)[found[2]] if found else 0
        if not size:
            self.fail(f"{value!r} is not a size such as 5GB, 500MB or 2GiB", param, ctx)
        return size


@dataclass(frozen=True)
class Shards:
    """Names of tensors by file, in order. index : the file that says what is where; None where one file is enough."""

    folder: Path
    names: dict[str, list[str]]
    index: str | None

    @property
    def paths(self) -> list[Path]:
        """All files; the last is the one that readers open first."""
        return [self.folder / name for name in [*self.names, *([self.index] if self.index else [])]]


def cut(reader: Reader, target: Path, most: int) -> Shards:
    """Put the tensors into shards of at most `most` bytes, in the order of the file; a larger one is alone.

    target : NAME.safetensors, or a folder, for the name model.safetensors in it.
    """
    if target.suffix.lower() != ".safetensors":
        target = target / "model.safetensors"
    groups: list[list[str]] = [[]]
    size = 0
    for name in reader.keys():  # noqa: SIM118
        own = reader.info(name).nbytes
        if groups[-1] and size + own > most:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += own
    if len(groups) == 1:
        return Shards(target.parent, {target.name: groups[0]}, None)
    files = [f"{target.stem}-{i:05d}-of-{len(groups):05d}{target.suffix}" for i in range(1, len(groups) + 1)]
    return Shards(target.parent, dict(zip(files, groups, strict=True)), f"{target.name}.index.json")


def write(reader: Reader, shards: Shards, threads: int) -> int:
    """Write all shards and the index; return the bytes on disk. They take their places when all have been written.

    Raises `InputError` for what safetensors cannot hold, `FormatError`, `OSError`.
    """
    with tempfile.TemporaryDirectory(prefix=".sws-", suffix=".tmp", dir=shards.folder) as name:
        folder = Path(name)
        for file, names in shards.names.items():
            write_atomically(folder / file, safetensors_files.pieces(reader, names, threads))
        if shards.index is not None:
            write_atomically(folder / shards.index, _index(reader, shards))
            # An index that is there must never be one of other shards.
            (shards.folder / shards.index).unlink(missing_ok=True)
        for path in shards.paths:
            os.replace(folder / path.name, path)
    return sum(path.stat().st_size for path in shards.paths)


def _index(reader: Reader, shards: Shards) -> bytes:
    weight_map = {name: file for file, names in shards.names.items() for name in names}
    total = sum(reader.info(name).nbytes for name in weight_map)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    return (json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode()
