"""Choose a coding for each tensor by its size, and make the file, piece by piece.

A tensor is read when `examine`, `survey` or `write` needs it, and forgotten; the payloads that are smaller than their
tensors are kept until the file is written, the others are read once more.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from .. import arguments
from ..codings import Coding, codings_of
from ..codings.alias import ALIAS
from ..codings.composite import Latest, Structured
from ..errors import ChangedError, InputError, located, warn
from ..format import index
from ..format.checksum import crc32
from ..format.records import MAX_INLINE, Draft, Summary
from ..limits import DEFAULT_LIMITS
from ..tensor import Loadable, Tied
from . import examine
from .atomic import write_to
from .choose import choose
from .executors import Workers
from .options import EncodingOptions, Options
from .positive_zeros import PositiveZeros
from .spool import Spool, Spooled
from .unit import Unit, examine_all

if TYPE_CHECKING:
    from concurrent.futures import Executor

DEFAULT_OPTIONS = Options()

Step = Callable[[int, int], None]
"""Takes how much is done, and how much there is."""


class EncodedFile:
    """A file that is ready to be written.

    prefix : all but the payloads
    negative_zeros : how many elements are -0.0, by the name of the tensor; for tensors of few values
    records : of the index, parts included
    size : of the whole file, in bytes
    """

    def __init__(
        self,
        prefix: bytes,
        drafts: list[Draft[Coding[Any]]],
        tensors: Mapping[str, Loadable | Tied],
        negative_zeros: dict[str, int],
    ) -> None:
        self.prefix = prefix
        self.records = sum(draft.records() for draft in drafts)
        self.negative_zeros = negative_zeros
        leaves = (leaf for draft in drafts for leaf in draft.leaves())
        self._drafts = deque(leaf for leaf in leaves if leaf.payload_length > MAX_INLINE)
        self._tensors = tensors
        self.size = len(prefix) + sum(draft.payload_length for draft in self._drafts)

    def needed_limits(self) -> dict[str, int]:
        """The fields of `Limits` that a reader of this file must raise, and to what; empty where the defaults do.

        What is not here is kept within the defaults by every writer (spec section 8).
        """
        own = [tensor for tensor in self._tensors.values() if not isinstance(tensor, Tied)]
        needed = {"max_tensors": self.records, "max_decoded_bytes": sum(tensor.info.nbytes for tensor in own)}
        return {name: value for name, value in needed.items() if value > getattr(DEFAULT_LIMITS, name)}

    def warn(self) -> None:
        """Say it where a reader of this file must raise its limits."""
        needed = self.needed_limits()
        if needed:
            settings = [f"{name}={value}" for name, value in needed.items()]
            text = "the file is larger than readers accept at once by default; to load all of it they need"
            options = " ".join(f"--limit {setting}" for setting in settings)
            warn(f"{text} limits=swsfmt.Limits({', '.join(settings)}) (sws: {options})")

    def pieces(self) -> Iterator[bytes | memoryview]:
        """All of it, in order, once: each payload is forgotten when it has been handed out.

        Raises `ChangedError` where a tensor is not what it was when the index was made.
        """
        yield self.prefix
        while self._drafts:
            draft = self._drafts.popleft()
            if isinstance(draft.payload, Spooled):
                yield from draft.payload.pieces()
                continue
            if not isinstance(draft.payload, Summary):
                yield draft.payload
                continue
            assert draft.tensor is not None
            crc = 0
            with located(tensor=draft.name):
                for piece in draft.coding.pieces(draft.params, draft.tensor):
                    crc = crc32(piece, crc)
                    yield piece
                if crc != draft.payload.crc:
                    raise ChangedError


def encode(
    tensors: Mapping[str, Loadable | Tied],
    metadata: Mapping[str, str] | None = None,
    options: Options = DEFAULT_OPTIONS,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
) -> bytes:
    """The whole file as bytes; see `encode_file`. Warns, in the name of its caller's caller, as `EncodedFile.warn`."""
    encoded = encode_file(tensors, metadata, options, threads=threads, executor=executor)
    encoded.warn()
    return b"".join(encoded.pieces())


def write_file(
    elements: Callable[[], Mapping[str, Loadable | Tied]],
    filename: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, str] | None,
    options: EncodingOptions,
    *,
    threads: int | None,
    executor: Executor | None,
) -> None:
    """`save_file` of all interfaces. elements : makes them of the tensors, when the other arguments have been seen."""
    if not hasattr(filename, "write"):
        arguments.path(filename)
    fixed = Options.of("save_file", options)
    encoded = encode_file(elements(), metadata, fixed, threads=threads, executor=executor)
    encoded.warn()
    write_to(filename, encoded.pieces())


