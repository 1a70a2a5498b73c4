"""The two models whose outputs are compared, and what they are given: from functions, or a folder of transformers."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from swsfmt import InputError, Limits, MismatchError
from swsfmt.errors import located
from swsfmt.limits import DEFAULT_LIMITS
from swsfmt.state_dict import load_into

from ..batches import Forward, call_model
from ..quantize.sources import open_source
from .files import Model, opened

WINDOW = 256
"""Tokens of a text that a language model sees at a time."""
# A batch of such windows, and of lines for other models.
_WINDOWS, _LINES = 4, 16


@dataclass(frozen=True)
class Comparison:
    """What `compare_outputs` takes. tensors : of the original, where the other has the names of the network"""

    original: nn.Module
    small: nn.Module
    batches: Iterable[Any]
    forward: Forward = call_model
    logits: bool = False
    targets: Callable[[Any], Tensor] | None = None
    tensors: Mapping[str, Tensor] | None = None


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

    folder : with config.json, weights and the tokeniser; or a GGUF file. small : tensors of the model's names
    most_tokens : of the text, from its start; None for all
    Raises `InputError` where transformers is not installed or does not know the model, `OSError`.
    """
    source = open_source(os.fspath(folder))
    original, tokenizer = source.network(), source.tokenizer
    if tokenizer is None:
        raise InputError("there is no tokeniser in the folder, which a text needs", file=source.path)
    state = _state(small, None, (), limits)
    own = original.state_dict()
    # Files of one model have its names with a prefix or without, and tied tensors once or twice.
    tensors = own if own.keys() == state.keys() else None
    reduced = _with_tensors(original, state)
    lines = Path(text).read_text(encoding="utf-8", errors="replace")
    if source.writes_text:
        windows = list(_windows(tokenizer(lines, verbose=False)["input_ids"][:most_tokens]))
        return Comparison(original, reduced, windows, _next_tokens, True, _targets, tensors)
    return Comparison(original, reduced, list(_encoded(tokenizer, lines, most_tokens)), _embeddings, tensors=tensors)


def _with_tensors(original: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """A model like this one, of transformers. Raises `MismatchError` where it needs tensors that are not there."""
    floats = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    kind: Any = type(original)
    try:
        model, told = kind.from_pretrained(
            None, config=original.config, state_dict=floats, dtype=torch.float32, output_loading_info=True
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise MismatchError(f"transformers cannot load its tensors: {' '.join(str(error).split()):.300}") from error
    if told["missing_keys"]:
        raise MismatchError(f"the model needs tensors that it has not: {', '.join(sorted(told['missing_keys'])[:10])}")
    result: nn.Module = model
    return result


def _state(model: Model, key: str | None, strip_prefix: Iterable[str], limits: Limits) -> dict[str, Tensor]:
    with opened(model, key, strip_prefix, limits) as tensors:
        return {name: tensors.load(name) for name in tensors.names()}


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
