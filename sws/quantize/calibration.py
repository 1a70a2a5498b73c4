"""Batches to calibrate with: from a text, a file of inputs, a program, the model itself, or noise.

A fifth of them is kept apart: what quantising costs is measured on inputs that it was not fitted to.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swsfmt import InputError, arguments, checkpoints
from swsfmt.errors import located
from swsfmt.torch import to_tensor

from ..batches import to_device
from . import outputs
from .collect import call
from .sources import Source, called, function, is_function

SELF, NONE, NOISE = "self", "none", "noise"

_HELD_OUT = 0.2
_BATCH = 8
# Tokens of a sample of a language model, and at most of a text of another one.
_TOKENS = 256
_LONGEST = 128
# Fewer are worse, see docs/quantizing.md.
_SAMPLES = {"language": 64, "text": 1280, "data": 1280}
_DATA = (".npy", ".npz", ".safetensors", ".pt", ".pth")


@dataclass
class Calibration:
    """batches : for statistics. held_out : for measuring. kind : where they come from, for the file's metadata"""

    batches: list[Any] = field(default_factory=list)
    held_out: list[Any] = field(default_factory=list)
    kind: str = NONE


def make(source: Source, what: str | None, samples: int | None = None, seed: int = 0) -> Calibration:
    """Batches for a network.

    what : a text file; a file of inputs (.npy, .npz, .safetensors, .pt: a tensor whose rows are examples, several are
        keyword arguments); ``MODULE.py:FUNCTION``, which gives batches; "self", made by a language model itself, of
        random words for another model of text; "noise:3x32x32", normal noise of that shape; None for "self" where the
        network reads text
    samples : how many texts or examples at most; None for as many as suit the kind
    Raises `InputError` for what is none of these and does not suit the network, before anything takes long.
    """
    if what is None:
        if source.tokenizer is None:
            text = "this network reads no text, and nothing says what its inputs are: calibrate with a file of inputs, "
            raise InputError(f"{text}MODULE.py:FUNCTION or noise:SHAPE (sws: --calibrate), or go without: none")
        what = SELF
    if what == SELF:
        batches = _self_made(source, samples, seed)
    elif what.startswith(f"{NOISE}:"):
        batches = _noise(what, samples or _SAMPLES["data"], seed)
    elif is_function(what):
        batches = _of_program(what, samples)
    elif what.lower().endswith(_DATA):
        batches = _of_file(what, samples or _SAMPLES["data"])
    else:
        batches = _of_text(source, what, samples, seed)
    kind = what if what == SELF or what.startswith(f"{NOISE}:") else Path(what).name
    if not batches:
        raise InputError(f"there is nothing to calibrate with in {kind}")
    return _split(batches, kind)


def check(source: Source, calibration: Calibration, forward: Any, device: torch.device) -> None:
    """Run the network once. Raises `InputError` where it does not take a batch, or gives nothing that can count."""
    batch = to_device(calibration.batches[0], device)
    try:
        with torch.no_grad():
            output = (forward or call)(source.network(), batch)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # networks raise anything
        text = " ".join(str(error).split())
        inputs = _described(batch)
        raise InputError(
            f"the network cannot be run on what it is to be calibrated with ({inputs}): {type(error).__name__}: "
            f"{text:.300}"
        ) from error
    parts = [output.logits] if getattr(output, "logits", None) is not None else outputs.tensors(output)
    if not all(bool(torch.isfinite(part).all()) for part in parts):
        raise InputError(
            f"the outputs of the network are infinite or NaN before anything is quantised ({_described(batch)})"
        )


def _split(batches: list[Any], kind: str) -> Calibration:
    """The last fifth is held out; of a single batch its last examples."""
    if len(batches) == 1:
        batches = _halved(batches[0])
    apart = max(1, round(_HELD_OUT * len(batches))) if len(batches) > 1 else 0
    if not apart:
        return Calibration(batches, batches, kind)
    return Calibration(batches[:-apart], batches[-apart:], kind)


def _halved(batch: Any) -> list[Any]:
    """A batch as two, where all of it are tensors with as many examples; else as it is."""
    entries = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else [batch]
    lengths = {len(entry) if isinstance(entry, Tensor) and entry.dim() else 0 for entry in entries}
    count = lengths.pop() if len(lengths) == 1 else 0
    if count < 2:
        return [batch]
    cut = count - max(1, round(_HELD_OUT * count))
    return [_rows(batch, slice(0, cut)), _rows(batch, slice(cut, count))]


def _rows(batch: Any, rows: slice) -> Any:
    if isinstance(batch, Tensor):
        return batch[rows]
    if isinstance(batch, Mapping):
        return {name: entry[rows] for name, entry in batch.items()}
    return type(batch)(entry[rows] for entry in batch)


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} of shape {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return ", ".join(f"{name} {_described(entry)}" for name, entry in batch.items())
    if isinstance(batch, tuple | list):
        return ", ".join(map(_described, batch))
    return type(batch).__name__


# ---- text ------------------------------------------------------------------------------------------------------------


def _tokenizer(source: Source) -> Any:
    if source.tokenizer is None:
        raise InputError(
            "a text needs a network with a tokenizer, as a folder of transformers has it", file=source.path
        )
    return source.tokenizer


def _of_text(source: Source, file: str, samples: int | None, seed: int) -> list[Any]:
    path = Path(file)
    if not path.is_file():
        forms = "a text file, a file of inputs, MODULE.py:FUNCTION, self, noise:SHAPE or none"
        raise InputError(f"there is no file of this name to calibrate with; it is {forms}", file=file)
    tokenizer = _tokenizer(source)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"this is no text in UTF-8: {error.reason}", file=file) from error
    if source.writes_text:
        return _blocks(tokenizer, text, samples or _SAMPLES["language"], file)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _encoded(tokenizer, _spread(lines, samples or _SAMPLES["text"]))


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """So many of them, evenly from all of the file, whose parts may differ."""
    if len(items) <= count:
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def _blocks(tokenizer: Any, text: str, samples: int, file: str) -> list[Any]:
    """Blocks of tokens as they follow each other."""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    if len(ids) < 2:
        raise InputError("the text is too short to calibrate with", file=file)
    length = min(_TOKENS, len(ids))
    blocks = [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)]
    chosen = torch.tensor(_spread(blocks, samples))
    return [{"input_ids": part, "attention_mask": torch.ones_like(part)} for part in chosen.split(_BATCH)]


