"""The codings that this version knows, by their ids in spec/registry.md. Each module registers its own."""

from __future__ import annotations

from typing import Any

from .base import Coding
from .unknown import UnknownCoding

_BY_ID: dict[int, Coding[Any]] = {}


def register(coding: Coding[Any]) -> None:
    """Make a coding known to readers and writers. Raises `ValueError` where its id is taken.

    Id 14 is for private use: it is never in files that are passed on.
    """
    if coding.id in _BY_ID:
        raise ValueError(f"coding {coding.id} is {_BY_ID[coding.id].name!r} already")
    _BY_ID[coding.id] = coding


def unregister(number: int) -> None:
    """Forget the coding of that id."""
    del _BY_ID[number]


def coding_of(number: int) -> Coding[Any]:
    """The coding of an id; one that is not known where none is registered."""
    return _BY_ID.get(number) or UnknownCoding(number)


def codings_of(profile: str) -> list[Coding[Any]]:
    """Those that a writer may choose under that profile, in the order of their ids."""
    return [_BY_ID[number] for number in sorted(_BY_ID) if profile in _BY_ID[number].profiles]
