"""The two models whose outputs are compared, and what they are given: from functions, or a folder of transformers."""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from swsfmt import InputError, Limits
from swsfmt.errors import located
from swsfmt.limits import DEFAULT_LIMITS
from swsfmt.state_dict import load_into

from ..batches import Forward, call_model
from .files import Model, opened

WINDOW = 256
"""Tokens of a text that a language model sees at a time."""
# A batch of such windows, and of lines for other models.
_WINDOWS, _LINES = 4, 16


@dataclass(frozen=True)
class Comparison:
    """What `compare_outputs` takes."""

    original: nn.Module
    small: nn.Module
    batches: Iterable[Any]
    forward: Forward = call_model
    logits: bool = False
    targets: Callable[[Any], Tensor] | None = None


def function(reference: str) -> Callable[..., Any]:
    """The function that "module.py:function" names; the module runs. Raises `InputError`."""
    path, colon, name = reference.rpartition(":")
    if not colon or not name.isidentifier():
        raise InputError(f"{reference!r} names no function: it must be like module.py:function")
    if not Path(path).is_file():
        raise InputError("there is no such module", file=path)
    spec = importlib.util.spec_from_file_location(f"_sws_{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise InputError("this is no module of Python; its name must end with .py", file=path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"the module cannot be imported: {type(error).__name__}: {error}", file=path) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"there is no function {name!r}", file=path)
    return cast("Callable[..., Any]", found)


def from_functions(
    original: Model,
    small: Model,
    make_model: Callable[[], nn.Module],
    inputs: Callable[[], Iterable[Any]] | None,
    forward: Callable[..., Any] | None,
    *,
    logits: bool = False,
    key: str | None = None,
    strip_prefix: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Comparison:
    """make_model : gives the network into which the tensors go. inputs : gives its batches

    forward : (model, batch) -> outputs; without `inputs` (model) -> outputs, which brings its own inputs
    Raises `InputError`, `StateDictError` where names or shapes are not those of the network.
    """
    if inputs is None and forward is None:
        raise InputError("nothing says on what the models are to run: give inputs, or a forward that has its own")
    networks = []
    for model, entry in ((original, key), (small, None)):
        network = make_model()
        if not isinstance(network, nn.Module):
            raise InputError(f"make_model gave {type(network).__name__}, it must give a torch.nn.Module")
        with located(file=str(model) if isinstance(model, str | os.PathLike) else None):
            load_into(network, _state(model, entry, strip_prefix, limits), strict=True, assign=None)
        networks.append(network)
    if inputs is None:
        assert forward is not None
        if len(inspect.signature(forward).parameters) != 1:
            raise InputError("without --inputs, forward takes the model alone and brings its own inputs")
        return Comparison(networks[0], networks[1], [None], lambda model, _batch: forward(model), logits)
    return Comparison(networks[0], networks[1], inputs(), forward or call_model, logits)


def from_folder(
    folder: str | os.PathLike[str],
    small: Model,
    text: str | os.PathLike[str],
    *,
    most_tokens: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Comparison:
    """Models of package transformers, on a text: what a language model gives for each next token, or what another has
    in the end for each line of it, the mean over its tokens.

    folder : with config.json, weights and the tokeniser. small : tensors of the same names
    most_tokens : of the text, from its start; None for all
    Raises `InputError` where transformers is not installed or does not know the model, `OSError`.
    """
    transformers = _transformers()
    lines = Path(text).read_text(encoding="utf-8", errors="replace")
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        is_causal = any("CausalLM" in name or "LMHead" in name for name in config.architectures or ())
        kind = transformers.AutoModelForCausalLM if is_causal else transformers.AutoModel
        original = kind.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        state = {name: t.float() if t.is_floating_point() else t for name, t in _state(small, None, (), limits).items()}
        reduced = type(original).from_pretrained(None, config=original.config, state_dict=state)
    except (ValueError, KeyError, ImportError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"transformers cannot load it: {error}", file=os.fspath(folder)) from error
    if is_causal:
        windows = list(_windows(tokenizer(lines)["input_ids"][:most_tokens]))
        return Comparison(original, reduced, windows, _next_tokens, logits=True, targets=_targets)
    return Comparison(original, reduced, list(_encoded(tokenizer, lines, most_tokens)), _embeddings)


def _state(model: Model, key: str | None, strip_prefix: Iterable[str], limits: Limits) -> dict[str, Tensor]:
    with opened(model, key, strip_prefix, limits) as tensors:
        return {name: tensors.load(name) for name in tensors.names()}


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise InputError("a folder of transformers needs that package: pip install transformers") from error
    return transformers


def _windows(tokens: list[int]) -> Iterator[Tensor]:
    """Batches of windows of a text, none padded: the last window of it is a batch of its own."""
    pieces = [torch.tensor(tokens[start : start + WINDOW]) for start in range(0, len(tokens), WINDOW)]
    full = [piece for piece in pieces if len(piece) == WINDOW]
    for start in range(0, len(full), _WINDOWS):
        yield torch.stack(full[start : start + _WINDOWS])
    if pieces and 1 < len(pieces[-1]) < WINDOW:
        yield pieces[-1][None]


def _next_tokens(model: nn.Module, tokens: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=tokens).logits
    return logits[:, :-1]


def _targets(tokens: Tensor) -> Tensor:
    return tokens[:, 1:]


def _encoded(tokenizer: Any, text: str, most_tokens: int | None) -> Iterator[dict[str, Tensor]]:
    lines = [line for line in text.splitlines() if line.strip()]
    count = 0
    for start in range(0, len(lines), _LINES):
        if most_tokens is not None and count >= most_tokens:
            return
        batch = tokenizer(
            lines[start : start + _LINES], padding=True, truncation=True, max_length=WINDOW, return_tensors="pt"
        )
        count += int(batch["attention_mask"].sum())
        yield dict(batch)


def _embeddings(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The mean of the last hidden states of the tokens, shape (lines, width)."""
    states: Tensor = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1)
