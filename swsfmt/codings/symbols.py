"""Codings whose parameters name a codebook, and nothing but a codebook gives their elements."""

from __future__ import annotations

from dataclasses import Field, replace
from typing import Any, ClassVar, Protocol, TypeVar

from ..format.codebook import Codebook
from .base import Coding


class WithCodebook(Protocol):
    """A dataclass of parameters."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def codebook(self) -> Codebook: ...


P = TypeVar("P", bound=WithCodebook)


class SymbolCoding(Coding[P]):
    """Every element is a symbol of one codebook."""

    has_symbols = True

    def codebook(self, params: P) -> Codebook:
        return params.codebook

    def with_codebook(self, params: P, codebook: Codebook) -> P:
        return replace(params, codebook=codebook)
