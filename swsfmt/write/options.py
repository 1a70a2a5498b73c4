"""What a caller may fix about the encoding: each option once, for the library's keyword arguments and the command's.

`EncodingOptions` is the definition: its keys are the keyword arguments of every save function (PEP 692), `Options`
checks them and fills in the defaults, and the command makes its options of `SETTINGS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Self,
    TypedDict,
    Unpack,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from .. import arguments
from ..codings.base import MAX_PBITS, Freedom, Profile, Scan
from ..errors import InputError


class Default(NamedTuple):
    """What stands beside the type of an option: its value where none is given, and a line for people."""

    value: Any
    help: str


class EncodingOptions(TypedDict, total=False):
    """Keyword arguments of every save function. Everything left open is chosen by size.

    pbits : width of the relative column indices in bits, 1 to 12, for every sparse tensor
    pbits_fc, pbits_conv : the same for tensors of rank up to 2, and of rank 3 and more; they go before `pbits`
    huffman : False: gaps and values are fields of fixed width
    scan : the direction in which sparse tensors are read
    profile : "fast" takes codebooks, sparse rows and Huffman codes; "default" static codes for classes of rows and
        columns too, where they are smaller, which take longer to find; "small" the adaptive coding too, which decodes
        some ten times slower. In a mapping, tensors that are not named are "default"
    contexts : of the adaptive coding: light is faster; auto takes it for tensors of 4 million elements and more
    compact : whether dead rows and columns may leave the matrix
    positive_zeros : store 0.0 for each -0.0. `weights * mask` makes half of all zeros negative, and a file up to three
        times as large. Levels and scales that are given apart stay as they are
    """

    pbits: Annotated[int | None, Default(None, "Width of relative column indices.  [default: the cheapest]")]
    pbits_fc: Annotated[int | None, Default(None, "The same for tensors of rank 2 or less.")]
    pbits_conv: Annotated[int | None, Default(None, "The same for tensors of rank 3 or more.")]
    huffman: Annotated[bool, Default(True, "Huffman codes, or fields of fixed width.")]
    scan: Annotated[Literal["auto", "rows", "columns"], Default("auto", "How tensors are read.")]
    profile: Annotated[
        Profile | Mapping[str, Profile],
        Default(
            "default",
            "fast: Huffman codes; encodes quickest, and decodes anywhere. "
            "default: also codes for classes of rows and columns, some 3 % smaller; about twice the time to encode, "
            "and to decode about the same, a few times as long without AVX2 or NEON. "
            "small: also adaptive codes, the smallest; decodes some ten times slower.",
        ),
    ]
    contexts: Annotated[Literal["auto", "full", "light"], Default("auto", "Of the adaptive coding: light is faster.")]
    compact: Annotated[Literal["auto", "off"], Default("auto", "Leave out dead rows and columns.")]
    positive_zeros: Annotated[bool, Default(False, "Store 0.0 for each -0.0.")]


@dataclass(frozen=True)
class Setting:
    """An option as a program sees it.

    choices : the strings that it may be; empty where it is a width in bits or a flag
    by_name : whether it may map tensor names to values too
    """

    default: Any
    help: str
    choices: tuple[str, ...]
    by_name: bool

    @classmethod
    def of(cls, hint: Any) -> Setting:
        """From a type hint of `EncodingOptions`."""
        kind, default = get_args(hint)
        parts = [kind, *get_args(kind)]
        choices = next((get_args(part) for part in parts if get_origin(part) is Literal), ())
        return cls(default.value, default.help, choices, any(get_origin(part) is Mapping for part in parts))

    @property
    def is_flag(self) -> bool:
        return isinstance(self.default, bool)

    @property
    def widths(self) -> range:
        """The whole numbers that it may be, where it is neither a flag nor a choice."""
        return range(0) if self.is_flag or self.choices else range(1, MAX_PBITS + 1)


SETTINGS = {name: Setting.of(hint) for name, hint in get_type_hints(EncodingOptions, include_extras=True).items()}
"""The options by name, in the order in which `sws encode --help` shows them."""


class Options:
    """The options of one file, checked and complete. Raises `InputError` for values that are not allowed."""

    # For `help` and `inspect.signature`, which see no keys of a TypedDict.
    __signature__ = Signature(
        [Parameter(name, Parameter.KEYWORD_ONLY, default=setting.default) for name, setting in SETTINGS.items()]
    )

    def __init__(self, **given: Unpack[EncodingOptions]) -> None:
        for name in given:
            if name not in SETTINGS:
                raise arguments.unknown_option("Options", name, SETTINGS)
        values = {name: _checked(name, setting, given.get(name, setting.default)) for name, setting in SETTINGS.items()}
        self._values = cast(EncodingOptions, values)
        self._freedoms = {convolution: self._freedom(convolution) for convolution in (False, True)}

    @property
    def positive_zeros(self) -> bool:
        return self._values["positive_zeros"]

    @classmethod
    def of(cls, function: str, given: EncodingOptions) -> Self:
        """Those that were given to a function, whose name is told to who has mistyped one."""
        for name in given:
            if name not in SETTINGS:
                raise arguments.unknown_option(function, name, SETTINGS)
        return cls(**given)

    def check_names(self, tensors: Iterable[str]) -> None:
        """Raise `InputError` where an option has something to say of a tensor that is not among these."""
        for name, value in self._values.items():
            if isinstance(value, Mapping):
                arguments.names_of_tensors(value, tensors, name)

    def profile(self, name: str, others: Iterable[str] = ()) -> str:
        """Under which codings of the registry may be chosen for the tensor of that name.

        others : names of tensors that are tied to it; the first one that the option names counts
        """
        profile = self._values["profile"]
        if isinstance(profile, str):
            return profile
        return next((profile[own] for own in (name, *others) if own in profile), SETTINGS["profile"].default)

    def freedom(self, rank: int) -> Freedom:
        """What is left open for a tensor of that rank."""
        return self._freedoms[rank >= 3]

    def _freedom(self, convolution: bool) -> Freedom:
        values = self._values
        own = values["pbits_conv"] if convolution else values["pbits_fc"]
        return Freedom(
            pbits=own if own is not None else values["pbits"],
            scan=None if values["scan"] == "auto" else Scan[values["scan"].upper()],
            compact=values["compact"] == "auto",
            huffman=values["huffman"],
            light=None if values["contexts"] == "auto" else values["contexts"] == "light",
        )


def _checked(name: str, setting: Setting, value: Any) -> Any:
    if setting.choices:
        for single in value.values() if setting.by_name and isinstance(value, Mapping) else [value]:
            if not isinstance(single, str) or single not in setting.choices:
                *others, last = (repr(choice) for choice in setting.choices)
                raise InputError(f"{name} is {arguments.brief(single)}, it must be {', '.join(others)} or {last}")
        return value
    if setting.is_flag:
        return arguments.flag(value, name)
    if value is None:
        return None
    return arguments.whole_number(value, name, setting.widths[0], setting.widths[-1])
