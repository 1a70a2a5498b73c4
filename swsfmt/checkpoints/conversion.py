"""A checkpoint becomes a .sws file, a .sws file becomes a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Unpack

from .. import arguments
from ..errors import InputError, located
from ..limits import DEFAULT_LIMITS, Limits
from ..parallel import team_of, thread_count
from ..read.progress import DecodeCounter
from ..read.reader import Reader
from ..write.atomic import replacement, write_to
from ..write.file import encode_file
from ..write.options import EncodingOptions, Options
from . import folder, registry, safetensors, sharded
from .checkpoint import Checkpoint
from .file import CheckpointFile, FileLike
from .formats import FileFormat

if TYPE_CHECKING:
    from concurrent.futures import Executor

Output = str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Conversion:
    """What `convert` has written.

    path : what a reader opens, the index of a sharded checkpoint; None where an open file was written to
    size : of all files, in bytes on disk
    shards : where `max_shard_size` was given, the files with the tensors
    tensors : how many there are, each name counted
    dense_bytes : their elements in their own dtypes, tied tensors once
    needed_limits : of a .sws file: the fields of `Limits` that its readers must raise, and to what
    negative_zeros : of a .sws file: how many elements of each tensor of few values are -0.0, stored apart from 0.0
    lost_metadata : whether there was metadata for which the format of the output has no place
    """

    path: Path | None
    size: int
    tensors: int
    dense_bytes: int
    shards: list[Path] = field(default_factory=list)
    needed_limits: dict[str, int] = field(default_factory=dict)
    negative_zeros: dict[str, int] = field(default_factory=dict)
    lost_metadata: bool = False


def convert(
    file: FileLike | Checkpoint | Reader,
    out: Output,
    *,
    key: str | None = None,
    strip_prefix: str | Iterable[str] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    step: Callable[[int, int], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    max_shard_size: int | str | None = None,
    **options: Unpack[EncodingOptions],
) -> Conversion:
    """Write a checkpoint as a .sws file, or a .sws file as a checkpoint, whichever `file` is. Every value is kept.

    A .sws file is decoded, and a checkpoint encoded, in the format that the suffix of `out` says: ``.safetensors``
    (there tied tensors are written under each name), ``.pt`` or ``.pth`` (there metadata is lost), ``.npz`` or ``.npy``
    (both), or ``.onnx`` for what was made of an ONNX model. Files are written atomically, in place of what is there.
    Large models go through tensor by tensor, but for those of PyTorch and ONNX.

    file : a path, a file in memory or an open binary file; a .sws file may be behind a URL too. What `open` has given
        is encoded; an open `Reader` is decoded, with its own limits, and counts with its own `on_decode`.
    out : a path, or a binary file open for writing, which gets a .sws file or a safetensors file. In a folder that is
        there, or is to be made, as a / at its end says, ``model.safetensors`` is written, or shards of that name.
    key, strip_prefix : as for `open`
    threads : that encode or decode; None for as many as there are processors
    executor : encodes instead, see `swsfmt.save_file`
    step : is told how much is done and how much there is: bytes while encoding, tensors while decoding
    limits : for a .sws file that is decoded, and as for `open`
    max_shard_size : write several safetensors files of at most so many bytes, or "5GB", and an index
    options : of the encoder, as for `swsfmt.save_file`
    Raises `InputError` for what is no checkpoint or cannot be stored in the other format, for arguments of the other
    direction and a suffix that is another format's; `FormatError` for a damaged .sws file, `LimitError`, `OSError`.
    Warns (`SwsWarning`) of a .sws file that readers load with raised `Limits` only.
    """
    arguments.output(out)
    arguments.function(step, "step")
    fixed = Options.of("convert", options)
    if isinstance(file, Checkpoint):
        _refuse("a checkpoint that is open", key=key, strip_prefix=strip_prefix, max_shard_size=max_shard_size)
        _check_name(out)
        return _encode(file, out, threads, executor, step, fixed)
    if isinstance(file, Reader):
        _refuse("a .sws file that is open", key=key, strip_prefix=strip_prefix, executor=executor, step=step, **options)
        return _decode(file, out, threads, max_shard_size)
    if isinstance(file, str) and "://" in file:
        content: str | bytes = file
    else:
        source = CheckpointFile.open(file, limits)
        if registry.is_checkpoint(source):
            _check_name(out)
        if not source.is_sws and _format_for(out) is None and max_shard_size is None:
            checkpoint = registry.read(source, key, strip_prefix)
            with located(file=source.path):
                return _encode(checkpoint, out, threads, executor, step, fixed)
        content = source.content
    _refuse("decoding", key=key, strip_prefix=strip_prefix, executor=executor, **options)
    counter = DecodeCounter(step or (lambda done, total: None))
    with Reader.open(content, limits, on_decode=counter) as reader:
        counter.expect(reader)
        return _decode(reader, out, threads, max_shard_size)


def encoded_name(path: str | os.PathLike[str]) -> str:
    """The usual name of the .sws file for a checkpoint: NAME.sws for NAME.pt and NAME.safetensors.index.json.

    That for the checkpoint in a folder is beside the folder, and called like it.
    """
    name = os.fsdecode(arguments.path(path, "path"))
    if os.path.isdir(name):
        bare = name.rstrip("".join(folder.SLASHES))
        return (os.path.abspath(name) if os.path.basename(bare) in ("", ".", "..") else bare) + ".sws"
    index = next((suffix for suffix in sharded.INDEX_SUFFIXES if name.lower().endswith(suffix)), None)
    return (os.path.splitext(name)[0] if index is None else name[: -len(index)]) + ".sws"


def decoded_name(out: str | os.PathLike[str]) -> str:
    """The file that `convert` makes of a .sws file: `out`, or ``model.safetensors`` in it where it is a folder.

    It is one where such a folder is there, without the suffix of a format, and where its name ends with a slash.
    """
    name = os.fsdecode(arguments.path(out, "out"))
    is_folder = name.endswith(folder.SLASHES) or (os.path.isdir(name) and registry.format_for(name) is None)
    return os.path.join(name, folder.MODEL) if is_folder else name


def check_output(out: Output, *, sharded: bool = False) -> None:
    """Raise `InputError` for an output to which `convert` decodes no .sws file, told by its name alone.

    sharded : whether `max_shard_size` will be given
    """
    arguments.output(out)
    arguments.flag(sharded, "sharded")
    _target(decoded_name(out) if isinstance(out, str | os.PathLike) else out, sharded=sharded)


def decoded_paths(reader: Reader, out: str | os.PathLike[str], max_shard_size: int | str | None = None) -> list[Path]:
    """The files that `convert` writes for an open .sws file; the last is the one that readers open first.

    Raises `InputError` as `check_output` does, and for what is no size.
    """
    path = Path(decoded_name(out))
    _target(path, sharded=max_shard_size is not None)
    return [path] if max_shard_size is None else sharded.cut(reader, path, max_shard_size).paths


def _refuse(what: str, **arguments: object) -> None:
    """Raise `InputError` for an argument that means nothing where it was given."""
    for name, value in arguments.items():
        if value is not None:
            raise InputError(f"{name}= is not for {what}")


def _check_name(out: Output) -> None:
    """Raise `InputError` where a .sws file would have the name of another format's."""
    other = _format_for(out)
    if other is not None:
        text = f"a checkpoint becomes a .sws file only, and this is the name of {other.name}; choose a NAME.sws"
        raise InputError(text, file=str(_path(out)))


