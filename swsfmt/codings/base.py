"""What a coding is: one object that reads, writes, proposes itself and says what it is.

Nobody outside asks which coding it has at hand. To add one: a module (or package) here with a subclass of `Coding`, its
line in `swsfmt/codings/__init__.py`, and the specification, registry, vectors and second reader in spec/.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from ..dtypes import Bits
from ..entropy import escape
from ..entropy.arrays import Symbols as Symbols
from ..entropy.rans import Classes
from ..errors import PayloadError, UnknownCodingError
from ..format.codebook import MAX_VALUES, Codebook
from ..format.cursor import Cursor
from ..format.records import Summary
from ..format.resources import Resources
from ..format.sections import Span
from ..tensor import Elements, Loadable, TensorInfo
from .clustering import find_classes
from .sampling import Sampled

Payload: TypeAlias = bytes | memoryview

P = TypeVar("P")

Profile: TypeAlias = Literal["fast", "default", "small"]
"""What a caller may ask for: each one takes the codings of those before it, and more, where they are smaller.

fast : codebooks, sparse rows, canonical Huffman codes: quick to encode, and to decode with little memory
default : what takes about as long to decode, where vectors are, and a few times as long without them
small : what is slow to decode as well
"""


MAX_PBITS = 12
"""The greatest width of relative indices, in bits."""


class Scan(IntEnum):
    """The direction in which a matrix is read."""

    ROWS = 0
    COLUMNS = 1


class Decoded(NamedTuple):
    """bits : elements as unsigned integers, flat. spans : where the payload's bits go, from its bit 0 on.
    gap_symbols : symbols in the gap stream, skips included; None if there is none.
    parts : what the parts of the record were decoded to, which have the spans; their elements need not be there.
    """

    bits: Bits
    spans: list[Span]
    gap_symbols: int | None = None
    parts: Sequence[Decoded] = ()


def zeros(tensor: TensorInfo, out: Bits | None) -> Bits:
    """Elements that are all zero, flat: in `out` if there is one, else in new memory."""
    if out is None:
        return np.zeros(tensor.numel, tensor.dtype.bits)
    out.fill(0)
    return out


def check_marks(marks: int, values: int) -> None:
    """Raise `PayloadError` where values that stand apart are not as many as the places for them."""
    if marks != values:
        raise PayloadError(f"there are {marks} marks for {values} values")


class Description(NamedTuple):
    """What a report says of a record's parameters. pbits : width of relative indices. scan : "rows" or "columns"."""

    pbits: int | None = None
    scan: str | None = None


@dataclass(frozen=True)
class Freedom:
    """What the caller leaves open for a tensor. None or True: choose by cost.

    pbits : width of relative indices, in bits
    scan : direction in which it is read
    compact : whether dead rows and columns may leave the matrix
    huffman : whether there may be codes of variable length
    light : whether the adaptive coding has the smaller set of contexts
    """

    pbits: int | None = None
    scan: Scan | None = None
    compact: bool = True
    huffman: bool = True
    light: bool | None = None


