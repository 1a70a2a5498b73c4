"""Choose a coding for each tensor by exact cost and write the file atomically."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from . import dtypes, layout
from .codebook import Codebook
from .codings import alias, dense, narrow, raw, sparse
from .codings.common import Resources, Stream, StreamKind
from .codings.sparse_matrix import matrix_shape
from .codings.sparse_plan import plan as plan_sparse
from .elements import Elements, Tied
from .errors import InputError
from .layout import Draft
from .limits import DEFAULT_LIMITS
from .options import Options
from .sharing import distinct_values, share

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
    elements = {i: t for i, t in enumerate(tensors.values()) if isinstance(t, Elements)}
    candidates = []
    for number, tensor in elements.items():
        values = distinct_values(tensor)
        if values is not None and _may_pay(tensor, len(values)):
            candidates.append((number, tensor.info.dtype, values))
    while True:
        codebooks, owners = share(candidates)
        coded = {number for number, _, _ in candidates}
        drafts, losers = _drafts(tensors, codebooks, owners, coded, options)
        if not losers:
            break
        # Without these tensors the others may share their codebooks differently.
        candidates = [c for c in candidates if c[0] not in losers]
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


def _may_pay(tensor: Elements, values: int) -> bool:
    """Whether a codebook of that many values leaves any room for the symbols."""
    itemsize = tensor.info.dtype.itemsize
    return values <= 1 or values * min(itemsize, 2) < tensor.info.numel * itemsize


def _drafts(
    tensors: Mapping[str, Elements | Tied],
    codebooks: list[Codebook],
    owners: Mapping[int, int],
    coded: set[int],
    options: Options,
) -> tuple[list[Draft], set[int]]:
    """A draft of every record, and the tensors that have a codebook but are smaller without."""
    resources = Resources(codebooks=codebooks)
    numbers = {name: i for i, name in enumerate(tensors)}
    sharers = np.bincount(list(owners.values()), minlength=len(codebooks)) if owners else np.zeros(0)
    drafts, losers = [], set()
    for number, (name, tensor) in enumerate(tensors.items()):
        if isinstance(tensor, Tied):
            drafts.append(Draft(name, alias.ID, None, alias.Params(numbers[tensor.to])))
            continue
        plain = _plain(name, tensor)
        if number not in coded:
            drafts.append(plain)
            continue
        book_number = owners.get(number)
        draft, bits = _coded(name, tensor, resources, book_number, options)
        if book_number is not None and sharers[book_number] == 1:
            bits += 8 * len(codebooks[book_number].to_bytes())
        if bits > 8 * (len(plain.payload) + 1):
            losers.add(number)
        _number_resources(draft, resources)
        drafts.append(draft)
    return drafts, losers


def _plain(name: str, tensor: Elements) -> Draft:
    """As raw elements, in a narrower type if that is exact."""
    storage, stored = dtypes.narrowest(tensor.bits, tensor.info.dtype)
    if storage == tensor.info.dtype or tensor.info.numel == 0:
        return Draft(name, raw.ID, tensor.info, raw.Params(), tensor.bits.tobytes())
    return Draft(name, narrow.ID, tensor.info, narrow.Params(storage), stored.tobytes())


def _coded(
    name: str, tensor: Elements, resources: Resources, book_number: int | None, options: Options
) -> tuple[Draft, int]:
    """With a codebook, dense or sparse, and its size in bits."""
    if book_number is None:
        return Draft(name, sparse.ID, tensor.info, sparse.Params(0)), 8
    book = resources.codebooks[book_number]
    symbols = book.ids(tensor.bits)
    as_dense, dense_bits = dense.plan(symbols, book_number, book, resources, options.huffman)
    # Where most elements are entries, their gaps alone cost more than the zeros among the symbols.
    if np.count_nonzero(symbols) <= 0.95 * len(symbols) or options.pbits is not None:
        shape = matrix_shape(tensor.info.shape)
        freedom = options.freedom(len(tensor.info.shape))
        as_sparse = plan_sparse(symbols.reshape(shape), book_number, book, resources, freedom)
        if as_sparse.size < dense_bits:
            return Draft(name, sparse.ID, tensor.info, as_sparse.params, as_sparse.payload()), as_sparse.size
    return Draft(name, dense.ID, tensor.info, as_dense, dense.encode(as_dense, symbols)), dense_bits


def _number_resources(draft: Draft, resources: Resources) -> None:
    """Give the new tables and bitmaps of a record their numbers."""

    def add(stream: Stream) -> None:
        if stream.kind == StreamKind.NEW_TABLE:
            resources.add_table(stream.code)

    if draft.coding == dense.ID:
        add(draft.params.stream)
    elif draft.coding == sparse.ID and draft.params.coded is not None:
        coded = draft.params.coded
        add(coded.gaps)
        add(coded.values)
        for live in (coded.matrix.live_rows, coded.matrix.live_columns):
            if live is not None:
                resources.add_bitmap(live)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that `path` holds either what it held before or all of `data`, whenever the process ends."""
    target = Path(os.path.realpath(path))  # a link stays a link
    descriptor, temporary = tempfile.mkstemp(prefix=".sws-", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a new file gets the permissions that open() would have given it.
        mask = os.umask(0)
        os.umask(mask)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
