"""Where in a checkpoint of nested dicts the tensors are: the entry that a key names, and the keys that would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import arguments
from ..errors import InputError

RESAVE = "save the tensors alone: torch.save(model.state_dict(), 'weights.pt')"
_SEPARATORS = "./"
# Deeper ones are not looked for: a file may nest without end.
_DEPTH = 8
_MOST_LISTED = 8

IsTensor = Callable[[Any], bool]


@dataclass(frozen=True)
class Candidate:
    """An entry in which there are names and tensors.

    key : what names it
    count : its tensors, without those further down
    numbered : whether it is one of many under numbers, as the state that an optimizer keeps for each parameter
    """

    key: str
    count: int
    numbered: bool


def select(loaded: Any, key: str | None, is_tensor: IsTensor) -> Mapping[str, Any]:
    """The names and tensors in what was loaded.

    key : an entry, or a way down: "state.model" or "state/model". An entry that has this very name comes first.
    Raises `InputError`, which names the keys that would do.
    """
    what = "it"
    if key is not None:
        entry = _descend(loaded, key)
        if entry is None:
            there = f"; there are {arguments.listed(loaded)}" if isinstance(loaded, Mapping) and loaded else ""
            raise InputError(f"there is no entry {key!r} in it{there}{_advice(candidates(loaded, is_tensor))}")
        loaded, what = entry[0], f"its entry {key!r}"
    inside = [] if _is_state(loaded, is_tensor) else candidates(loaded, is_tensor, key)
    if isinstance(loaded, Mapping) and loaded.keys() >= {"state", "param_groups"}:
        others = [candidate for candidate in inside if not candidate.numbered]
        raise InputError(f"{what} is the state of an optimizer, not of a model{_advice(others) or f'; {RESAVE}'}")
    if inside and not (_count(loaded, is_tensor) and inside[0].numbered):
        top = "its top" if key is None else f"the top of {what}"
        entries = arguments.listed(candidate.key for candidate in inside)
        raise InputError(f"the tensors are not at {top} but in the entry {entries}{_advice(inside)}")
    if not isinstance(loaded, Mapping):
        raise InputError(f"{what} is {arguments.a(loaded)}, not a state_dict (names and tensors); {RESAVE}")
    for name, value in loaded.items():
        if not isinstance(name, str):
            raise InputError(f"{what} has a key that is not a string: {arguments.brief(name)}")
        if not is_tensor(value):
            raise InputError(f"the entry {arguments.brief(name)} is {arguments.no_tensor(value, name, RESAVE)}")
    return loaded


def candidates(loaded: Any, is_tensor: IsTensor, key: str | None = None) -> list[Candidate]:
    """All entries below `loaded` that hold tensors, in the order of the file; numbered ones only where no others are.

    key : of `loaded` itself
    """
    every = list(_walk(loaded, key, is_tensor, _DEPTH, {id(loaded)}, numbered=False))
    return [candidate for candidate in every if not candidate.numbered] or every


def _walk(
    value: Any, key: str | None, is_tensor: IsTensor, depth: int, seen: set[int], *, numbered: bool
) -> Iterator[Candidate]:
    """seen : objects that have been looked into; in a pickle one may lie in itself, or in many others."""
    for name, inner in _entries(value):
        if id(inner) in seen or arguments.is_extra_state(name) or not _entries(inner):
            continue
        seen.add(id(inner))
        path = str(name) if key is None else f"{key}.{name}"
        is_numbered = numbered or not isinstance(name, str)
        count = _count(inner, is_tensor)
        if count:
            yield Candidate(path, count, is_numbered)
        if depth > 1:
            yield from _walk(inner, path, is_tensor, depth - 1, seen, numbered=is_numbered)


def _entries(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def _count(value: Any, is_tensor: IsTensor) -> int:
    """How many tensors there are under names."""
    if not isinstance(value, Mapping):
        return 0
    return sum(isinstance(name, str) and is_tensor(inner) for name, inner in value.items())


def _is_state(value: Any, is_tensor: IsTensor) -> bool:
    """Whether there are names and tensors and nothing else."""
    return isinstance(value, Mapping) and _count(value, is_tensor) == len(value)


def _descend(value: Any, key: str) -> tuple[Any] | None:
    """The entry of that key, in a tuple, as it may be None; None where there is none."""
    # Of a name and a number that look alike the name counts.
    entries = {str(name): inner for name, inner in sorted(_entries(value), key=lambda entry: isinstance(entry[0], str))}
    if key in entries:
        return (entries[key],)
    for place, character in enumerate(key):
        if character in _SEPARATORS and key[:place] in entries:
            below = _descend(entries[key[:place]], key[place + 1 :])
            if below is not None:
                return below
    return None


def _advice(choices: list[Candidate]) -> str:
    """Those with most tensors first: they are the likeliest."""
    if not choices:
        return ""
    likely = sorted(choices, key=lambda candidate: -candidate.count)
    shown = [f"key={c.key!r} ({c.count:,} tensor{'s' * (c.count != 1)})" for c in likely[:_MOST_LISTED]]
    others = ", or one of others" if len(likely) > _MOST_LISTED else ""
    options = " or ".join(f"--key {_plain(c.key)}" for c in likely[:_MOST_LISTED])
    return f"; choose with {' or '.join(shown)}{others} (sws: {options})"


def _plain(key: str) -> str:
    return key if key and not any(c in " '\"\\$&|;<>()*?" for c in key) else repr(key)