def _encode(
    checkpoint: Checkpoint,
    out: Output,
    threads: int | None,
    executor: Executor | None,
    step: Callable[[int, int], None] | None,
    options: Options,
) -> Conversion:
    encoded = encode_file(
        checkpoint.tensors, checkpoint.metadata, options, threads=threads, executor=executor, step=step
    )
    encoded.warn()
    return Conversion(
        path=_path(out),
        size=write_to(out, encoded.pieces()),
        tensors=len(checkpoint.tensors),
        dense_bytes=checkpoint.dense_bytes,
        needed_limits=encoded.needed_limits(),
        negative_zeros=encoded.negative_zeros,
    )


def _decode(reader: Reader, out: Output, threads: int | None, max_shard_size: int | str | None) -> Conversion:
    threads = thread_count(threads)
    new_folder = None
    if isinstance(out, str | os.PathLike):
        if os.fspath(out).endswith(folder.SLASHES):
            new_folder = Path(out)
        out = decoded_name(out)
    path, shards, has_metadata = _path(out), [], True
    with located(file=reader.source.name), folder.made(new_folder), team_of(threads):
        reader.check_decoded_bytes()
        target = _target(out, sharded=max_shard_size is not None)
        if max_shard_size is not None and path is not None:
            cut = sharded.cut(reader, path, max_shard_size)
            size = sharded.write(reader, cut, threads)
            path, shards = cut.paths[-1], [cut.folder / name for name in cut.names]
        elif path is None:
            size = write_to(out, safetensors.pieces(reader, reader.keys(), threads))
        else:
            has_metadata = target.has_metadata
            with replacement(path) as file:
                target.write(reader, file, threads)
            size = os.stat(path).st_size
    return Conversion(
        path=path,
        size=size,
        tensors=len(reader.records),
        dense_bytes=sum(record.info.nbytes for record in reader.records if record.info is not None),
        shards=shards,
        lost_metadata=bool(reader.metadata) and not has_metadata,
    )


def _path(out: Output) -> Path | None:
    return Path(out) if isinstance(out, str | os.PathLike) else None


def _format_for(out: Output) -> FileFormat | None:
    return registry.format_for(out) if isinstance(out, str | os.PathLike) else None


def _target(out: Output, *, sharded: bool) -> FileFormat:
    """The format that is decoded to. Raises `InputError` for none."""
    path, target = _path(out), _format_for(out)
    if sharded:
        if path is None or target not in (None, registry.DEFAULT):
            raise InputError("max_shard_size is for safetensors files: give NAME.safetensors or a folder")
    elif path is not None and target is None:
        raise InputError(f"the output {str(path)!r} must end in {registry.suffixes()}")
    return target or registry.DEFAULT