def encode_file(
    tensors: Mapping[str, Loadable | Tied],
    metadata: Mapping[str, str] | None = None,
    options: Options = DEFAULT_OPTIONS,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    step: Step | None = None,
    spool: BinaryIO | None = None,
) -> EncodedFile:
    """Encode all tensors. Equal input gives equal bytes, wherever and in how many threads it is done.

    threads : None for as many as there are processors; with an executor, those of each task, None for one.
    executor : anything that works as those of `concurrent.futures` do; it is sent tensors, and functions by name.
    step : is told after each tensor of each stage how many bytes are done, and how many there are in all.
    spool : a file, open to be written and read, that keeps payloads until they are asked for; None keeps them here.
    Raises `InputError` for metadata or names that cannot be stored, and what the tensors raise when they are read.
    """
    metadata = _checked(metadata, tensors)
    options.check_names(tensors)
    if options.positive_zeros:
        tensors = {name: t if isinstance(t, Tied | Structured) else PositiveZeros(t) for name, t in tensors.items()}
    own = {name: tensor for name, tensor in tensors.items() if not isinstance(tensor, Tied)}
    progress = _Progress(own, step)
    tied: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, Tied):
            tied.setdefault(tensor.to, []).append(name)
    profiles = {name: options.profile(name, tied.get(name, ())) for name in own}
    codings = {profile: codings_of(profile) for profile in set(profiles.values())}
    units = {
        name: Unit(name, tensor, codings[profiles[name]], options.freedom(len(tensor.info.shape)))
        for name, tensor in own.items()
    }
    latest, waiting = Latest(), Spool(spool)
    with Workers([tensor.info.nbytes for tensor in own.values()], threads, executor) as workers:
        for unit in examine_all(units.values(), options, workers, latest, waiting):
            progress.after(unit.name)
        latest.close()
        codebooks = choose(
            list(units.values()), workers, waiting, lambda unit: progress.after(unit.name), progress.repeat
        )
        drafts = _write(tensors, units, workers, progress, waiting)
    counts = {name: sum(leaf.examination.negative_zeros for leaf in unit.leaves()) for name, unit in units.items()}
    negative_zeros = {name: count for name, count in counts.items() if count}
    return EncodedFile(index.build(metadata, codebooks, drafts), drafts, tensors, negative_zeros)


class _Progress:
    """Counts the bytes of the tensors of each stage."""

    def __init__(self, tensors: Mapping[str, Loadable], step: Step | None) -> None:
        self._step = step
        self._sizes: dict[str, int] = {}
        if step is not None:
            self._sizes = {name: max(1, tensor.info.nbytes) for name, tensor in tensors.items()}
        self._done = 0
        self._total = 3 * sum(self._sizes.values())

    def after(self, name: str) -> None:
        if self._step is not None:
            self._done += self._sizes[name]
            self._step(self._done, self._total)

    def repeat(self) -> None:
        """A stage has to be done again."""
        self._total += sum(self._sizes.values())


def _checked(metadata: Mapping[str, str] | None, tensors: Mapping[str, Loadable | Tied]) -> dict[str, str]:
    pairs = {} if metadata is None else dict(arguments.mapping(metadata, "metadata", "strings to strings"))
    for key, value in pairs.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InputError(f"metadata maps strings to strings, not {key!r} to {value!r}")
    for name in tensors:
        if not isinstance(name, str):
            raise InputError(f"tensor names are strings, not {name!r}")
    try:
        for text in [*pairs, *pairs.values(), *tensors]:
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} cannot be written as UTF-8") from error
    lengths = [len(name.encode("utf-8")) for name in tensors]
    longest = max(lengths, default=0)
    if sum(lengths) > DEFAULT_LIMITS.max_names_bytes:
        raise InputError(f"the names are longer than {DEFAULT_LIMITS.max_names_bytes} bytes together")
    if longest > DEFAULT_LIMITS.max_name_bytes:
        raise InputError(f"a name has {longest} bytes, the format allows {DEFAULT_LIMITS.max_name_bytes}")
    return pairs


def _write(
    tensors: Mapping[str, Loadable | Tied],
    units: Mapping[str, Unit],
    workers: Workers,
    progress: _Progress,
    spool: Spool,
) -> list[Draft[Coding[Any]]]:
    """The records, with their payloads."""
    leaves = (leaf for unit in units.values() for leaf in unit.leaves() if leaf.choice.payload is None)
    written = workers.map(examine.write, ((leaf.tensor, leaf.name, leaf.choice) for leaf in leaves))
    numbers = {name: number for number, name in enumerate(tensors)}
    drafts: list[Draft[Coding[Any]]] = []
    for name, tensor in tensors.items():
        if isinstance(tensor, Tied):
            drafts.append(Draft(name, ALIAS, None, None, target=numbers[tensor.to]))
            continue
        with located(tensor=name):
            drafts.append(units[name].draft(written))
        for leaf in drafts[-1].leaves():
            leaf.payload = spool.payload(leaf.payload)
        progress.after(name)
    return drafts
