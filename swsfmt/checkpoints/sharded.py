"""A checkpoint in several files with an index, named and cut as Hugging Face's libraries do."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import arguments
from ..errors import CheckpointWarning, InputError, located, warn
from ..format.not_sws import is_json_object
from ..limits import Limits
from ..read.reader import Reader
from ..tensor import Loadable, Tied
from ..write.atomic import is_replaceable, write_atomically
from . import safetensors
from .checkpoint import Checkpoint
from .file import CheckpointFile
from .formats import CheckpointFormat, check_key, recognise

INDEX_SUFFIXES = (".safetensors.index.json", ".bin.index.json")

_UNITS = {unit: 10 ** (3 * i) for i, unit in enumerate(("", "K", "M", "G", "T"))}
_BINARY = {f"{unit}I": 2 ** (10 * i) for i, unit in enumerate(("", "K", "M", "G", "T")) if unit}


# ---- reading ---------------------------------------------------------------------------------------------------------


class ShardedIndex:
    """The index of a sharded checkpoint, a JSON file; it names its shards, which lie in the same folder.

    formats : those that a shard may turn out to have
    """

    name = "a sharded index"
    has_entries = True

    def __init__(self, formats: Sequence[CheckpointFormat]) -> None:
        self._formats = (*formats, self)

    def recognises(self, head: bytes) -> bool:
        return is_json_object(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """All shards: tensors in the order of the index, then those that it does not name.

        What the shards hold counts, as for transformers: an index may leave out a buffer, and name a tied tensor that
        is in no shard; a `CheckpointWarning` says so. Where shards hold the same name that in the index counts, where
        they disagree on metadata the first one.
        """
        if source.path is None:
            raise InputError("a sharded index names files in its own folder; give its path")
        index = Path(source.path)
        weight_map = _weight_map(source.data if source.data is not None else index.read_bytes())
        shards: dict[str, Checkpoint] = {}
        for name in dict.fromkeys(weight_map.values()):
            with located(file=str(index.parent / name)):
                shards[name] = self._read_shard(index.parent / name, key, source.limits)
        metadata: dict[str, str] = {}
        for shard in shards.values():
            metadata = shard.metadata | metadata
        return Checkpoint(_joined(source.path, weight_map, shards), metadata, [index.parent / name for name in shards])

    def _read_shard(self, path: Path, key: str | None, limits: Limits) -> Checkpoint:
        source = CheckpointFile.open(path, limits)
        kind = recognise(source.head, self._formats)
        if isinstance(kind, ShardedIndex):
            raise InputError(f"the index names this as a shard, but it is {kind.name}")
        check_key(kind, key)
        return kind.read(source, key)


def _joined(index: str, weight_map: dict[str, str], shards: dict[str, Checkpoint]) -> dict[str, Loadable | Tied]:
    """The tensors of all shards, each once."""
    homes: dict[str, str] = {}
    for file, shard in shards.items():
        for name in shard.tensors:
            homes.setdefault(name, file)
    homes |= {name: file for name, file in weight_map.items() if name in shards[file].tensors}
    order = [*(name for name in weight_map if name in homes), *(name for name in homes if name not in weight_map)]
    absent = [name for name in weight_map if name not in homes]
    unlisted = [name for name in homes if name not in weight_map]
    for names, text in (
        (absent, "no shard has what the index names: {}; it is left out"),
        (unlisted, "the index does not name what the shards have: {}; it is taken"),
    ):
        if names:
            warn(f"{index}: {text.format(arguments.listed(names))}", CheckpointWarning)
    tensors: dict[str, Loadable | Tied] = {}
    # Of names that are one tensor in a shard the first has it, and the others are tied to that.
    first: dict[tuple[str, str], str] = {}
    for name in order:
        shard = shards[homes[name]]
        tensor = shard.tensors[name]
        origin = tensor.to if isinstance(tensor, Tied) else name
        known = first.setdefault((homes[name], origin), name)
        tensors[name] = Tied(known) if known != name else shard.tensors[origin]
    return tensors


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
    arguments.instance(size, (int, str), "a size", "a whole number or text such as '5GB'")
    parts = re.fullmatch(r"(\d{1,18})(|[KMGT]I?)B?", str(size).strip().upper())
    number = int(parts[1]) * (_UNITS | _BINARY)[parts[2]] if parts else 0
    if not number:
        raise InputError(f"{arguments.brief(size)} is not a size such as 5GB, 500MB or 2GiB")
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
    with tempfile.TemporaryDirectory(prefix=".sws-", suffix=".tmp", dir=shards.folder) as name, _final_names(shards):
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


@contextmanager
def _final_names(shards: Shards) -> Iterator[None]:
    """Errors of the system in this block are about the files that there would be, not about those on the way there."""
    try:
        yield
    except OSError as error:
        final = {path.name: path for path in shards.paths}
        name = os.path.basename(os.fsdecode(error.filename or ""))
        if name in final:
            error.filename = str(final[name])
            # None would be printed, as the second of two files.
            del error.filename2
        raise


def _index(reader: Reader, shards: Shards) -> bytes:
    weight_map = {name: file for file, names in shards.names.items() for name in names}
    total = sum(reader.info(name).nbytes for name in weight_map)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    return (json.dumps(index, indent=2, ensure_ascii=False) + "\n").encode()
