"""What stands for codings of later versions: their tensors are listed, and cannot be decoded (spec 9)."""

from __future__ import annotations

from ..errors import UnknownCodingError
from .base import Placeholder


class UnknownCoding(Placeholder):
    """A coding of which nothing is known but its id."""

    is_known = False

    def __init__(self, number: int) -> None:
        self.id = number
        self.name = f"unknown ({number})"

    def error(self) -> UnknownCodingError:
        return UnknownCodingError(f"coding {self.id} is not known to this version; upgrade swsfmt")