def _encoded(tokenizer: Any, texts: Sequence[str]) -> list[Any]:
    """Texts of about the same length together, so that there is little padding."""
    longest = min(_LONGEST, getattr(tokenizer, "model_max_length", _LONGEST))
    ordered = sorted(texts, key=len)
    parts = [ordered[start : start + _BATCH] for start in range(0, len(ordered), _BATCH)]
    batches = [
        dict(tokenizer(p, padding=True, truncation=True, max_length=longest, return_tensors="pt")) for p in parts
    ]
    # Long and short ones in turn, so that those that are held out are of all kinds.
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(0)).tolist()
    return [batches[i] for i in order]


def _self_made(source: Source, samples: int | None, seed: int) -> list[Any]:
    tokenizer = _tokenizer(source)
    if source.writes_text:
        return _written(source, samples or _SAMPLES["language"], seed)
    generator = torch.Generator().manual_seed(seed)
    special = set(tokenizer.all_special_tokens)
    words = sorted(word for word in tokenizer.get_vocab() if word.isalpha() and word not in special)
    words = words or sorted(set(tokenizer.get_vocab()) - special)
    texts = []
    for _ in range(samples or _SAMPLES["text"]):
        length = int(torch.randint(4, 33, (), generator=generator))
        chosen = torch.randint(len(words), (length,), generator=generator).tolist()
        texts.append(" ".join(words[i] for i in chosen))
    return _encoded(tokenizer, texts)


def _written(source: Source, samples: int, seed: int) -> list[Any]:
    """Text that a language model writes, from a random first word on: as LLM-QAT (arXiv 2305.17888) has it."""
    model, tokenizer = source.network(), source.tokenizer
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    batches = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for start in range(0, samples, _BATCH):
            count = min(_BATCH, samples - start)
            first = torch.randint(len(tokenizer), (count, 1), generator=generator)
            if tokenizer.bos_token_id is not None:
                first = torch.cat([torch.full_like(first, tokenizer.bos_token_id), first], 1)
            ids = model.generate(  # type: ignore[operator]
                first.to(device),
                attention_mask=torch.ones_like(first).to(device),
                do_sample=True,
                top_k=0,
                temperature=1.0,
                # A sample does not end where a text does: what follows is another text.
                eos_token_id=None,
                pad_token_id=0,
                min_new_tokens=_TOKENS - first.shape[1],
                max_new_tokens=_TOKENS - first.shape[1],
            ).cpu()
            batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    return batches


# ---- others ----------------------------------------------------------------------------------------------------------


def _noise(what: str, samples: int, seed: int) -> list[Any]:
    shape = what.partition(":")[2]
    if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*", shape):
        raise InputError(f"{what!r} is no shape of noise; write noise:3x32x32, one example without the batch")
    sizes = [int(size) for size in shape.split("x")]
    if math.prod(sizes) * _BATCH > 1 << 30:
        raise InputError(f"noise of shape {shape} is too large for a batch")
    generator = torch.Generator().manual_seed(seed)
    count = max(1, samples // _BATCH)
    return [torch.randn(min(_BATCH, samples), *sizes, generator=generator) for _ in range(count)]


def _of_program(what: str, samples: int | None) -> list[Any]:
    file = what.rpartition(":")[0]
    made = called(function(what), file)
    if not isinstance(made, Iterable) or isinstance(made, str | Tensor | Mapping):
        raise InputError(f"{what} must return batches, one after the other, not {arguments.a(made)}", file=file)

    def taken() -> list[Any]:
        batches = []
        for batch in made:
            batches.append(batch)
            if samples is not None and len(batches) * _BATCH >= samples:
                break
        return batches

    batches: list[Any] = called(taken, file)
    return batches


def _of_file(what: str, samples: int) -> list[Any]:
    with located(file=what):
        tensors = _tensors_of(what)
        lengths = {len(tensor) if tensor.dim() else 0 for tensor in tensors.values()}
        if len(lengths) != 1 or not (count := lengths.pop()):
            shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
            raise InputError(f"inputs must have as many rows as there are examples, these have the shapes {shapes}")
    rows = [slice(start, start + _BATCH) for start in range(0, min(count, samples), _BATCH)]
    if len(tensors) == 1:
        (only,) = tensors.values()
        return [only[part] for part in rows]
    return [{name: tensor[part] for name, tensor in tensors.items()} for part in rows]


def _tensors_of(what: str) -> dict[str, torch.Tensor]:
    """Of a file of inputs. A file of torch may hold a tensor alone."""
    if what.lower().endswith((".pt", ".pth")):
        with contextlib.suppress(pickle.UnpicklingError, RuntimeError, EOFError, OSError):
            loaded = torch.load(what, map_location="cpu", weights_only=True)
            if isinstance(loaded, torch.Tensor):
                return {"0": loaded}
    opened = checkpoints.open(what)
    return {name: to_tensor(opened.elements(name)) for name in opened.tensors}
