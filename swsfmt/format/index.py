"""Header and index: bytes <-> dataclasses, pure, no I/O (spec sections 2 to 4).

`parse_prefix` checks every rule that does not need a payload; `build` is its inverse. Both are told of codings, and
know none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from .. import dtypes
from ..entropy import backend
from ..entropy.protocol import Head
from ..errors import ChecksumError, FormatError, InputError, SwsError, TruncatedError, VersionError
from ..limits import DEFAULT_LIMITS, MAX_RANK, Limits
from ..tensor import TensorInfo
from .body import LONG_FORM, build_body, parse_body, parse_coding, place, tensor_info
from .checksum import crc32
from .codebook import Codebook, parse_codebook
from .cursor import MAX_VARINT_BYTES, Cursor, string, varint
from .names import NameParser, NameWriter
from .not_sws import not_sws
from .records import C, Draft, Layout, Record
from .resources import Resources
from .sections import Section, Span, fill

SIGNATURE = b"\x89SWS\r\n\x1a\n"
MAJOR, MINOR = 1, 0
# Signature, version and the longest index length.
MAX_HEADER = len(SIGNATURE) + 2 + MAX_VARINT_BYTES

# What `tensor_info` gave: many tensors of a file have the same dtype and shape.
_Infos: TypeAlias = dict[tuple[int, tuple[int, ...]], TensorInfo | None]


# ---- reading ---------------------------------------------------------------------------------------------------------


def parse_header(data: bytes) -> tuple[tuple[int, int], int, int]:
    """Version, size of the header and size of the index, from the first `MAX_HEADER` bytes of a file (or all of it)."""
    if not data.startswith(SIGNATURE):
        raise not_sws(data, SIGNATURE)
    cursor = Cursor(data)
    cursor.take(len(SIGNATURE), "signature")
    try:
        version = (cursor.u8("version"), cursor.u8("version"))
        if version[0] > MAJOR:
            raise VersionError(
                f"the file has version {version[0]}.{version[1]}, this reader knows {MAJOR}.x; upgrade swsfmt"
            )
        if version[0] != MAJOR:
            raise cursor.error(f"version {version[0]}.{version[1]} does not exist")
        length = cursor.varint("index length")
    except FormatError as error:
        if cursor.remaining == 0 and not isinstance(error, VersionError):
            raise TruncatedError("the file ends within its header", offset=len(data)) from error
        raise
    return version, cursor.position, length


def prefix_length(data: bytes, limits: Limits = DEFAULT_LIMITS) -> int:
    """Size in bytes of the prefix of a file that begins with `data`."""
    _, header, length = parse_header(data)
    limits.check("max_index_bytes", length, "the index length")
    return header + length + 4


def parse_prefix(
    data: bytes,
    file_length: int,
    coding_of: Callable[[int], C],
    limits: Limits = DEFAULT_LIMITS,
    *,
    with_spans: bool = False,
) -> Layout[C]:
    """Read header and index.

    data : bytes, the whole prefix
    file_length : int, size of the whole file in bytes, checked against what the index says
    coding_of : the coding of an id; for an id that is not registered one that is not known
    with_spans : whether to say where the bits of the prefix go
    Raises `FormatError`, `LimitError`.
    """
    version, header, length = parse_header(data)
    end = header + length
    if len(data) < end + 4:
        raise TruncatedError(f"the file ends within its index, {end + 4} bytes are needed", offset=len(data))
    if crc32(data[:end]) != int.from_bytes(data[end : end + 4], "little"):
        raise ChecksumError("the CRC-32 of header and index does not match: the file is damaged", offset=end)
    spans: list[Span] | None = [] if with_spans else None
    resources = Resources(limits=limits, spans=spans)
    cursor = Cursor(data[header:end], header)
    metadata = _parse_metadata(cursor)
    for _ in range(cursor.count("number of codebooks", 4)):
        start = cursor.offset
        resources.codebooks.append(parse_codebook(cursor))
        if spans is not None:
            resources.span(Section.CODEBOOKS, 8 * start, 8 * cursor.offset)
    if spans is not None:
        spans = fill(spans, 0, 8 * cursor.offset)
    records = _parse_records(cursor, coding_of, resources, spans)
    if cursor.remaining:
        raise cursor.error(f"{cursor.remaining} bytes are left after the last record of the index")
    total = _place(records, end + 4)
    if total != file_length:
        what = "ends early" if file_length < total else "goes on after its end"
        raise TruncatedError(f"the file {what}: it has {file_length} bytes, its index says {total}")
    spans = fill(spans, 0, 8 * (end + 4)) if spans is not None else []
    return Layout(version, metadata, resources.codebooks, records, end + 4, total, spans)


def _parse_metadata(cursor: Cursor) -> dict[str, str]:
    metadata: dict[str, str] = {}
    last: bytes | None = None
    for _ in range(cursor.count("number of metadata pairs", 2)):
        key = cursor.string("metadata key")
        if last is not None and key.encode() <= last:
            raise cursor.error(f"metadata key {key!r} does not ascend")
        last = key.encode()
        metadata[key] = cursor.string("metadata value")
    return metadata


def _parse_records(
    cursor: Cursor, coding_of: Callable[[int], C], resources: Resources, spans: list[Span] | None
) -> list[Record[C]]:
    """All records, without the offsets of their payloads. spans : where those of the records are added."""
    limits = resources.limits
    count = cursor.count("number of tensors", 3)
    limits.check("max_tensors", count, "the number of tensors")
    resources.records = count
    records: list[Record[C]] = []
    names = NameParser(limits)
    dtype_id = dtypes.F32.id
    kernels = backend.kernels
    infos: _Infos = {}
    for number in range(count):
        start = cursor.offset
        if spans is not None:
            resources.spans = []
        head = kernels.record_head(cursor.data, cursor.position)
        name = None if head is None else names.follow(head[0], head[1])
        if head is None or name is None:
            # What is wrong with it is known here.
            head, name = None, names.parse(cursor)
        try:
            if head is None:
                head = _parse_head(cursor)
            cursor.position = head[-1]
            record, dtype_id = _parse_record(cursor, name, head, dtype_id, coding_of, records, resources, infos)
        except SwsError as error:
            error.locate(tensor=name)
            raise
        records.append(record)
        if spans is not None and resources.spans is not None:
            own = fill(resources.spans, 8 * start, 8 * cursor.offset)
            spans += [Span(section, first, last, number) for section, first, last, _ in own]
    return records


def _parse_head(cursor: Cursor) -> Head:
    """What comes after the name: the same as the kernel `record_head`, which has no errors."""
    head = cursor.u8("head")
    number = parse_coding(cursor, head)
    dtype_id = cursor.u8("dtype") if head >> 7 else -1
    shape = _parse_shape(cursor, head >> 4 & 7)
    return 0, b"", head, number, dtype_id, shape, cursor.position


def _parse_record(
    cursor: Cursor,
    name: str,
    fields: Head,
    dtype_id: int,
    coding_of: Callable[[int], C],
    records: Sequence[Record[C]],
    resources: Resources,
    infos: _Infos,
) -> tuple[Record[C], int]:
    """A record behind its head, without the offset of its payload; and the dtype of the next one, if it has none."""
    _, _, head, number, own_dtype, shape, _ = fields
    coding = coding_of(number)
    if coding.is_reference:
        return Record(name, coding, None, None, target=_parse_target(cursor, head, records)), dtype_id
    if own_dtype >= 0:
        dtype_id = own_dtype
    key = dtype_id, shape
    if key not in infos:
        infos[key] = tensor_info(cursor, dtype_id, shape)
    return parse_body(cursor, name, coding, dtype_id, infos[key], resources), dtype_id


def _parse_target(cursor: Cursor, head: int, records: Sequence[Record[C]]) -> int:
    """The number of an earlier record, which is no reference itself (spec 5.3)."""
    if head >> 4:
        raise cursor.error("an alias has no dtype and no shape of its own")
    target = cursor.varint("alias target")
    if target >= len(records) or records[target].target is not None:
        raise cursor.error(f"alias of record {target}, which is not an earlier tensor")
    return target


def _parse_shape(cursor: Cursor, rank: int) -> tuple[int, ...]:
    if rank == 7:
        rank = cursor.varint("rank")
        if rank < 7:
            raise cursor.error(f"rank {rank} must be written in the head")
        if rank > MAX_RANK:
            raise cursor.error(f"rank {rank} is above {MAX_RANK}")
    return tuple(cursor.varint("dimension") for _ in range(rank))


def _place(records: Sequence[Record[C]], offset: int) -> int:
    """Give every payload that is not inline its offset; return the size of the whole file."""
    for record in records:
        # A call for each record would take longer than all else here.
        if record.crc is not None or record.coding.is_composite:
            offset = place(record, offset)
    return offset


# ---- writing ---------------------------------------------------------------------------------------------------------


def build(metadata: Mapping[str, str], codebooks: Sequence[Codebook], drafts: Sequence[Draft[C]]) -> bytes:
    """The prefix of a file with these tensors; the payloads longer than `MAX_INLINE` follow it in order.

    Raises `InputError` where the format has no room for so much.
    """
    index = bytearray(varint(len(metadata)))
    for key in sorted(metadata, key=lambda key: key.encode("utf-8")):
        index += string(key) + string(metadata[key])
    index += varint(len(codebooks))
    for codebook in codebooks:
        index += codebook.to_bytes()
    index += varint(len(drafts))
    names = NameWriter()
    dtype_id = dtypes.F32.id
    resources = Resources(codebooks=list(codebooks))
    # Most tensors of a file have the same dtype, and few shapes.
    head_of = lru_cache(_head)
    for draft in drafts:
        index += names.write(draft.name)
        if draft.target is not None:
            index += bytes([draft.coding.id]) + varint(draft.target)
            continue
        assert draft.info is not None
        index += head_of(draft.coding.id, draft.info.dtype.id, draft.info.shape, dtype_id)
        dtype_id = draft.info.dtype.id
        index += build_body(draft, resources)
    records = sum(draft.records() for draft in drafts)
    if records > DEFAULT_LIMITS.max_tensors:
        raise InputError(f"{records} tensors and parts of them, the format allows {DEFAULT_LIMITS.max_tensors}")
    if len(index) > DEFAULT_LIMITS.max_index_bytes:
        raise InputError(f"the index would have {len(index)} bytes, the format allows {DEFAULT_LIMITS.max_index_bytes}")
    head = SIGNATURE + bytes([MAJOR, MINOR]) + varint(len(index)) + bytes(index)
    return head + crc32(head).to_bytes(4, "little")


def _head(coding: int, own_dtype: int, shape: tuple[int, ...], dtype_id: int) -> bytes:
    """dtype_id : of the record before"""
    rank = len(shape)
    changed = own_dtype != dtype_id
    out = bytes([min(coding, LONG_FORM) | min(rank, 7) << 4 | changed << 7])
    if coding >= LONG_FORM:
        out += varint(coding)
    if changed:
        out += bytes([own_dtype])
    if rank >= 7:
        out += varint(rank)
    return out + b"".join(varint(dimension) for dimension in shape)
