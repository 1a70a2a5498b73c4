"""Choose a coding for each tensor by exact cost and write the file atomically."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import dtypes, layout
from .codebook import Codebook
from .codings import alias, dense, narrow, raw, sparse
from .codings.common import Resources, StreamKind
from .codings.sparse_analysis import analyse
from .codings.sparse_matrix import matrix_shape
from .codings.sparse_plan import plan as plan_sparse
from .dtypes import Bits, DType
from .elements import Elements, Tied
from .errors import InputError
from .layout import Draft
from .limits import DEFAULT_LIMITS
from .options import Options
from .sharing import distinct_values, pays_alone, share

DEFAULT_OPTIONS = Options()


def encode(
    tensors: Mapping[str, Elements | Tied],
    metadata: Mapping[str, str] | None = None,
    options: Options = DEFAULT_OPTIONS,
) -> bytes:
    """The whole file as bytes. Equal input gives equal bytes.

    Raises `InputError` for metadata or names that cannot be stored.
    """
    metadata = _checked(metadata, tensors)
    distinct, founders = {}, set()
    for number, tensor in enumerate(tensors.values()):
        if isinstance(tensor, Elements):
            values = distinct_values(tensor)
            if values is not None:
                distinct[number] = (tensor.info.dtype, values)
                if pays_alone(tensor, values):
                    founders.add(number)
    choices, codebooks = _choose(tensors, distinct, founders, options)
    drafts = [_draft(name, tensors[name], choice) for name, choice in choices.items()]
    prefix = layout.build(metadata, codebooks, drafts)
    return b"".join([prefix, *(d.payload for d in drafts if len(d.payload) > layout.MAX_INLINE)])


def _checked(metadata: Mapping[str, str] | None, tensors: Mapping[str, Elements | Tied]) -> dict[str, str]:
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


@dataclass(frozen=True, eq=False)
class _Choice:
    """How a tensor is stored. codebook: where it has one; params: an alias's or a coding's, None for raw or narrow."""

    codebook: Codebook | None = None
    params: alias.Params | dense.Params | sparse.Params | None = None


def _choose(
    tensors: Mapping[str, Elements | Tied],
    distinct: dict[int, tuple[DType, Bits]],
    founders: set[int],
    options: Options,
) -> tuple[dict[str, _Choice], list[Codebook]]:
    """The coding of every tensor, in order: a later one may refer to tables and bitmaps of an earlier one."""
    numbers = {name: i for i, name in enumerate(tensors)}
    distinct = dict(distinct)
    while True:
        codebooks, owners = share(distinct, founders)
        resources = Resources(codebooks=codebooks)
        sharers = np.bincount(list(owners.values()), minlength=len(codebooks))
        choices: dict[str, _Choice] = {}
        losers = []
        for number, (name, tensor) in enumerate(tensors.items()):
            if isinstance(tensor, Tied):
                choices[name] = _Choice(params=alias.Params(numbers[tensor.to]))
                continue
            book = owners.get(number)
            if number not in distinct or (book is None and len(distinct[number][1])):
                choices[name] = _Choice()
                continue
            choices[name], bits = _coded(tensor, book, resources, options)
            if book is not None and sharers[book] == 1:
                bits += 8 * len(codebooks[book].to_bytes())
            if bits > 8 * (_plain_bytes(tensor) + 1):
                losers.append(number)
        if not losers:
            return choices, codebooks
        # Without the tensors that are smaller as they are, the others may share their codebooks differently.
        for number in losers:
            del distinct[number]


def _plain_bytes(tensor: Elements) -> int:
    """Size of the elements as they are, or in a narrower type."""
    return dtypes.narrowest(tensor.bits, tensor.info.dtype)[1].nbytes


def _coded(tensor: Elements, book: int | None, resources: Resources, options: Options) -> tuple[_Choice, int]:
    """The cheapest coding with a codebook, dense or sparse, and its size in bits."""
    if book is None:
        return _Choice(params=sparse.Params(0)), 8
    codebook = resources.codebooks[book]
    symbols, counts = codebook.symbols_of(tensor.bits)
    params: dense.Params | sparse.Params
    params, size = dense.plan(counts, book, codebook, resources, options.huffman)
    # Where nearly all elements are entries, their gaps alone cost more than the zeros among the symbols.
    if counts[0] * 20 >= len(symbols):
        freedom = options.freedom(len(tensor.info.shape))
        analysis = analyse(symbols.reshape(matrix_shape(tensor.info.shape)), codebook.count, freedom)
        as_sparse, sparse_size = plan_sparse(analysis, book, codebook, resources, freedom)
        if sparse_size < size:
            params, size = as_sparse, sparse_size
    _number_resources(params, resources)
    return _Choice(codebook, params), size


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


def _draft(name: str, tensor: Elements | Tied, choice: _Choice) -> Draft:
    """The record of a tensor, with its payload."""
    params = choice.params
    if isinstance(tensor, Tied):
        return Draft(name, alias.ID, None, params)
    if params is None:
        storage, stored = dtypes.narrowest(tensor.bits, tensor.info.dtype)
        if storage == tensor.info.dtype or tensor.info.numel == 0:
            return Draft(name, raw.ID, tensor.info, raw.Params(), tensor.bits.tobytes())
        return Draft(name, narrow.ID, tensor.info, narrow.Params(storage), stored.tobytes())
    if choice.codebook is None:
        return Draft(name, sparse.ID, tensor.info, params)
    symbols, _ = choice.codebook.symbols_of(tensor.bits)
    if isinstance(params, dense.Params):
        params, payload = dense.encode(params, symbols)
        return Draft(name, dense.ID, tensor.info, params, payload)
    assert isinstance(params, sparse.Params)
    params, payload = sparse.encode(params, symbols.reshape(matrix_shape(tensor.info.shape)))
    return Draft(name, sparse.ID, tensor.info, params, payload)


def write_atomically(path: str | bytes | os.PathLike[str], data: bytes) -> None:
    """Write a file so that `path` holds either what it held before or all of `data`, whenever the process ends.

    Raises `OSError` that names `path`.
    """
    target = Path(os.path.realpath(os.fsdecode(path)))  # a link stays a link
    temporary = target.with_name(f".sws-{secrets.token_hex(6)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                os.chmod(temporary, target.stat().st_mode & 0o777)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        error.filename, error.filename2 = os.fsdecode(path), None
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
