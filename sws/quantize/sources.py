"""What is to be quantised: a checkpoint alone, or a network that can be run, from a folder, a GGUF file, a program.

A checkpoint alone is names and tensors, which may stay on disk. A network that can be run brings its tensors with it,
and where it comes from a Hugging Face folder or a GGUF file its tokenizer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError, Limits, arguments, checkpoints
from swsfmt.checkpoints import Checkpoint
from swsfmt.errors import located
from swsfmt.limits import DEFAULT_LIMITS

from ..batches import Forward

_CONFIG = "config.json"
_FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<name>[A-Za-z_]\w*)")
_GENERATES = ("ForCausalLM", "LMHeadModel")


@dataclass
class Source:
    """Exactly one of `checkpoint` and `module` is there.

    path : as given
    tokenizer : of a network that reads text, else None
    forward : how the network is run where its kind says so; None for a plain call
    writes_text : whether it is a language model, which can write its own calibration text
    """

    path: str
    checkpoint: Checkpoint | None = None
    module: nn.Module | None = None
    tokenizer: Any = None
    forward: Forward | None = None
    writes_text: bool = False

    def network(self) -> nn.Module:
        """The module. Raises `InputError` for a checkpoint alone."""
        if self.module is None:
            text = "this is a checkpoint without its network, which cannot be run; give a folder of transformers with "
            raise InputError(f"{text}its config.json, or MODULE.py:FUNCTION that makes the network", file=self.path)
        return self.module


def open_source(
    model: str,
    key: str | None = None,
    *,
    strip_prefix: str | Iterable[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    alone: bool = False,
) -> Source:
    """Open what `model` names: a checkpoint as `swsfmt.checkpoints.open` takes it, a folder or a GGUF file that
    transformers can make a network of, or ``MODULE.py:FUNCTION``, whose function makes one.

    key, strip_prefix, limits : of a checkpoint
    alone : whether to take its tensors alone even where there is a network
    Raises `InputError` for what is none of these, and where the program raises; `OSError`.
    """
    if is_function(model):
        return _of_program(model)
    if not alone and _has_network(model):
        return _of_transformers(Path(model))
    with located(file=model):
        return Source(model, checkpoints.open(model, key, strip_prefix=strip_prefix, limits=limits))


def is_function(text: str) -> bool:
    """Whether it is ``MODULE.py:FUNCTION``."""
    return _FUNCTION.fullmatch(text) is not None


def function(text: str) -> Callable[..., Any]:
    """The function that ``MODULE.py:FUNCTION`` names; runs the module. Raises `InputError`, `OSError`."""
    match = _FUNCTION.fullmatch(text)
    if match is None:
        raise InputError(f"{arguments.brief(text)} names no function; write MODULE.py:FUNCTION")
    path = Path(match["file"])
    if not path.is_file():
        raise InputError("there is no such file", file=str(path))
    spec = importlib.util.spec_from_file_location(f"sws_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As when the program itself is started: what lies beside it can be imported; and it can be pickled.
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        _of_user(lambda: spec.loader.exec_module(module), str(path))  # type: ignore[union-attr]
    finally:
        sys.path.remove(str(path.resolve().parent))
    made = getattr(module, match["name"], None)
    if not callable(made):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise InputError(arguments.no_such("function", match["name"], names), file=str(path))
    result: Callable[..., Any] = made
    return result


def called(make: Callable[[], Any], file: str) -> Any:
    """What a user's function gives. Raises `InputError` that names what it raised, and where."""
    return _of_user(make, file)


def _of_user(run: Callable[[], Any], file: str) -> Any:
    try:
        return run()
    except (InputError, MemoryError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        trace = error.__traceback__
        line = 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(Path(file)) or trace.tb_frame.f_code.co_filename == file:
                line = trace.tb_lineno
            trace = trace.tb_next
        where = f" in line {line}" if line else ""
        text = " ".join(str(error).split()) or "nothing more"
        raise InputError(f"the program raised {type(error).__name__}{where}: {text:.300}", file=file) from error


def _of_program(text: str) -> Source:
    file = text.rpartition(":")[0]
    module = called(function(text), file)
    if not isinstance(module, nn.Module):
        raise InputError(f"{text} must return a torch.nn.Module, not {arguments.a(module)}", file=file)
    return Source(text, module=module.eval())


def _has_network(model: str) -> bool:
    """Whether transformers could make a network of it: a folder with a configuration of a model, or a GGUF file."""
    path = Path(model)
    if path.is_dir():
        return (path / _CONFIG).is_file() and "model_type" in _json(path / _CONFIG)
    if not path.is_file() or importlib.util.find_spec("transformers") is None:
        return False
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"this is no JSON: {error}", file=str(path)) from error
    return value if isinstance(value, dict) else {}


