"""PyTorch checkpoints <-> elements. torch is imported when a function is called."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO

from ..errors import InputError
from ..format.not_sws import is_pickle, is_zip
from ..read.reader import Reader
from ..read.tensors import load_all
from .checkpoint import Checkpoint
from .file import CheckpointFile

_RESAVE = "save the tensors alone: torch.save(model.state_dict(), 'weights.pt')"


class PyTorch:
    """What `torch.save` writes: a state_dict, or a dict that has one in an entry."""

    name = "a PyTorch checkpoint"
    has_entries = True
    suffixes: tuple[str, ...] = (".pt", ".pth")
    has_metadata = False

    def recognises(self, head: bytes) -> bool:
        # A zip archive, or the pickle that torch wrote before version 1.6.
        return is_zip(head) or is_pickle(head)

    def read(self, source: CheckpointFile, key: str | None) -> Checkpoint:
        """Tied tensors are known as such. Raises `InputError`, `OSError`."""
        require_torch()
        from ..torch import to_elements

        return Checkpoint(to_elements(_select(_load(source.content), key)))

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Tied tensors stay tied. Raises `SwsError`, `OSError`."""
        torch = require_torch()
        from ..torch import to_tensor

        torch.save(load_all(reader, to_tensor, threads), file)


def require_torch() -> Any:
    """The module. Raises `InputError` where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise InputError("this needs torch: pip install 'swsfmt[torch]'") from error
    return torch


def _load(source: str | bytes) -> Any:
    """What the checkpoint holds; classes outside of torch's short list are refused, no code runs."""
    torch = require_torch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if isinstance(source, str) and _can_be_mapped(source):
                return torch.load(source, weights_only=True, map_location="cpu", mmap=True)
            with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
                return torch.load(file, weights_only=True, map_location="cpu")
        except (OSError, MemoryError):
            raise
        except Exception as error:  # torch raises nearly anything for a damaged file
            raise InputError(_complaint(str(error))) from error


def _can_be_mapped(path: str) -> bool:
    """Whether torch leaves the tensors in the file until they are looked at: not in its format before version 1.6."""
    with open(path, "rb") as file:
        # Of a path torch goes by the suffix, and takes an odd one for another format.
        return is_zip(file.read(4)) and not path.endswith(".safetensors")


def _complaint(text: str) -> str:
    """torch's page of advice, in a line. Part of the advice is to run the code in the file; ours never is."""
    refused = re.search(r"GLOBAL (\S+)", text) or re.search(r"[Uu]nsupported class (\S+)", text)
    if refused:
        return f"it holds a {refused[1]}, and swsfmt never unpickles code; {_RESAVE}"
    if "TorchScript" in text:
        return f"it is a TorchScript archive, which holds code; {_RESAVE}"
    operand = re.search(r"Unsupported operand \d+", text)
    first = operand[0] if operand else re.split(r"\. |\n", text.strip())[0]
    return f"it is damaged, or not a PyTorch checkpoint: {first or 'it ends too early'}"


def _select(loaded: Any, key: str | None) -> Mapping[str, Any]:
    """The mapping of names to tensors in what was loaded."""
    if key is not None:
        if not isinstance(loaded, Mapping) or key not in loaded:
            there = f"; there are {_listed(loaded)}" if isinstance(loaded, Mapping) and loaded else ""
            raise InputError(f"there is no entry {key!r} in it{there}")
        loaded = loaded[key]
    what = "it" if key is None else f"its entry {key!r}"
    if not isinstance(loaded, Mapping):
        raise InputError(f"{what} is {_a(loaded)}, not a state_dict (names and tensors); {_RESAVE}")
    nested = [name for name, value in loaded.items() if _holds_tensors(value)]
    if nested and key is None:
        choices = " or ".join(f"--key {name}" for name in nested)
        raise InputError(f"the tensors are not at its top but in the entry {_listed(nested)}; choose with {choices}")
    for name, value in loaded.items():
        if not isinstance(name, str):
            raise InputError(f"{what} has a key that is not a string: {name!r}")
        if not _is_tensor(value):
            raise InputError(f"the entry {name!r} is {_a(value)}, not a tensor; {_RESAVE}")
    return loaded


def _is_tensor(value: Any) -> bool:
    return isinstance(value, require_torch().Tensor)


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(_is_tensor(inner) for inner in value.values())


def _listed(names: Any) -> str:
    """At most eight of them."""
    shown = [repr(name) for name in names]
    return ", ".join(shown[:8]) + (", ..." if len(shown) > 8 else "")


def _a(value: Any) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
