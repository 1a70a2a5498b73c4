"""A checkpoint that has been opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import TensorNotFoundError
from ..tensor import Elements, Loadable, Tied


@dataclass(frozen=True)
class Checkpoint:
    """tensors : by name, in the order of the file; they may not be read yet, and are read anew each time.

    metadata : the file's string-to-string map; empty where it has none
    shards : the files that an index names; empty for a checkpoint in one file
    """

    tensors: Mapping[str, Loadable | Tied]
    metadata: dict[str, str] = field(default_factory=dict)
    shards: list[Path] = field(default_factory=list)

    @property
    def dense_bytes(self) -> int:
        """Elements in their own dtype; tied tensors count once."""
        return sum(tensor.info.nbytes for tensor in self.tensors.values() if not isinstance(tensor, Tied))

    def elements(self, name: str) -> Elements:
        """The elements of a tensor, those of its target where it is tied.

        `swsfmt.numpy.to_array` and `swsfmt.torch.to_tensor` take them. Raises `TensorNotFoundError`, and `InputError`
        or `OSError` where the file is not what it was when it was opened.
        """
        if name not in self.tensors:
            raise TensorNotFoundError(f"there is no tensor {name!r}")
        tensor = self.tensors[name]
        return self.elements(tensor.to) if isinstance(tensor, Tied) else tensor.load()