def _of_transformers(path: Path) -> Source:
    if importlib.util.find_spec("transformers") is None:
        text = "a model of transformers, which is not installed: pip install transformers"
        raise InputError(f"{text}, or quantise its tensors alone with --calibrate none", file=str(path))
    import transformers

    from_gguf = path.is_file()
    folder = str(path.parent if from_gguf else path)
    options: dict[str, Any] = {"local_files_only": True}
    if from_gguf:
        options["gguf_file"] = path.name
    transformers.utils.logging.disable_progress_bar()
    verbosity = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        name = _architecture(path) if not from_gguf else "AutoModelForCausalLM"
        kind = getattr(transformers, name, None)
        if kind is None:
            raise InputError(f"this version of transformers has no {name}, which {_CONFIG} names", file=str(path))
        # Bars of its own, which cannot all be switched off.
        with contextlib.redirect_stderr(io.StringIO()):
            module = kind.from_pretrained(folder, dtype=torch.float32, **options)
        tokenizer = _tokenizer(transformers, folder, options)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # transformers raises nearly anything
        text = " ".join(str(error).split())
        advice = "quantise its tensors alone with --calibrate none"
        raise InputError(f"transformers cannot make this model: {text:.300}; {advice}", file=str(path)) from error
    finally:
        transformers.utils.logging.set_verbosity(verbosity)
    writes_text = type(module).__name__.endswith(_GENERATES)
    forward = None if _has_logits(module) else _embedding(path)
    return Source(str(path), module=module.eval(), tokenizer=tokenizer, forward=forward, writes_text=writes_text)


def _architecture(folder: Path) -> str:
    names = _json(folder / _CONFIG).get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else "AutoModel"


def _tokenizer(transformers: Any, folder: str, options: Mapping[str, Any]) -> Any:
    """None where there is none, as for a model of images."""
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, **options)
    except Exception:  # as above
        return None


def _has_logits(module: nn.Module) -> bool:
    return "For" in type(module).__name__ or type(module).__name__.endswith(_GENERATES)


def _embedding(path: Path) -> Forward:
    """The outputs of a model without a head: hidden states of the tokens that are there; where sentence-transformers
    pools them, the vector of each text.
    """
    pooling = path / "1_Pooling" / _CONFIG
    pools = pooling.is_file() and bool(_json(pooling).get("pooling_mode_mean_tokens"))

    def forward(model: nn.Module, batch: Any) -> Tensor:
        output = model(**batch)
        hidden: Tensor = output.last_hidden_state if hasattr(output, "last_hidden_state") else output[0]
        mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        if mask is None or mask.shape != hidden.shape[:2]:
            return hidden
        hidden = hidden * mask[..., None].to(hidden.dtype)
        if not pools:
            return hidden
        mean: Tensor = hidden.sum(1) / mask.sum(1, keepdim=True).to(hidden.dtype)
        return mean

    return forward


def state_dict(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module. Raises `InputError` for what is none, as the extra state of a module."""
    state = module.state_dict()
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"this is {arguments.no_tensor(tensor, name, 'leave it out')}", tensor=name)
    return state


def identity(path: str) -> dict[str, Any]:
    """What tells whether a source is the one of an earlier run: sizes and times of its files. Raises `OSError`."""
    file = Path(path.rpartition(":")[0] if is_function(path) else path)
    if file.is_dir():
        file = checkpoints.find(file)
    shards: set[str] = set()
    if file.name.endswith(".index.json"):
        weight_map = _json(file).get("weight_map")
        shards = {str(name) for name in weight_map.values()} if isinstance(weight_map, dict) else set()
    stats = {each.name: os.stat(each) for each in [file, *(file.parent / name for name in sorted(shards))]}
    return {"model": path, "files": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}}
