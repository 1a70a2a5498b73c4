"""Open a file, list it, read one tensor or all of them. Knows neither NumPy arrays' dtypes nor torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias

from .. import arguments
from ..codings import Coding, coding_of
from ..codings.base import Decoded, Payload
from ..codings.composite import Composite, Structured, info_of
from ..codings.unknown import UnknownCoding
from ..dtypes import Bits
from ..errors import ChecksumError, InputError, SwsError, TruncatedError, UnknownCodingError, located
from ..format import records
from ..format.checksum import crc32
from ..format.codebook import Codebook
from ..format.index import MAX_HEADER, parse_prefix, prefix_length
from ..format.sections import Span
from ..limits import DEFAULT_LIMITS, Limits
from ..parallel import in_order, in_parallel
from ..tensor import Elements, TensorInfo
from .source import File, Source, open_source

Record: TypeAlias = records.Record[Coding[Any]]
Layout: TypeAlias = records.Layout[Coding[Any]]

Recode: TypeAlias = Callable[[Codebook], Codebook | None]
"""Gives a codebook whose `decoded` is of another dtype, or None where its tensors are to stay as they are."""

OnDecode: TypeAlias = Callable[[Record, Decoded], None]
"""Takes what has just been decoded, and the record that it is of."""

_FIRST_READ = 1 << 16
# A shorter payload has its checksum before a thread has started.
_MUCH = 1 << 20


class Reader:
    """An open .sws file whose header and index have been checked. Payloads are read when asked for.

    on_decode : is called after each record that has been decoded whole, in the thread that did it.
    with_spans : keep where the bits of header and index go; otherwise they are read once more if it is asked for.
    Raises `FormatError` for a file that is not valid, `LimitError` for an index that is too large, `OSError` as `open`
    does. What is decoded counts when it is: a file of any decoded size can be opened and listed.
    """

    def __init__(
        self,
        source: Source,
        limits: Limits = DEFAULT_LIMITS,
        *,
        on_decode: OnDecode | None = None,
        with_spans: bool = False,
    ) -> None:
        self.source = source
        self._closed = False
        # Names of the tensors whose payloads have been checked for parts to be read.
        self._checked: set[str] = set()
        self._on_decode = on_decode
        try:
            self.limits = arguments.instance(limits, Limits, "limits", "a swsfmt.Limits")
            self.layout: Layout = self._read_prefix(with_spans=with_spans)
        except SwsError as error:
            source.close()
            error.locate(file=source.name)
            raise
        self._numbers = {record.name: i for i, record in enumerate(self.layout.records)}

    @classmethod
    def open(
        cls,
        file: File,
        limits: Limits = DEFAULT_LIMITS,
        *,
        on_decode: OnDecode | None = None,
        with_spans: bool = False,
    ) -> Self:
        """Open a path, a URL that fsspec knows, or a file that is in memory."""
        return cls(open_source(file), limits, on_decode=on_decode, with_spans=with_spans)

    def _read_prefix(self, *, with_spans: bool = False) -> Layout:
        size = self.source.size
        data = bytes(self.source.read_at(0, min(size, max(MAX_HEADER, _FIRST_READ))))
        needed = prefix_length(data, self.limits)
        if needed > size:
            raise TruncatedError(f"the file ends within its index, {needed} bytes are needed", offset=size)
        if needed > len(data):
            data += self.source.read_at(len(data), needed - len(data))
        return parse_prefix(data[:needed], size, coding_of, self.limits, with_spans=with_spans)

    def prefix_spans(self) -> list[Span]:
        """Where the bits of header and index go."""
        return self.layout.spans or self._read_prefix(with_spans=True).spans

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.layout.metadata)

    @property
    def records(self) -> list[Record]:
        """All records in the order of the file, aliases included."""
        return self.layout.records

    def keys(self) -> list[str]:
        """The names of all tensors in the order of the file."""
        return [record.name for record in self.layout.records]

    def record(self, name: str) -> Record:
        """The record of that name; that of its target where it is tied to another tensor."""
        if not isinstance(name, str) or name not in self._numbers:
            raise arguments.not_there(name, self._numbers, self.source.name)
        return self.resolve(self.layout.records[self._numbers[name]])

    def resolve(self, record: Record) -> Record:
        """The record itself, or its target where it is tied to another tensor."""
        return record if record.target is None else self.layout.records[record.target]

    def info(self, name: str) -> TensorInfo:
        """Dtype and shape without decoding. Raises `UnknownCodingError` where the dtype is unknown too."""
        record = self.record(name)
        if record.info is None:
            raise self._unknown(record)
        return record.info

    def decoded_bytes(self, records: Iterable[Record] | None = None) -> int:
        """The elements of these records in bytes, of all if none are given; tied ones and unknown codings have none."""
        chosen = self.records if records is None else records
        return sum(record.info.nbytes for record in chosen if record.info is not None and record.is_known)

    def check_decoded_bytes(self) -> None:
        """Raise `LimitError` where all tensors together are more than may be decoded: before the first one is."""
        with located(file=self.source.name):
            self.limits.check("max_decoded_bytes", self.decoded_bytes(), "the decoded size of the file")

    def read(
        self,
        name: str,
        threads: int = 1,
        out: Bits | None = None,
        recode: Recode | None = None,
        payload: Payload | None = None,
    ) -> Elements:
        """Decode one tensor, its chunks in parallel where it has them.

        out : contiguous memory for its elements; after an error it may hold anything. None for new memory.
        recode : changes the codebook that it is decoded with, which is less work than to change every element.
        payload : what `stored` gave for its record; None to read it now
        Raises `FormatError`, `LimitError`, `UnknownCodingError`, `TensorNotFoundError`.
        """
        record = self.record(name)
        info = self._known(record)
        codebook = record.coding.codebook(record.params) if recode is not None else None
        recoded = recode(codebook) if recode is not None and codebook is not None else None
        if recoded is not None:
            params = record.coding.with_codebook(record.params, recoded)
            info = TensorInfo(recoded.dtype if recoded.decoded is None else recoded.decoded[0], info.shape)
            record = dataclasses.replace(record, info=info, params=params)
        bits = self.decode(record, threads, out, payload).bits
        if out is not None and bits is not out:
            out[:] = bits
            bits = out
        return Elements(info, bits)

    def read_parts(self, name: str, threads: int = 1) -> Structured | None:
        """The parts of one tensor, decoded each by itself; None where it has none that mean anything to a caller.

        Raises as `read` does.
        """
        record = self.record(name)
        info = self._known(record)
        coding = record.coding
        if not isinstance(coding, Composite) or not coding.is_structured:
            return None
        parts = [self.decode(dataclasses.replace(part, name=record.name), threads) for part in record.parts]
        own = [Elements(info_of(part), decoded.bits) for part, decoded in zip(record.parts, parts, strict=True)]
        return coding.structured(record.params, info, own)

    def read_rows(self, name: str, first: int, last: int, threads: int = 1) -> Elements:
        """Decode the part first:last of a tensor along dimension 0, from the chunks that it needs.

        The first time all of its payload is checked, with so many threads; from then on its checksum and those chunks.
        0 <= first <= last <= shape[0]. Raises as `read` does, for anything that is wrong in the tensor.
        """
        record = self.record(name)
        info = self._known(record)
        row = math.prod(info.shape[1:])
        payload = self.payload(record)
        try:
            if record.name not in self._checked:
                record.coding.check(record.params, info, payload, threads)
                self._checked.add(record.name)
            bits = record.coding.decode_rows(record.params, info, payload, first * row, last * row)
        except SwsError as error:
            self._locate(error, record)
            raise
        return Elements(TensorInfo(info.dtype, (last - first, *info.shape[1:])), bits)

    def decode(
        self, record: Record, threads: int = 1, out: Bits | None = None, payload: Payload | None = None
    ) -> Decoded:
        """Decode a record that is not tied to another, maybe to `out`. payload : as for `read`"""
        info = self._known(record)
        data = self.stored(record) if payload is None else payload

        def decode() -> Decoded:
            return record.coding.decode(record.params, info, data, threads, out)

        try:
            if threads > 1 and len(data) >= _MUCH:
                # The checksum is made while the payload is decoded: a decoder has to withstand any payload anyway.
                # It comes first all the same: no other error is told of a payload that is damaged.
                jobs: tuple[Callable[[], Any], ...] = (lambda: self._check(record, data), decode)
                decoded: Decoded = in_parallel(lambda job: job(), jobs, threads=threads)[1]
            else:
                self._check(record, data)
                decoded = decode()
        except ChecksumError:
            raise
        except SwsError as error:
            self._locate(error, record)
            raise
        if self._on_decode is not None:
            self._on_decode(record, decoded)
        return decoded

    def _locate(self, error: SwsError, record: Record) -> None:
        """Say where in the file an error of a payload is."""
        error.locate(file=self.source.name, tensor=record.name)
        if error.offset is not None:
            error.offset += record.offset

    def payload(self, record: Record) -> Payload:
        """The bytes of a payload, its CRC-32 checked."""
        data = self.stored(record)
        self._check(record, data)
        return data

    def stored(self, record: Record) -> Payload:
        """The bytes of a payload, not checked."""
        if self._closed:
            raise InputError("this file has been closed; read it inside of the with statement", file=self.source.name)
        return self.source.read_at(record.offset, record.payload_length) if record.inline is None else record.inline

    def check_payloads(self, records: Iterable[Record], threads: int = 1) -> None:
        """Raise what `read` would raise for what is damaged, unknown or too large: before anything is overwritten.

        A payload that has its checksum and is not valid all the same is found when it is decoded. Each is read here and
        not kept, no more than one for each thread at once: who decodes it afterwards reads it a second time.
        """

        def check(record: Record) -> None:
            self.payload(record)

        own = {id(target): target for target in map(self.resolve, records)}
        for record in own.values():
            self._known(record)
        for _ in in_order(check, own.values(), threads=threads):
            pass

    def _check(self, record: Record, data: Payload, name: str | None = None) -> None:
        """Inline payloads have the CRC-32 of the index, and those of parts their own. name : of the tensor of a part"""
        name = record.name if name is None else name
        if record.coding.is_composite:
            for part in record.parts:
                start = part.offset - record.offset
                own = data if part.inline is not None else memoryview(data)[start : start + part.payload_length]
                self._check(part, own, name)
        elif record.inline is None and crc32(data) != record.crc:
            raise ChecksumError(
                "the CRC-32 of the payload does not match: the file is damaged",
                file=self.source.name,
                tensor=name,
                offset=record.offset,
            )

    def _known(self, record: Record) -> TensorInfo:
        """Dtype and shape of a tensor that can be decoded. Raises `UnknownCodingError`, `LimitError`."""
        if record.info is None or not record.is_known:
            raise self._unknown(record)
        nbytes = record.info.nbytes
        if nbytes > self.limits.max_decoded_bytes:
            with located(file=self.source.name, tensor=record.name):
                self.limits.check("max_decoded_bytes", nbytes, "the decoded size of this tensor")
        if record.coding.is_composite:
            with located(file=self.source.name, tensor=record.name):
                self._check_parts(record)
        return record.info

    def _check_parts(self, record: Record) -> None:
        """Raise `LimitError` where the parts of a record are larger than a tensor may be: they are held too."""
        size = 0
        for part in record.parts:
            size += 0 if part.info is None else part.info.nbytes
            if part.coding.is_composite:
                self._check_parts(part)
        self.limits.check("max_decoded_bytes", size, "the decoded size of the parts of this tensor")

    def _unknown(self, record: Record) -> UnknownCodingError:
        unknown = next((part for part in record.parts if not part.is_known), record)
        if unknown is not record:
            return self._unknown(dataclasses.replace(unknown, name=record.name))
        error = UnknownCoding(record.coding.id).error()
        error.locate(file=self.source.name, tensor=record.name)
        return error

    def __reduce__(self) -> tuple[Callable[..., Reader], tuple[Source, Limits]]:
        """A reader that is pickled opens its file again. Raises `InputError` after `close`."""
        if self._closed:
            raise InputError("this file has been closed; open it again", file=self.source.name)
        return partial(type(self), on_decode=self._on_decode), (self.source, self.limits)

    def close(self) -> None:
        """Give the file back; what the index says can still be asked."""
        self._closed = True
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
