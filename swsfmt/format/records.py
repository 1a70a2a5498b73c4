"""The records of the index: one class that is read, one that is written (spec section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ..tensor import Loadable, TensorInfo
from .codebook import Codebook
from .cursor import Cursor
from .resources import Resources
from .sections import Span

MAX_INLINE = 255
"""Payloads of at most so many bytes lie in the index."""

MAX_DEPTH = 4
"""Parts lie in parts of parts of parts at most."""


class IndexCoding(Protocol):
    """What the index has to know of a coding: `swsfmt.codings.base.Coding` is one.

    id : int, in the registry
    is_known : False for one that only says that it is not known
    is_reference : whether its record is another tensor's and has no dtype and shape of its own
    is_composite : whether its records hold others, which have the payloads
    """

    @property
    def id(self) -> int: ...

    @property
    def is_known(self) -> bool: ...

    @property
    def is_reference(self) -> bool: ...

    @property
    def is_composite(self) -> bool: ...

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> Any:
        """The parameters of a record."""

    def write(self, params: Any, resources: Resources) -> bytes:
        """The inverse of `parse`."""

    def payload_length(self, params: Any, tensor: TensorInfo) -> int | None:
        """Size of the payload in bytes; None where the record holds it."""

    def parts(self, params: Any) -> Sequence[Any]:
        """The records that a record holds, as they are read, or as they are to be written."""


C = TypeVar("C", bound=IndexCoding)


@dataclass(eq=False, slots=True)
class Record(Generic[C]):
    """One tensor of the index, or a part of one.

    name : str, of the tensor
    coding : of its elements
    info : TensorInfo or None (None for a reference, and for a dtype that only a later version knows)
    params : the coding's parameters; None for a reference and for an unknown coding
    payload_length : int, in bytes
    offset : int, of the payload in the file
    crc : int or None (None where the payload lies in the index or is empty)
    inline : bytes or None, the payload where it lies in the index
    target : int or None, the number of the record that a reference stands for
    params_length : int, of the parameters in the index, in bytes
    is_known : bool, whether its coding is known, and those of its parts
    """

    name: str
    coding: C
    info: TensorInfo | None
    params: Any
    payload_length: int = 0
    offset: int = 0
    crc: int | None = None
    inline: bytes | None = None
    target: int | None = None
    params_length: int = 0
    is_known: bool = True

    @property
    def parts(self) -> Sequence[Record[C]]:
        """The records that it holds."""
        return self.coding.parts(self.params) if self.coding.is_composite else ()

    @property
    def length_behind(self) -> int:
        """Of its payload that does not lie in the index, in bytes."""
        return self.payload_length if self.inline is None else 0


@dataclass(frozen=True, eq=False)
class Layout(Generic[C]):
    """All that the prefix says. spans : where the bits of the prefix go, if that was asked for."""

    version: tuple[int, int]
    metadata: dict[str, str]
    codebooks: list[Codebook]
    records: list[Record[C]]
    prefix_length: int
    file_length: int
    spans: list[Span]


@dataclass(frozen=True)
class Summary:
    """What the index says of a payload above `MAX_INLINE`: its length in bytes and its CRC-32."""

    length: int
    crc: int


@dataclass(eq=False, slots=True)
class Draft(Generic[C]):
    """A record to be written: what `Record` has, with its payload, or the summary of one that is kept elsewhere.

    tensor : what has that payload; None where it is here
    """

    name: str
    coding: C
    info: TensorInfo | None
    params: Any
    payload: bytes | Summary = b""
    target: int | None = None
    tensor: Loadable | None = None

    @property
    def payload_length(self) -> int:
        """In bytes; without those of its parts."""
        return self.payload.length if isinstance(self.payload, Summary) else len(self.payload)

    def records(self) -> int:
        """How many there are of it and of its parts."""
        if not self.coding.is_composite:
            return 1
        parts: Sequence[Draft[C]] = self.coding.parts(self.params)
        return 1 + sum(part.records() for part in parts)

    def leaves(self) -> Iterator[Draft[C]]:
        """Itself, or the parts of its parts that have no parts, in order."""
        if not self.coding.is_composite:
            yield self
            return
        for part in self.coding.parts(self.params):
            yield from part.leaves()
