"""Files of torch tensors: a `state_dict` in and out. Functions named as in `safetensors.torch`.

Unlike there, tied tensors are kept: stored once, under all their names, and tied again on load.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, Unpack

import torch
from torch.nn.parameter import is_lazy

from . import arguments, devices
from .errors import InputError, located
from .errors import SwsError as SwsError
from .inspection import inspect, verify
from .limits import DEFAULT_LIMITS, Limits
from .read.reader import Reader
from .read.source import BytesSource, File, open_path
from .read.tensors import load_all
from .safe_open import Handle
from .torch_tensors import Device as Device
from .torch_tensors import Scaled as Scaled
from .torch_tensors import Value, converter, detached, from_tensor, lacks, place_of, recode_to, to_elements, to_tensor

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .write.options import EncodingOptions

__all__ = [
    "Scaled",
    "from_tensor",
    "inspect",
    "load",
    "load_file",
    "load_model",
    "safe_open",
    "save",
    "save_file",
    "save_model",
    "to_elements",
    "to_tensor",
    "verify",
]

TensorHandle: TypeAlias = Handle[torch.Tensor]
"""What `safe_open` gives."""


def save(
    tensors: Mapping[str, torch.Tensor] | Mapping[str, Scaled] | Mapping[str, Value],
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> bytes:
    """The file of these tensors, as bytes. Every value comes back bit for bit, -0.0 too, which is another than 0.0.

    A tensor becomes smaller where it has at most 4,095 distinct values besides zero, or a narrower dtype holds it.
    Tensors may lie on any device, be non-contiguous, empty or 0-dimensional. Tensors that are the same memory
    (storage, offset, shape and strides) are stored once.
    threads : that encode; None for as many as there are processors. The bytes are the same for any number of them.
    executor : encodes instead, e.g. one of processes; whatever has the interface of `concurrent.futures.Executor`.
    Raises `InputError` for what is not a dense tensor or has a dtype that the format does not have, and for a name in
    `profile` that is no tensor's.
    """
    # Not at the top: who only loads has no need of what plans and encodes.
    from .write.file import encode
    from .write.options import Options

    fixed = Options.of("save", options)
    return encode(to_elements(tensors), metadata, fixed, threads=threads, executor=executor)


def save_file(
    tensors: Mapping[str, torch.Tensor] | Mapping[str, Scaled] | Mapping[str, Value],
    filename: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None = None,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the file of these tensors; atomically: `filename` holds what it held before or the whole new file.

    filename : a path, or a binary file that is open for writing, which is written to from where it stands
    Warns (`SwsWarning`) of a file that readers load with raised `Limits` only.
    """
    from .write.file import write_file

    write_file(lambda: to_elements(tensors), filename, metadata, options, threads=threads, executor=executor)


def load(
    data: bytes | bytearray | memoryview,
    *,
    device: Device = "cpu",
    dtype: torch.dtype | None = None,
    out: Mapping[str, torch.Tensor] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, torch.Tensor]:
    """The tensors of a file in memory, in the order of the file. Raises `FormatError`, `LimitError`.

    Tensors are decoded one at a time and go to `device` at once; to another device than the processor while the next
    large one is decoded, so that two of them are in memory at most. Those of a dtype that this version of torch does
    not have are left out, and a warning names them; `InputError` is raised where no others are there.
    dtype : floating-point tensors are converted to it, a floating-point or complex one; None leaves them as they are.
    out : tensors to decode into where one has the name, e.g. the `state_dict` of a model; that saves the time to get
        new memory. They may lie on any device. `InputError` is raised where dtype or shape differ. After another error
        they may hold anything. Tensors may share memory, which then holds the one that comes last in the file, as with
        `Module.load_state_dict`. A `SwsWarning` names one of a name that the file lacks.
    threads : for decoding small tensors, and the chunks of large ones; None for as many as there are processors.
    """
    convert = converter(device, dtype)
    with Reader(BytesSource(data), limits) as reader:
        return load_all(
            reader, convert, threads, detached(out), place_of, lacks, recode_to(device, dtype), _is_elsewhere(device)
        )


