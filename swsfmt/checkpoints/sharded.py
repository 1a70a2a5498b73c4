"""A checkpoint in several safetensors files with an index, named and cut as Hugging Face's libraries do."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, located
from ..read.reader import Reader
from ..tensor import Loadable, Tied
from ..write.atomic import is_replaceable, write_atomically
from . import safetensors
from .checkpoint import Checkpoint
from .file import CheckpointFile
from .formats import CheckpointFormat, recognise

INDEX_SUFFIX = ".safetensors.index.json"

_UNITS = {unit: 10 ** (3 * i) for i, unit in enumerate(("", "K", "M", "G", "T"))}
_BINARY = {f"{unit}I": 2 ** (10 * i) for i, unit in enumerate(("", "K", "M", "G", "T")) if unit}


# ---- reading ---------------------------------------------------------------------------------------------------------


class ShardedIndex:
    """The index of a sharded checkpoint, a JSON file; it names its shards, which lie in the same folder.

    formats : those that a shard may turn out to have
    """

    name = "a sharded index"
    has_entries = False

    def __init__(self, formats: Sequence[CheckpointFormat]) -> None:
        self._formats = (*formats, self)

    def recognises(self, head: bytes) -> bool:
        return head.lstrip().startswith(b"{")

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """All shards, tensors in the order of the index. Where shards disagree on metadata the first one counts."""
        if source.data is not None:
            raise InputError("a sharded index names files in its own folder; give its path")
        assert source.path is not None
        index = Path(source.path)
        weight_map = _weight_map(index.read_bytes())
        shards = [index.parent / name for name in dict.fromkeys(weight_map.values())]
        tensors: dict[str, Loadable | Tied] = {}
        metadata: dict[str, str] = {}
        for path in shards:
            with located(file=str(path)):
                shard = self._read_shard(path)
                _check_names({name for name, file in weight_map.items() if file == path.name}, set(shard.tensors))
            tensors |= shard.tensors
            metadata = shard.metadata | metadata
        return Checkpoint({name: tensors[name] for name in weight_map}, metadata, shards)

    def _read_shard(self, path: Path) -> Checkpoint:
        source = CheckpointFile.open(path)
        kind = recognise(source.head, self._formats)
        if not isinstance(kind, safetensors.Safetensors):
            raise InputError(f"the index names this as a shard, but it is {kind.name}")
        return kind.read(source, None)


def _weight_map(data: bytes) -> dict[str, str]:
    try:
        index = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this begins like a sharded index, but is not valid JSON: {error}") from error
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError("this JSON file is not a sharded index, it has no weight_map")
    for name, file in weight_map.items():
        # Both separators on every system: an index must not reach out of its folder anywhere.
        if not isinstance(file, str) or file in ("", ".", "..") or any(c in file for c in "/\\\0"):
            raise InputError(f"the shard of {name!r} is {file!r}, it must be a plain file name")
    return weight_map


def _check_names(in_index: set[str], in_shard: set[str]) -> None:
    """What the index says of a shard must be what the shard holds."""
    complaints: list[tuple[set[str], Callable[[str], str]]] = [
        (in_index - in_shard, lambda name: f"the index has {name!r} in this shard, the shard does not"),
        (in_shard - in_index, lambda name: f"this shard has {name!r}, the index does not"),
    ]
    for names, complaint in complaints:
        if names:
            raise InputError(complaint(min(names)))


# ---- writing ---------------------------------------------------------------------------------------------------------


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


def parse_size(size: int | str) -> int:
    """A number of bytes: 5GB, 500MB, 2GiB, 1000000. Raises `InputError`."""
    parts = re.fullmatch(r"(\d{1,18})(|[KMGT]I?)B?", str(size).strip().upper())
    number = int(parts[1]) * (_UNITS | _BINARY)[parts[2]] if parts else 0
    if not number:
        raise InputError(f"{size!r} is not a size such as 5GB, 500MB or 2GiB")
    return number


def cut(reader: Reader, target: str | os.PathLike[str], max_shard_size: int | str) -> Shards:
    """Put the tensors into shards of at most this size, in the order of the file; a larger one is alone.

    target : NAME.safetensors, or a folder, for the name model.safetensors in it.
    max_shard_size : in bytes, of the elements; or as `parse_size` takes it.
    """
    most = parse_size(max_shard_size)
    first = Path(target)
    if first.suffix.lower() != ".safetensors":
        first = first / "model.safetensors"
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
        return Shards(first.parent, {first.name: groups[0]}, None)
    files = [f"{first.stem}-{i:05d}-of-{len(groups):05d}{first.suffix}" for i in range(1, len(groups) + 1)]
    return Shards(first.parent, dict(zip(files, groups, strict=True)), f"{first.name}.index.json")


def write(reader: Reader, shards: Shards, threads: int) -> int:
    """Write all shards and the index; return the bytes on disk. They take their places when all have been written.

    Raises `InputError` for what safetensors cannot hold, `FormatError`, `OSError`.
    """
    for path in shards.paths:
        if not is_replaceable(path):
            raise InputError("this is no regular file, it cannot be replaced", file=str(path))
    with tempfile.TemporaryDirectory(prefix=".sws-", suffix=".tmp", dir=shards.folder) as name:
        folder = Path(name)
        for file, names in shards.names.items():
            write_atomically(folder / file, safetensors.pieces(reader, names, threads))
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
