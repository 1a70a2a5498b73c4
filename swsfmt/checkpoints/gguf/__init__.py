"""GGUF files, as llama.cpp has them: each tensor is what it dequantises to (they are not written).

header      metadata, and where each tensor is
blocks      which bytes of a quantised block are levels, scales and minima
tensors     a tensor in its file, or a part of one
"""

from __future__ import annotations

from ...errors import InputError, located
from ...format.not_sws import is_gguf
from ...tensor import Loadable, Tied
from ..checkpoint import Checkpoint
from ..file import CheckpointFile, Origin
from . import header
from .tensors import opened


class Gguf:
    """Quantised tensors become levels with their scales, and stay in the file until they are asked for."""

    name = "a GGUF file"
    has_entries = False

    def recognises(self, head: bytes) -> bool:
        return is_gguf(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Raises `InputError`, `LimitError`, `OSError`."""
        origin = Origin.of(source)
        with origin.opened() as file:
            metadata, entries = header.read(file, source.size, source.limits)
        parts = metadata.get("split.count", "1")
        if parts not in ("0", "1"):
            first = "llama-gguf-split --merge FIRST.gguf ALL.gguf"
            raise InputError(f"this is one of {parts} files of a GGUF model that was split; join them first: {first}")
        tensors: dict[str, Loadable | Tied] = {}
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.offset):
            with located(tensor=entry.name):
                if entry.name in tensors:
                    raise InputError("the GGUF file has this tensor twice")
                tensors[entry.name], size = opened(origin, entry)
                if size and entry.offset < end:
                    raise InputError("the GGUF file is damaged: this tensor lies in another one", offset=entry.offset)
                end = max(end, entry.offset + size)
                if end > source.size:
                    text = f"its tensor ends at byte {end:,} of {source.size:,}"
                    raise InputError(f"the GGUF file is damaged or incomplete: {text}")
        return Checkpoint({entry.name: tensors[entry.name] for entry in entries}, metadata)