@dataclass(frozen=True, eq=False)
class SymbolMatrix:
    """A tensor as symbols of a codebook.

    number : of the codebook in the file
    symbols : uint16, shape (dimension 0, all others); 0 is zero
    counts : how often each symbol occurs, int64 of shape (count of the codebook + 1,)
    """

    info: TensorInfo
    number: int
    codebook: Codebook
    symbols: Symbols
    counts: npt.NDArray[np.int64]
    _classes: list[Classes] = field(default_factory=list, init=False, repr=False)

    def classes(self, threads: int = 1) -> Classes:
        """Classes of its rows and columns, looked for once: several codings ask for them."""
        if not self._classes:
            self._classes.append(find_classes(self.symbols, self.magnitudes, threads))
        return self._classes[0]

    @property
    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Of each symbol: zero, then the number of each value among those of its sign, from 1 on."""
        second = int(np.count_nonzero(self.codebook.values >> (8 * self.codebook.dtype.itemsize - 1)))
        first = self.codebook.count - second
        return np.concatenate([np.arange(first + 1), np.arange(1, second + 1)])


class Proposal(NamedTuple):
    """How a tensor could be stored.

    bits : size of parameters and payload
    payload : where it is there already
    unshared : of a coding that leaves nothing for later tensors to share, such as code tables, what this may cost them,
        in bits, about; it is part of `bits` where the coding is weighed against others with that
    """

    coding: Coding[Any]
    params: Any
    bits: int
    payload: bytes | Summary | None = None
    unshared: int | None = None


class Made(NamedTuple):
    """What a coding has to know to propose itself where nothing but the payload tells its size.

    bits : size of parameters and payload
    """

    params: Any
    payload: bytes | Summary
    bits: int


class Split(NamedTuple):
    """How a tensor could be stored as parts, which are tensors of their own.

    bits : what they will take, about
    """

    coding: Coding[Any]
    params: Any
    bits: int


class Coding(Protocol[P]):
    """A coding of the registry, with parameters of type P. It has no state; it can be pickled.

    id : int, in spec/registry.md
    name : str, in spec/registry.md
    profiles : those under which a writer may choose it
    is_known : False for one that stands for ids that this version does not know
    is_reference : whether its records stand for another tensor (`alias`), and are neither parsed nor decoded
    is_composite : whether its records hold others: it is a `swsfmt.codings.composite.Composite`
    has_symbols : whether elements are symbols of a codebook
    """

    id: int
    name: str
    profiles: frozenset[str] = frozenset(get_args(Profile))
    is_known: bool = True
    is_reference: bool = False
    is_composite: bool = False
    has_symbols: bool = False

    @property
    def is_fast(self) -> bool:
        """Whether it decodes quickly enough for the profile "default"."""
        return "default" in self.profiles

    # ---- reading -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> P:
        """Index bytes -> parameters, every rule checked that needs no payload; new tables and bitmaps are numbered.

        Raises `IndexRuleError`, `LimitError`.
        """
        ...

    def payload_length(self, params: P, tensor: TensorInfo) -> int | None:
        """Size of the payload in bytes where the parameters say it; None where the record holds it."""
        return None

    @abstractmethod
    def decode(
        self, params: P, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        """Decode and check a payload, to `out` if there is one and the coding has a use for it.

        Raises `PayloadError`.
        """
        ...

    def place(
        self,
        params: P,
        tensor: TensorInfo,
        payload: Payload,
        values: Bits,
        threads: int = 1,
        out: Bits | None = None,
    ) -> Decoded:
        """Decode a BOOL tensor to other elements: the next of `values` for each one, zero for each zero.

        out : where they go, of the dtype of `values`; None for new memory
        Raises `PayloadError`, also where there are not as many ones as values.
        """
        decoded = self.decode(params, tensor, payload, threads)
        bits = np.empty(tensor.numel, values.dtype) if out is None else out
        check_marks(escape.spread(decoded.bits, values, bits, threads), len(values))
        return decoded._replace(bits=bits)

    def check(self, params: P, tensor: TensorInfo, payload: Payload, threads: int = 1) -> None:
        """Refuse a payload that `decode` refuses, where `decode_rows` would not see it. Here it sees all.

        Called before rows of a payload are decoded for the first time: what is no tensor has no rows (spec section 7).
        Raises `PayloadError`.
        """
        return None

    def decode_rows(self, params: P, tensor: TensorInfo, payload: Payload, first: int, last: int) -> Bits:
        """Elements first to last - 1 in C order, from the chunks that hold them; here from the whole payload.

        payload : that `check` has looked at.
        Raises `PayloadError` for what is wrong in what it reads.
        """
        bits = self.decode(params, tensor, payload).bits
        unit = max(1, len(bits) // max(1, tensor.numel))
        part: Bits = bits[first * unit : last * unit]
        return part

    def has_rows(self, params: P) -> bool:
        """Whether `decode_rows` reads only what holds the elements, so that a tensor is cheap to decode in parts."""
        return False

    def parts(self, params: P) -> Sequence[Any]:
        """The records that a record holds; or their drafts, where it is to be written."""
        return ()

    def describe(self, params: P) -> Description:
        """For reports."""
        return Description()

    def codebook(self, params: P) -> Codebook | None:
        """The codebook of a record; None for a coding that has none."""
        return None

    def with_codebook(self, params: P, codebook: Codebook) -> P:
        """The same parameters with another codebook, where there is one."""
        return params

    # ---- writing -----------------------------------------------------------------------------------------------------

    def propose_plain(self, elements: Elements, own: Codebook | None) -> Proposal | None:
        """How the coding would store elements without a codebook; None where it cannot.

        own : the codebook that would hold them, without values for zeros alone; None where they are too many
        Runs anywhere, for one tensor alone: it may bring tables of its own, and cannot refer to those of others.
        """
        return None

    def propose_split(self, elements: Sampled) -> Split | None:
        """How the coding would take a tensor apart; None where it cannot, or where that cannot pay. Runs anywhere."""
        return None

    def survey(self, matrix: SymbolMatrix, freedom: Freedom, threads: int = 1) -> Any:
        """What the coding has to know to propose itself, if it has a codebook; None where it cannot pay.

        Runs anywhere, for one tensor alone: all costly work belongs here. The result can be pickled.
        """
        return None

    def propose(
        self, survey: Any, tensor: TensorInfo, number: int, resources: Resources, freedom: Freedom
    ) -> Proposal | None:
        """How the coding would store a tensor, after what its `survey` gave, with codebook `number`.

        resources : codebooks of the file; tables and bitmaps of the tensors before
        Runs tensor by tensor in the order of the file.
        """
        return None

    def most_values(self, tensor: TensorInfo) -> int:
        """How many values a codebook may have, for the coding to store such a tensor with it."""
        return MAX_VALUES

    def number_resources(self, params: P, resources: Resources) -> None:
        """Give the new tables and bitmaps of a record their numbers."""
        return None

    @abstractmethod
    def encode(self, params: P, tensor: Loadable, threads: int = 1) -> tuple[P, bytes | Summary]:
        """The payload, and the parameters with what was left open until now. Runs anywhere, for one tensor alone."""
        ...

    def pieces(self, params: P, tensor: Loadable) -> Iterator[memoryview]:
        """A payload of which `encode` gave the summary, piece by piece, each in memory that nobody writes to.

        Where the tensor has changed since it is another one, which the writer finds out.
        """
        payload = self.encode(params, tensor)[1]
        assert isinstance(payload, bytes)
        yield memoryview(payload)

    @abstractmethod
    def write(self, params: P, resources: Resources) -> bytes:
        """Parameters -> index bytes: the inverse of `parse`. New bitmaps are numbered."""
        ...


class Placeholder(Coding[None]):
    """A coding whose records hold no tensor that could be parsed, decoded or chosen. Its methods raise."""

    profiles = frozenset()

    def parse(self, cursor: Cursor, tensor: TensorInfo, resources: Resources) -> None:
        raise self.error()

    def decode(
        self, params: None, tensor: TensorInfo, payload: Payload, threads: int = 1, out: Bits | None = None
    ) -> Decoded:
        raise self.error()

    def encode(self, params: None, tensor: Loadable, threads: int = 1) -> tuple[None, bytes]:
        raise self.error()

    def write(self, params: None, resources: Resources) -> bytes:
        raise self.error()

    def error(self) -> UnknownCodingError:
        """For a tensor that is asked for."""
        return UnknownCodingError(f"coding {self.id} ({self.name}) stores no tensor")
