"""PyTorch checkpoints <-> elements. torch is imported when a function is called."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from .. import arguments
from ..dtypes import Bits
from ..errors import InputError, located
from ..format.not_sws import is_pickle, is_zip
from ..read.reader import Reader
from ..read.source import unchanged
from ..read.tensors import load_all
from ..tensor import Elements, Loadable, TensorInfo, Tied
from ..write.watched import watched
from .checkpoint import Checkpoint
from .entries import RESAVE, select
from .file import CheckpointFile

# The number that torch before version 1.6 has first in its pickles.
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
# Larger files, in bytes, are mapped, smaller ones are read.
_SMALL = 1 << 26
_SCRIPT = f"it is a TorchScript archive, which holds code; {RESAVE}"


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
        """Tied tensors are known as such. Raises `InputError`, `LimitError`, `OSError`.

        Tensors of a large file stay there until they are asked for. Who cuts off such a file, in place, in the moment
        when one is copied, ends this process with SIGBUS; at any other time that is a `ChangedError`.
        """
        require_torch()
        from ..torch import to_elements

        with source.unchanged():
            is_mapped = _can_be_mapped(source)
            loaded = _load(source, is_mapped)
        tensors = select(loaded, key, _is_tensor)
        _check_size(tensors, source)
        with source.unchanged():
            elements = to_elements(tensors)
        if not is_mapped:
            return Checkpoint(elements)
        return Checkpoint({name: _mapped(tensor, source) for name, tensor in elements.items()})

    def write(self, reader: Reader, file: BinaryIO, threads: int) -> None:
        """Tied tensors stay tied. Raises `SwsError`, `OSError`."""
        torch = require_torch()
        from ..torch import to_tensor

        tensors = load_all(reader, to_tensor, threads)
        with watched(file) as out:
            try:
                torch.save(tensors, out)
            except KeyError as error:
                # Before version 2.5 it had no storage for some of its dtypes.
                raise InputError(f"this version of torch cannot save {error.args[0]}; upgrade torch") from error


def require_torch() -> Any:
    """The module. Raises `InputError` where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise InputError("this needs torch: pip install 'swsfmt[torch]'") from error
    return torch


@dataclass(frozen=True, eq=False)
class Mapped(Elements):
    """Elements that are in the file of this path, which torch has mapped: what is written to it changes them.

    state : size and time of change of the file when it was opened
    """

    path: str
    state: tuple[int, int]

    def load(self) -> Elements:
        """A copy of them. Raises `ChangedError` where the file has changed, or does meanwhile, `OSError`."""
        with unchanged(self.path, self.state, self.path):
            return Elements(self.info, self.bits.copy())

    def __reduce__(self) -> tuple[type[Elements], tuple[TensorInfo, Bits]]:
        return Elements, (self.info, self.load().bits)


def _mapped(tensor: Loadable | Tied, source: CheckpointFile) -> Loadable | Tied:
    if not isinstance(tensor, Elements):
        return tensor
    assert source.path is not None
    assert source.state is not None
    # A relative path means something else to a process in another folder.
    return Mapped(tensor.info, tensor.bits, os.path.abspath(source.path), source.state)


def _load(source: CheckpointFile, is_mapped: bool) -> Any:
    """What the checkpoint holds; classes outside of torch's short list are refused, no code runs."""
    torch = require_torch()
    if is_pickle(source.head) and _MAGIC not in source.head[:64]:
        raise InputError(f"it is a Python pickle that torch has not written, and swsfmt never unpickles code; {RESAVE}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if is_mapped:
                return torch.load(source.content, weights_only=True, map_location="cpu", mmap=True)
            with source.opened() as file:
                return torch.load(file, weights_only=True, map_location="cpu")
        except (OSError, MemoryError):
            raise
        except Exception as error:  # torch raises nearly anything for a damaged file
            raise InputError(_complaint(str(error))) from error


def _can_be_mapped(source: CheckpointFile) -> bool:
    """Whether torch can leave the tensors in the file until they are looked at, and the file is so large.

    It cannot in its format before version 1.6, and in archives that another program has packed again, compressed.
    Raises `LimitError` where such an archive is larger than the limit when it is unpacked; `InputError` for an archive
    that torch has not written.
    """
    if not is_zip(source.head):
        return False
    try:
        with source.opened() as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(f"it is damaged, or not a PyTorch checkpoint: {error}") from error
    names = [member.filename for member in members]
    if not any(name.endswith("data.pkl") for name in names):
        raise InputError(f"it is an archive of {arguments.listed(names[:3])}, and not a PyTorch checkpoint")
    if any(name.endswith("constants.pkl") for name in names):
        raise InputError(_SCRIPT)
    if all(member.compress_type == zipfile.ZIP_STORED for member in members):
        # Of a path torch goes by the suffix, and takes an odd one for another format.
        is_odd = str(source.path).lower().endswith(".safetensors")
        return source.data is None and source.size > _SMALL and not is_odd
    size = sum(member.file_size for member in members)
    source.check_decoded(size, "the size of what is compressed in this archive")
    return False


def _complaint(text: str) -> str:
    """torch's page of advice, in a line. Part of the advice is to run the code in the file; ours never is."""
    refused = re.search(r"GLOBAL (\S+)", text) or re.search(r"[Uu]nsupported class (\S+)", text)
    if refused:
        # What is no tensor in a state_dict is a BytesIO, where it is not plain.
        advice = arguments.KEEP_APART if refused[1] == "_io.BytesIO" else RESAVE
        return f"it holds a {refused[1]}, and swsfmt never unpickles code; {advice}"
    if "TorchScript" in text:
        return _SCRIPT
    operand = re.search(r"Unsupported operand \d+", text)
    first = operand[0] if operand else re.split(r"\. |\n", text.strip())[0]
    return f"it is damaged, or not a PyTorch checkpoint: {first or 'it ends too early'}"


def _check_size(tensors: Mapping[str, Any], source: CheckpointFile) -> None:
    """Raise `LimitError` where tensors repeat what is in the file, as expanded ones do, beyond the limit."""
    torch = require_torch()
    sizes = {}
    for name, tensor in tensors.items():
        # Others are refused later, and may not answer.
        if type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.layout == torch.strided:
            size = tensor.numel() * tensor.element_size()
            with located(tensor=name):
                source.check_decoded(size, "the size of its elements, not all of which are in the file,")
            sizes[tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()] = size
    source.check_decoded(sum(sizes.values()), "the size of all tensors, which share memory in the file,")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, require_torch().Tensor)