def load_file(
    filename: str | os.PathLike[str] | BinaryIO,
    device: Device = "cpu",
    *,
    dtype: torch.dtype | None = None,
    out: Mapping[str, torch.Tensor] | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, torch.Tensor]:
    """The tensors of a file, in its order. Raises `FormatError`, `LimitError`, `OSError`. Arguments as in `load`.

    filename : a path, or a binary file that is open, which is read from where it stands to its end
    """
    convert = converter(device, dtype)
    with Reader(open_path(filename), limits) as reader:
        return load_all(
            reader, convert, threads, detached(out), place_of, lacks, recode_to(device, dtype), _is_elsewhere(device)
        )


def safe_open(
    filename: File,
    framework: str = "pt",
    device: Device = "cpu",
    *,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> TensorHandle:
    """Open a path, a URL that fsspec knows, or a file in memory, to list it and to decode single tensors.

    threads : as for `load`
    Raises `FormatError`, `LimitError`, `OSError`; `InputError` for a framework other than torch.
    """
    if not isinstance(framework, str) or framework not in ("pt", "torch", "pytorch"):
        text = "this function gives tensors of torch; use swsfmt.safe_open"
        raise InputError(f"framework {arguments.brief(framework)}: {text}")
    return Handle(filename, converter(device), limits, threads, lacks, Scaled)


def save_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None = None,
    force_contiguous: bool = True,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    **options: Unpack[EncodingOptions],
) -> None:
    """Write the `state_dict` of a model. Arguments as in `save`.

    force_contiguous : False refuses tensors that are not contiguous, with `InputError`, as `safetensors.torch` does. In
        the file all tensors are.
    """
    from .write.options import Options

    Options.of("save_model", options)
    state = _module(model).state_dict()
    if not arguments.flag(force_contiguous, "force_contiguous"):
        for name, tensor in state.items():
            if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and not tensor.is_contiguous():
                raise InputError("the tensor is not contiguous; force_contiguous=True takes it", tensor=name)
    save_file(state, filename, metadata, threads=threads, executor=executor, **options)


def load_model(
    model: torch.nn.Module,
    filename: str | os.PathLike[str] | BinaryIO,
    strict: bool = True,
    device: Device = "cpu",
    *,
    assign: bool | None = None,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[list[str], list[str]]:
    """Load a file into a model and return the missing and the unexpected names.

    strict : names that are missing or unexpected raise `StateDictError`, which is a `RuntimeError` as that of
        `Module.load_state_dict`; so do tensors of another shape, strict or not.
    assign : True makes the tensors of the file, on `device` and in their own dtypes, the model's; False puts their
        values into the model's. None assigns those that the model has on the meta device, where there is nothing to
        write to, and else is as False. Parameters that are tied stay tied.
    The weights are in memory once, at no time twice, whatever the model has before: they are decoded into its tensors;
    with assign=True the old ones go before the new ones come. A model that was made on the meta device has none:
    ``with torch.device("meta"): model = Net()``. All checksums are compared first, for which payloads are read twice,
    so that a file that is damaged leaves the model as it was. One that has them and is not valid all the same may leave
    it with some of the weights, or on the meta device.
    A file behind a URL is fetched once, and a model with hooks or methods of its own that may change what it loads sees
    all of it before any is changed: for these there is memory for new tensors beside those that the model has.
    Raises `FormatError`, `LimitError`, `OSError`; `InputError` for assign=False where the model has tensors on the meta
    device, as nothing would be loaded.
    A buffer that is on the meta device and not in the `state_dict` stays there, with a warning.
    """
    from .state_dict import load_reader

    arguments.flag(strict, "strict")
    if assign is not None:
        arguments.flag(assign, "assign")
    _check_storages(_module(model))
    devices.device(device)
    with Reader(open_path(filename), limits) as reader:
        return load_reader(model, reader, device, threads, strict=strict, assign=assign)


def _is_elsewhere(device: Device) -> bool:
    """Whether tensors are copied to where they go."""
    return devices.device(device).type != "cpu"


def _check_storages(model: torch.nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor) and not is_lazy(tensor) and not tensor.is_meta:
            with located(tensor=name):
                devices.check_storage(tensor)


def _module(model: Any) -> torch.nn.Module:
    return arguments.instance(model, torch.nn.Module, "model", "a torch.nn.Module")
