"""What quantising gives: tensors that are small in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, BinaryIO, Unpack

from torch import Tensor, nn

import swsfmt.torch
from swsfmt.options import EncodingOptions
from swsfmt.torch import Scaled

from .network import dense


class QuantizedModel:
    """tensors : levels and scales of each matrix, and the other tensors, by the names of the state_dict
    report : what was done, for people and programs; values that JSON has
    """

    def __init__(self, tensors: Mapping[str, Tensor | Scaled], report: dict[str, Any] | None = None) -> None:
        self.tensors, self.report = dict(tensors), report or {}

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors dense, bit for bit those that the file gives; tied ones stay tied."""
        own: dict[int, Tensor] = {}
        for tensor in self.tensors.values():
            if id(tensor) not in own:
                own[id(tensor)] = dense(tensor)
        return {name: own[id(tensor)] for name, tensor in self.tensors.items()}

    def apply_to(self, model: nn.Module) -> None:
        """Load all tensors into a model of the same state_dict. Raises what `Module.load_state_dict` raises."""
        model.load_state_dict(self.state_dict())

    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        metadata: Mapping[str, str] | None = None,
        **encoding: Unpack[EncodingOptions],
    ) -> None:
        """Write the file; options as those of `swsfmt.torch.save_file`."""
        swsfmt.torch.save_file(self.tensors, path, metadata, **encoding)

    def size(self, metadata: Mapping[str, str] | None = None, **encoding: Unpack[EncodingOptions]) -> int:
        """Bytes of the file that `save` writes."""
        return len(swsfmt.torch.save(self.tensors, metadata, **encoding))
