"""Choose a coding for each tensor by exact cost, and make the file, piece by piece.

A tensor is read when one of the three `stages` needs it, and forgotten; the payloads that are smaller than their
tensors are kept until the file is written, the others are read once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..codings import alias, dense, narrow, raw
from ..codings.common import Resources, StreamKind
from ..codings.sparse import params as sparse
from ..codings.sparse.plan import plan as plan_sparse
from ..dtypes import DType
from ..errors import InputError
from ..format import index as layout
from ..format.codebook import Codebook
from ..format.index import MAX_INLINE, Draft, Summary
from ..limits import DEFAULT_LIMITS
from ..tensor import Loadable, TensorInfo, Tied
from . import examine as stages
from .codebook_groups import share
from .examine import Choice, Findings, Survey
from .executors import Workers
from .options import Options

if TYPE_CHECKING:
    from concurrent.futures import Executor

DEFAULT_OPTIONS = Options()

Step = Callable[[int, int], None]
"""Takes how much is done, and how much there is."""


class EncodedFile:
    """A file that is ready to be written. prefix : all but the payloads. size : of the whole file, in bytes."""

    def __init__(self, prefix: bytes, drafts: list[Draft], tensors: Mapping[str, Loadable | Tied]) -> None:
        self.prefix = prefix
        self._drafts = deque(draft for draft in drafts if draft.payload_length > MAX_INLINE)
        self._tensors = tensors
        self.size = len(prefix) + sum(draft.payload_length for draft in self._drafts)

    def needed_limits(self) -> dict[str, int]:
        """The fields of `Limits` that a reader of this file must raise, and to what; empty where the defaults do.

        What is not here is kept within the defaults by every writer (spec section 8).
        """
        own = [tensor for tensor in self._tensors.values() if not isinstance(tensor, Tied)]
        needed = {"max_tensors": len(self._tensors), "max_decoded_bytes": sum(tensor.info.nbytes for tensor in own)}
        return {name: value for name, value in needed.items() if value > getattr(DEFAULT_LIMITS, name)}

    def pieces(self) -> Iterator[bytes | memoryview]:
        """All of it, in order, once: each payload is forgotten when it has been handed out."""
        yield self.prefix
        while self._drafts:
            draft = self._drafts.popleft()
            if not isinstance(draft.payload, Summary):
                yield draft.payload
                continue
            tensor = self._tensors[draft.name]
            assert draft.info is not None
            assert not isinstance(tensor, Tied)
            storage = draft.params.storage if draft.coding == narrow.ID else draft.info.dtype
            yield from stages.plain_pieces(tensor, storage)


def encode(
    tensors: Mapping[str, Loadable | Tied],
    metadata: Mapping[str, str] | None = None,
    options: Options = DEFAULT_OPTIONS,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
) -> bytes:
    """The whole file as bytes; see `encode_file`."""
    return b"".join(encode_file(tensors, metadata, options, threads=threads, executor=executor).pieces())


def encode_file(
    tensors: Mapping[str, Loadable | Tied],
    metadata: Mapping[str, str] | None = None,
    options: Options = DEFAULT_OPTIONS,
    *,
    threads: int | None = None,
    executor: Executor | None = None,
    step: Step | None = None,
) -> EncodedFile:
    """Encode all tensors. Equal input gives equal bytes, wherever and in how many threads it is done.

    threads : None for as many as there are processors; with an executor, those of each task, None for one.
    executor : anything that works as those of `concurrent.futures` do; it is sent tensors, and functions by name.
    step : is told after each tensor of each stage how many bytes are done, and how many there are in all.
    Raises `InputError` for metadata or names that cannot be stored, and what the tensors raise when they are read.
    """
    metadata = _checked(metadata, tensors)
    own = {name: tensor for name, tensor in tensors.items() if not isinstance(tensor, Tied)}
    progress = _Progress(own, step)
    with Workers([tensor.info.nbytes for tensor in own.values()], threads, executor) as workers:
        findings: dict[str, Findings] = {}
        found = workers.map(stages.examine, ((tensor,) for tensor in own.values()))
        for name, finding in zip(own, found, strict=True):
            findings[name] = finding
            progress.after(name)
        choices, codebooks = _choose(tensors, findings, options, workers, progress)
        drafts = _write(tensors, findings, choices, workers, progress)
    return EncodedFile(layout.build(metadata, codebooks, drafts), drafts, tensors)


class _Progress:
    """Counts the bytes of the tensors of each stage."""

    def __init__(self, tensors: Mapping[str, Loadable], step: Step | None) -> None:
        self._sizes = {name: max(1, tensor.info.nbytes) for name, tensor in tensors.items()}
        self._step = step
        self._done = 0
        self._total = 3 * sum(self._sizes.values())

    def after(self, name: str) -> None:
        self._done += self._sizes[name]
        if self._step is not None:
            self._step(self._done, self._total)

    def repeat(self) -> None:
        """A stage has to be done again."""
        self._total += sum(self._sizes.values())


def _checked(metadata: Mapping[str, str] | None, tensors: Mapping[str, Loadable | Tied]) -> dict[str, str]:
    pairs = dict(metadata or {})
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
    longest = max((len(name.encode("utf-8")) for name in tensors), default=0)
    if sum(len(name.encode("utf-8")) for name in tensors) > DEFAULT_LIMITS.max_names_bytes:
        raise InputError(f"the names are longer than {DEFAULT_LIMITS.max_names_bytes} bytes together")
    if longest > DEFAULT_LIMITS.max_name_bytes:
        raise InputError(f"a name has {longest} bytes, the format allows {DEFAULT_LIMITS.max_name_bytes}")
    return pairs


def _choose(
    tensors: Mapping[str, Loadable | Tied],
    findings: Mapping[str, Findings],
    options: Options,
    workers: Workers,
    progress: _Progress,
) -> tuple[dict[str, Choice], list[Codebook]]:
    """The coding of every tensor, in order: a later one may refer to tables and bitmaps of an earlier one."""
    numbers = {name: number for number, name in enumerate(tensors)}
    distinct = {
        number: (tensor.info.dtype, values)
        for number, (name, tensor) in enumerate(tensors.items())
        if not isinstance(tensor, Tied) and (values := findings[name].values) is not None
    }
    founders = {numbers[name] for name, found in findings.items() if found.founds}
    while True:
        codebooks, owners = share(distinct, founders)
        resources = Resources(codebooks=codebooks)
        sharers = np.bincount(list(owners.values()), minlength=len(codebooks))
        surveys = workers.map(
            stages.survey,
            (
                (tensors[name], owners[i], codebooks[owners[i]], options, options.is_small(name))
                for name, i in numbers.items()
                if i in owners
            ),
        )
        choices: dict[str, Choice] = {}
        losers = []
        for number, (name, tensor) in enumerate(tensors.items()):
            if isinstance(tensor, Tied):
                choices[name] = Choice(alias.Params(numbers[tensor.to]))
                continue
            storage, book = findings[name].storage, owners.get(number)
            if book is not None:
                choices[name], bits = _coded(tensor.info, next(surveys), book, resources, options)
                if sharers[book] == 1:
                    bits += 8 * len(codebooks[book].to_bytes())
            elif number in distinct and not len(distinct[number][1]):
                choices[name], bits = Choice(sparse.Params(0)), 8
            else:
                choices[name], bits = _plain(tensor.info, storage), 0
            progress.after(name)
            if bits > 8 * (tensor.info.numel * storage.itemsize + 1):
                losers.append(number)
        if not losers:
            return choices, codebooks
        # Without the tensors that are smaller as they are, the others may share their codebooks differently.
        progress.repeat()
        for number in losers:
            del distinct[number]


def _plain(info: TensorInfo, storage: DType) -> Choice:
    return Choice(raw.Params() if storage == info.dtype else narrow.Params(storage))


def _coded(info: TensorInfo, survey: Survey, book: int, resources: Resources, options: Options) -> tuple[Choice, int]:
    """The cheapest coding with a codebook, and its size in bits."""
    codebook = resources.codebooks[book]
    params, size = cheapest_huffman(info, survey, book, resources, options)
    if survey.adaptive is not None and survey.adaptive[2] < size:
        adapted, payload, size = survey.adaptive
        return Choice(adapted, codebook, payload), size
    _number_resources(params, resources)
    return Choice(params, codebook), size


def cheapest_huffman(
    info: TensorInfo, survey: Survey, book: int, resources: Resources, options: Options
) -> tuple[dense.Params | sparse.Params, int]:
    """The cheapest of the codings without contexts, and its size in bits, parameters and payload."""
    codebook = resources.codebooks[book]
    params: dense.Params | sparse.Params
    params, size = dense.plan(survey.counts, book, codebook, resources, options.huffman)
    if survey.analysis is not None:
        freedom = options.freedom(len(info.shape))
        as_sparse, sparse_size = plan_sparse(survey.analysis, book, codebook, resources, freedom)
        if sparse_size < size:
            params, size = as_sparse, sparse_size
    return params, size


def _number_resources(params: dense.Params | sparse.Params, resources: Resources) -> None:
    """Give the new tables and bitmaps of a record their numbers."""
    streams = []
    if isinstance(params, dense.Params):
        streams = [params.stream]
    elif params.coded is not None:
        streams = [params.coded.gaps, params.coded.values]
        for live in (params.coded.matrix.live_rows, params.coded.matrix.live_columns):
            if live is not None:
                resources.add_bitmap(live)
    for stream in streams:
        if stream.kind == StreamKind.NEW_TABLE:
            resources.add_table(stream.code)


def _write(
    tensors: Mapping[str, Loadable | Tied],
    findings: Mapping[str, Findings],
    choices: Mapping[str, Choice],
    workers: Workers,
    progress: _Progress,
) -> list[Draft]:
    """The records, with their payloads."""
    written = workers.map(
        stages.write,
        ((tensors[name], name, choices[name]) for name, found in findings.items() if found.payload is None),
    )
    drafts = []
    for name, tensor in tensors.items():
        params = choices[name].params
        if isinstance(tensor, Tied):
            drafts.append(Draft(name, alias.ID, None, params))
            continue
        payload = findings[name].payload
        if payload is None:
            drafts.append(next(written))
        else:
            coding = raw.ID if isinstance(params, raw.Params) else narrow.ID
            drafts.append(Draft(name, coding, tensor.info, params, payload))
        progress.after(name)
    return drafts
