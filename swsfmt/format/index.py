"""Header and index: bytes <-> dataclasses, pure, no I/O (spec sections 2 to 4).

`parse_prefix` checks every rule that does not need a payload; `build` is its inverse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .. import codings, dtypes
from ..codings import alias, dense, narrow, raw
from ..codings.adaptive import params as adaptive
from ..codings.common import Resources
from ..codings.sparse import params as sparse
from ..entropy.bitmap import Live
from ..errors import ChecksumError, FormatError, InputError, SwsError, TruncatedError, VersionError
from ..limits import DEFAULT_LIMITS, MAX_RANK, Limits
from ..tensor import TensorInfo
from .checksum import crc32
from .codebook import Codebook, parse_codebook
from .cursor import MAX_VARINT_BYTES, Cursor, string, varint
from .names import NameParser, NameWriter
from .not_sws import not_sws
from .sections import Section, Span, fill

SIGNATURE = b"\x89SWS\r\n\x1a\n"
MAJOR, MINOR = 1, 0
MAX_INLINE = 255
# Signature, version and the longest index length.
MAX_HEADER = len(SIGNATURE) + 2 + MAX_VARINT_BYTES
_MAX_BYTES = 1 << 63


@dataclass(frozen=True, eq=False)
class Record:
    """One tensor of the index.

    name : str
    coding : int, its id in the registry
    info : TensorInfo or None (None for an alias)
    params : the coding's Params; None for an unknown coding
    payload_length : int, in bytes
    offset : int, of the payload in the file
    crc : int or None (None where the payload lies in the index or is empty)
    inline : bytes or None, the payload where it lies in the index
    """

    name: str
    coding: int
    info: TensorInfo | None
    params: Any
    payload_length: int = 0
    offset: int = 0
    crc: int | None = None
    inline: bytes | None = None


@dataclass(frozen=True, eq=False)
class Layout:
    """All that the prefix says. spans: where the bits of the prefix go."""

    version: tuple[int, int]
    metadata: dict[str, str]
    codebooks: list[Codebook]
    records: list[Record]
    prefix_length: int
    file_length: int
    spans: list[Span] = field(repr=False)


@dataclass(frozen=True)
class Summary:
    """What the index says of a payload above `MAX_INLINE`: its length in bytes and its CRC-32."""

    length: int
    crc: int


@dataclass(frozen=True, eq=False)
class Draft:
    """A record to be written: what `Record` has, with its payload, or the summary of one that is kept elsewhere."""

    name: str
    coding: int
    info: TensorInfo | None
    params: Any
    payload: bytes | Summary = b""

    @property
    def payload_length(self) -> int:
        """In bytes."""
        return self.payload.length if isinstance(self.payload, Summary) else len(self.payload)


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


def parse_prefix(data: bytes, file_length: int, limits: Limits = DEFAULT_LIMITS) -> Layout:
    """Read header and index.

    data : bytes, the whole prefix
    file_length : int, size of the whole file in bytes, checked against what the index says
    """
    version, header, length = parse_header(data)
    end = header + length
    if len(data) < end + 4:
        raise TruncatedError(f"the file ends within its index, {end + 4} bytes are needed", offset=len(data))
    if crc32(data[:end]) != int.from_bytes(data[end : end + 4], "little"):
        raise ChecksumError("the CRC-32 of header and index does not match: the file is damaged", offset=end)
    resources = Resources(limits=limits)
    cursor = Cursor(data[header:end], header)
    metadata = _parse_metadata(cursor)
    for _ in range(cursor.count("number of codebooks", 4)):
        start = cursor.offset
        resources.codebooks.append(parse_codebook(cursor))
        resources.span(Section.CODEBOOKS, 8 * start, 8 * cursor.offset)
    spans = fill(resources.spans, 8 * 0, 8 * cursor.offset)
    records, record_spans = _parse_records(cursor, resources)
    if cursor.remaining:
        raise cursor.error(f"{cursor.remaining} bytes are left after the last record of the index")
    spans += record_spans
    spans = fill(spans, 0, 8 * (end + 4))
    placed, total = _place(records, end + 4)
    if total != file_length:
        what = "ends early" if file_length < total else "goes on after its end"
        raise TruncatedError(f"the file {what}: it has {file_length} bytes, its index says {total}")
    return Layout(version, metadata, resources.codebooks, placed, end + 4, total, spans)


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


def _parse_records(cursor: Cursor, resources: Resources) -> tuple[list[Record], list[Span]]:
    limits = resources.limits
    count = cursor.count("number of tensors", 3)
    limits.check("max_tensors", count, "the number of tensors")
    records: list[Record] = []
    spans: list[Span] = []
    names = NameParser(limits)
    dtype_id = dtypes.F32.id
    decoded = 0
    for number in range(count):
        start, resources.spans = cursor.offset, []
        name = names.parse(cursor)
        try:
            record, dtype_id = _parse_record(cursor, name, dtype_id, records, resources)
            if record.info is not None and record.params is not None:
                decoded += record.info.nbytes
                limits.check("max_decoded_bytes", decoded, "the decoded size")
        except SwsError as error:
            error.locate(tensor=name)
            raise
        records.append(record)
        found = fill(resources.spans, 8 * start, 8 * cursor.offset, number)
        spans += [Span(span.section, span.start, span.end, number) for span in found]
    return records, spans


def _parse_record(
    cursor: Cursor, name: str, dtype_id: int, records: Sequence[Record], resources: Resources
) -> tuple[Record, int]:
    head = cursor.u8("head")
    coding = head & 15
    if coding == 15:
        coding = cursor.varint("coding")
        if coding < 15:
            raise cursor.error(f"coding {coding} must be written in the head")
    if coding == alias.ID:
        if head >> 4:
            raise cursor.error("an alias has no dtype and no shape of its own")
        target = cursor.varint("alias target")
        if target >= len(records) or records[target].coding == alias.ID:
            raise cursor.error(f"alias of record {target}, which is not an earlier tensor")
        return Record(name, coding, None, alias.Params(target)), dtype_id
    if head >> 7:
        dtype_id = cursor.u8("dtype")
    shape = _parse_shape(cursor, head >> 4 & 7)
    module = codings.BY_ID.get(coding)
    if dtype_id not in dtypes.BY_ID:
        if module is not None:
            raise cursor.error(f"unknown dtype {dtype_id}")
        info = None
    else:
        info = TensorInfo(dtypes.BY_ID[dtype_id], shape)
        if _addressable(shape) * info.dtype.itemsize >= _MAX_BYTES:
            raise cursor.error(f"shape {shape} is too large to address")
    length: int | None = None
    params: Any = None
    if module is None:
        cursor.take(cursor.varint("parameters length"), "parameters")
    else:
        # The decoded size is checked before bitmaps of that size are made.
        assert info is not None
        resources.limits.check("max_decoded_bytes", info.nbytes, "the decoded size")
        params = module.parse(cursor, info, resources)
        length = params.payload_length(info)
    if length is None:
        length = cursor.varint("payload length")
    if length > MAX_INLINE:
        return Record(name, coding, info, params, length, crc=cursor.u32("payload CRC")), dtype_id
    offset = cursor.offset
    inline = cursor.take(length, "inline payload")
    if length:
        resources.span(Section.RAW, 8 * offset, 8 * cursor.offset)
    return Record(name, coding, info, params, length, offset, inline=inline), dtype_id


def _parse_shape(cursor: Cursor, rank: int) -> tuple[int, ...]:
    if rank == 7:
        rank = cursor.varint("rank")
        if rank < 7:
            raise cursor.error(f"rank {rank} must be written in the head")
        if rank > MAX_RANK:
            raise cursor.error(f"rank {rank} is above {MAX_RANK}")
    return tuple(cursor.varint("dimension") for _ in range(rank))


def _addressable(shape: tuple[int, ...]) -> int:
    """Product of the dimensions that are not zero."""
    return math.prod(dimension for dimension in shape if dimension)


def _place(records: Sequence[Record], offset: int) -> tuple[list[Record], int]:
    """Give every payload that is not inline its offset; also the size of the whole file."""
    placed = []
    for record in records:
        if record.crc is None:
            placed.append(record)
            continue
        placed.append(replace(record, offset=offset))
        offset += record.payload_length
    return placed, offset


# ---- writing ---------------------------------------------------------------------------------------------------------


def build(metadata: Mapping[str, str], codebooks: Sequence[Codebook], drafts: Sequence[Draft]) -> bytes:
    """The prefix of a file with these tensors; the payloads longer than `MAX_INLINE` follow it in order."""
    index = bytearray(varint(len(metadata)))
    for key in sorted(metadata, key=lambda key: key.encode("utf-8")):
        index += string(key) + string(metadata[key])
    index += varint(len(codebooks))
    for codebook in codebooks:
        index += codebook.to_bytes()
    index += varint(len(drafts))
    names = NameWriter()
    dtype_id = dtypes.F32.id
    bitmaps: list[Live] = []
    for draft in drafts:
        index += names.write(draft.name)
        if draft.info is None:
            index += bytes([draft.coding]) + varint(draft.params.target)
            continue
        index += _head(draft.coding, draft.info, dtype_id)
        dtype_id = draft.info.dtype.id
        index += _write_params(draft, bitmaps)
        if draft.params.payload_length(draft.info) is None:
            index += varint(draft.payload_length)
        if isinstance(draft.payload, Summary):
            index += draft.payload.crc.to_bytes(4, "little")
        elif len(draft.payload) > MAX_INLINE:
            index += crc32(draft.payload).to_bytes(4, "little")
        else:
            index += draft.payload
    if len(drafts) > DEFAULT_LIMITS.max_tensors:
        raise InputError(f"{len(drafts)} tensors, the format allows {DEFAULT_LIMITS.max_tensors}")
    if len(index) > DEFAULT_LIMITS.max_index_bytes:
        raise InputError(f"the index would have {len(index)} bytes, the format allows {DEFAULT_LIMITS.max_index_bytes}")
    head = SIGNATURE + bytes([MAJOR, MINOR]) + varint(len(index)) + bytes(index)
    return head + crc32(head).to_bytes(4, "little")


def _head(coding: int, info: TensorInfo, dtype_id: int) -> bytes:
    rank = len(info.shape)
    changed = info.dtype.id != dtype_id
    out = bytes([coding | min(rank, 7) << 4 | changed << 7])
    if changed:
        out += bytes([info.dtype.id])
    if rank >= 7:
        out += varint(rank)
    return out + b"".join(varint(dimension) for dimension in info.shape)


def _write_params(draft: Draft, bitmaps: list[Live]) -> bytes:
    match draft.coding:
        case raw.ID:
            return raw.write(draft.params)
        case narrow.ID:
            return narrow.write(draft.params)
        case dense.ID:
            return dense.write(draft.params)
        case sparse.ID:
            return sparse.write(draft.params, bitmaps)
        case adaptive.ID:
            return adaptive.write(draft.params)
    raise NotImplementedError(f"coding {draft.coding}")
