"""A model, or a folder with another checkpoint, becomes a folder with config.json and .sws files."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from .. import arguments
from ..checkpoints import Conversion, convert, find
from ..errors import InputError
from ..torch import save_file
from ..write.options import EncodingOptions, Options
from . import saving, weights

CONFIG = "config.json"
_QUANTIZED = {"quant_method": "sws"}
_INDEX = "model.safetensors.index.json"
# What `push_to_hub` takes.
_HUB = ("repo_id", "commit_message", "create_pr", "private")
# Weights in other formats, which are not copied.
_OTHERS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".gguf", ".index.json", ".ckpt", ".npz")


def save_pretrained(
    model: Any,
    save_directory: str | os.PathLike[str],
    *,
    max_shard_size: int | str = "50GB",
    push_to_hub: bool = False,
    options: EncodingOptions | None = None,
    threads: int | None = None,
    **kwargs: Any,
) -> None:
    """Write a model of transformers as a folder with ``config.json`` and ``model.sws``, or shards with an index.

    transformers chooses names and shards; each is encoded from memory. What was in the folder under the same names is
    replaced when all are there. What the model saves in folders below it stays as it wrote it.
    max_shard_size : of dense bytes, as transformers counts them
    push_to_hub : upload the folder, as transformers does; then `kwargs` has what names the repository
    options : of the encoder, as keyword arguments of `swsfmt.save_file`: {"profile": "small"}
    kwargs : of the model's own `save_pretrained`
    Raises `InputError` where the folder has other weights that would be loaded instead.
    """
    Options.of("save_pretrained", options or {})
    folder = Path(os.fsdecode(arguments.path(save_directory, "save_directory")))
    folder.mkdir(parents=True, exist_ok=True)
    _check(folder)
    with tempfile.TemporaryDirectory(prefix=".sws-", suffix=".tmp", dir=folder) as name:
        dense = Path(name)

        def encode(tensors: Mapping[str, Any], file: str, metadata: Mapping[str, str] | None) -> None:
            save_file(tensors, dense / _own_name(file), metadata, threads=threads, **options or {})

        with saving.encoding(dense, encode):
            # Not what `SwsQuantizer` may have put in its place.
            type(model).save_pretrained(model, dense, max_shard_size=max_shard_size, **_without_hub(kwargs))
        _encode_all(dense, folder, threads, options or {})
    if push_to_hub:
        _upload(model, folder, kwargs)


def encode_folder(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    threads: int | None = None,
    **options: Unpack[EncodingOptions],
) -> Conversion:
    """Make a folder of ours of one that `from_pretrained` of transformers or diffusers takes; the rest is copied.

    The weights become one file, ``model.sws``, tensor by tensor. Weights in other formats are left out, and so are
    folders in it.
    options : of the encoder, as for `swsfmt.save_file`
    Raises `InputError` where there is no config.json or no checkpoint, or `out` has other weights; `OSError`.
    """
    source, folder = (Path(os.fsdecode(arguments.path(path, "path"))) for path in (source, out))
    if not (source / CONFIG).is_file():
        raise InputError(f"there is no {CONFIG} in this folder", file=str(source))
    checkpoint = find(source)
    folder.mkdir(parents=True, exist_ok=True)
    _check(folder)
    written = convert(checkpoint, folder / weights.FILE, threads=threads, **options)
    for path in source.iterdir():
        if path.is_file() and not path.name.lower().endswith((*_OTHERS, weights.SUFFIX)):
            shutil.copyfile(path, folder / path.name)
    _mark(folder / CONFIG)
    return written


def _encode_all(dense: Path, folder: Path, threads: int | None, options: EncodingOptions) -> None:
    """Encode what transformers has written as safetensors files all the same, and move all to the folder."""
    index = dense / _INDEX
    if index.is_file():
        content = json.loads(index.read_text(encoding="utf-8"))
        content["weight_map"] = {name: _own_name(file) for name, file in content["weight_map"].items()}
        (dense / weights.INDEX).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        index.unlink()
    for path in dense.glob("*.safetensors"):
        convert(path, dense / _own_name(path.name), threads=threads, **options)
        path.unlink()
    _mark(dense / CONFIG)
    # An index that is there must never be one of other shards.
    for name in (weights.FILE, weights.INDEX):
        (folder / name).unlink(missing_ok=True)
    # File by file: a folder cannot take the place of one with files in it.
    for path in [path for path in dense.rglob("*") if path.is_file()]:
        target = folder / path.relative_to(dense)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)


def _own_name(file: str) -> str:
    return file.removesuffix(".safetensors") + weights.SUFFIX


def _mark(config: Path) -> None:
    """Say in a config.json that the weights are ours, so that `SwsQuantizer` sees to them."""
    if not config.is_file():
        return
    content = json.loads(config.read_text(encoding="utf-8"))
    quantized = content.get("quantization_config") or {}
    if quantized.get("quant_method", "sws") != "sws":
        text = f"the weights are those of {quantized['quant_method']}, whose modules transformers has to make"
        raise InputError(f"{text}; dequantize the model first", file=str(config))
    content["quantization_config"] = {**quantized, **_QUANTIZED}
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check(folder: Path) -> None:
    """Raise `InputError` for a folder of which other weights than ours would be loaded."""
    for name in weights.OTHERS:
        if (folder / name).exists():
            text = "there are other weights in this folder, which would be loaded instead; remove them first"
            raise InputError(text, file=str(folder / name))


def _without_hub(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key not in _HUB}


def _upload(model: Any, folder: Path, kwargs: dict[str, Any]) -> None:
    from huggingface_hub import HfApi

    api = HfApi(token=kwargs.get("token"))
    repository = api.create_repo(
        kwargs.get("repo_id", folder.name), exist_ok=True, private=kwargs.get("private")
    ).repo_id
    message = kwargs.get("commit_message") or f"Upload {type(model).__name__} as .sws"
    api.upload_folder(
        repo_id=repository, folder_path=folder, commit_message=message, create_pr=kwargs.get("create_pr", False)
    )
