"""Folders that load without ``import swsfmt.hf``: the code that `trust_remote_code=True` allows imports it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto import modeling_auto

from .. import arguments
from ..errors import InputError
from .folders import CONFIG

_MODULE = "modeling_sws"
_HEAD = '''"""Loads the .sws files of this folder: pip install 'swsfmt[hf]'."""

import swsfmt.hf  # noqa: F401
import transformers
'''


def write_remote_code(folder: str | os.PathLike[str]) -> None:
    """Add ``modeling_sws.py`` to a folder of ours, and say in config.json that the auto classes take models from there.

    ``AutoModel.from_pretrained(folder, trust_remote_code=True)`` then needs no import. Without `trust_remote_code` the
    folder loads as before.
    Raises `InputError` for a folder without config.json, and for one whose models have code of their own.
    """
    path = Path(os.fsdecode(arguments.path(folder, "folder")))
    if not (path / CONFIG).is_file():
        raise InputError(f"there is no {CONFIG} in this folder", file=str(path))
    content = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    if any(not str(place).startswith(_MODULE) for place in content.get("auto_map", {}).values()):
        raise InputError("the models of this folder have code of their own; import swsfmt.hf there", file=str(path))
    try:
        config = type(transformers.AutoConfig.for_model(content.get("model_type", "")))
    except ValueError as error:
        raise InputError(f"transformers does not know its model_type: {error}", file=str(path / CONFIG)) from error
    names = dict(_models(config))
    classes = [f"\n\nclass {name}(transformers.{name}):\n    pass\n" for name in dict.fromkeys(names.values())]
    (path / f"{_MODULE}.py").write_text(_HEAD + "".join(classes), encoding="utf-8")
    content["auto_map"] = {auto: f"{_MODULE}.{name}" for auto, name in names.items()}
    (path / CONFIG).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _models(config: Any) -> Iterator[tuple[str, str]]:
    """Names of the auto classes that have a model for a class of configurations, and of these models."""
    for name in vars(modeling_auto):
        auto = getattr(modeling_auto, name)
        mapping = getattr(auto, "_model_mapping", None)
        if not isinstance(auto, type) or mapping is None or name.startswith("_") or config not in mapping:
            continue
        model = mapping[config]
        own = model[0] if isinstance(model, tuple | list) else model
        if hasattr(transformers, own.__name__):
            yield name, own.__name__
