"""Read any checkpoint that `sws encode` takes. What it is, is told by its content, not by its name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from swsfmt import InputError
from swsfmt.format.index import SIGNATURE
from swsfmt.tensor import Elements, Loadable, Tied

from . import safetensors_files, torch_files
from .errors import about
from .files import STANDARD, shown

_HEAD = 512


class Kind(Enum):
    TORCH = "a PyTorch checkpoint"
    SAFETENSORS = "a safetensors file"
    INDEX = "a sharded index"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors in the order of the file, which may not be read yet. shards : the files that an index names."""

    tensors: Mapping[str, Loadable | Tied]
    metadata: dict[str, str]
    shards: list[Path] = field(default_factory=list)

    @property
    def dense_bytes(self) -> int:
        """Elements in their own dtype; tied tensors count once."""
        return sum(tensor.info.nbytes for tensor in self.tensors.values() if not isinstance(tensor, Tied))

    def elements(self, name: str) -> Elements:
        """The elements of a tensor, those of its target where it is tied."""
        tensor = self.tensors[name]
        return self.elements(tensor.to) if isinstance(tensor, Tied) else tensor.load()


@dataclass(frozen=True)
class Input:
    """A checkpoint that has been recognised but not read. data : all of it where it cannot be read twice."""

    name: str
    kind: Kind
    data: bytes | None

    @classmethod
    def open(cls, name: str) -> Input:
        """Raises `InputError` for what is not a checkpoint, `OSError`."""
        if name == STANDARD:
            data: bytes | None = sys.stdin.buffer.read()
            head = (data or b"")[:_HEAD]
        else:
            with open(name, "rb") as file:
                head = file.read(_HEAD)
                # A pipe, as from <(command), gives its bytes only once.
                data = None if file.seekable() else head + file.read()
        with about(shown(name)):
            return cls(name, _recognise(head), data)

    def read(self, key: str | None = None) -> Checkpoint:
        """key : the entry of a PyTorch checkpoint that holds the tensors. Raises `InputError`, `OSError`."""
        with about(shown(self.name)):
            if self.kind is Kind.TORCH:
                return Checkpoint(torch_files.read(self.name if self.data is None else self.data, key), {})
            if key is not None:
                raise InputError(f"--key is for PyTorch checkpoints, this is {self.kind.value}")
            if self.kind is Kind.SAFETENSORS:
                return Checkpoint(*self._safetensors())
            if self.data is not None:
                raise InputError("a sharded index names files in its own folder; give its path")
            return _read_shards(Path(self.name))

    def _safetensors(self) -> tuple[dict[str, Loadable], dict[str, str]]:
        if self.data is not None:
            return safetensors_files.read(self.data)
        return safetensors_files.read_file(self.name)


def _recognise(head: bytes) -> Kind:
    if not head:
        raise InputError("the file is empty")
    if head.startswith(SIGNATURE):
        raise InputError("this is a .sws file already")
    if head.startswith(b"version https://git-lfs"):
        raise InputError("this is a git-lfs pointer, not the file itself; run git lfs pull")
    # A zip archive, or the pickle that torch wrote before version 1.6.
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return Kind.TORCH
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return Kind.SAFETENSORS
    if head.lstrip().startswith(b"{"):
        return Kind.INDEX
    raise InputError("this is neither a PyTorch checkpoint nor a safetensors file nor a sharded index")


def _read_shards(index: Path) -> Checkpoint:
    """All shards of an index, tensors in its order. Where shards disagree on metadata the first one counts."""
    weight_map = _weight_map(index.read_bytes())
    shards = [index.parent / name for name in dict.fromkeys(weight_map.values())]
    found: dict[str, Loadable] = {}
    metadata: dict[str, str] = {}
    for shard in shards:
        with about(str(shard)):
            tensors, own = _read_shard(shard)
            _same_names({name for name, file in weight_map.items() if file == shard.name}, set(tensors))
        found |= tensors
        metadata = own | metadata
    return Checkpoint({name: found[name] for name in weight_map}, metadata, shards)


def _read_shard(shard: Path) -> tuple[dict[str, Loadable], dict[str, str]]:
    source = Input.open(str(shard))
    if source.kind is not Kind.SAFETENSORS:
        raise InputError(f"the index names this as a shard, but it is {source.kind.value}")
    return source._safetensors()


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


def _same_names(told: set[str], found: set[str]) -> None:
    """What the index says of a shard must be what the shard holds."""
    complaints: list[tuple[set[str], Callable[[str], str]]] = [
        (told - found, lambda name: f"the index has {name!r} in this shard, the shard does not"),
        (found - told, lambda name: f"this shard has {name!r}, the index does not"),
    ]
    for names, complaint in complaints:
        if names:
            raise InputError(complaint(min(names)))


def read(name: str, key: str | None = None) -> Checkpoint:
    """Recognise and read at once."""
    return Input.open(name).read(key)
