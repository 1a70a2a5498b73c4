"""PyTorch checkpoints <-> elements. The only module that imports torch, and only when a function is called."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping
from typing import Any

from swsfmt import InputError
from swsfmt.read.reader import Reader
from swsfmt.read.tensors import load_all
from swsfmt.tensor import Elements, Tied
from swsfmt.write.atomic import replacement

_RESAVE = "save the tensors alone: torch.save(model.state_dict(), 'weights.pt')"


def read(source: str | bytes, key: str | None = None) -> dict[str, Elements | Tied]:
    """The tensors of a checkpoint, at a path or in memory. Raises `InputError`, `OSError`."""
    require_torch()
    from swsfmt.torch import to_elements

    return to_elements(_select(_load(source), key))


def write(reader: Reader, threads: int, path: str) -> int:
    """Write the checkpoint of an open .sws file; return its size in bytes. Tied tensors stay tied.

    Raises `SwsError`, `OSError`.
    """
    torch = require_torch()
    # As `swsfmt.torch.load_file` does, but that opens the file itself.
    from swsfmt.torch import to_tensor

    tensors = load_all(reader, to_tensor, threads)
    with replacement(path) as file:
        torch.save(tensors, file)
    return os.stat(path).st_size


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
        return file.read(4) == b"PK\x03\x04" and not path.endswith(".safetensors")


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
