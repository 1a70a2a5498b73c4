"""`inspect` and `verify`: what is in a file, where every byte of it went, and whether it is whole."""

from __future__ import annotations

from collections.abc import Mapping

from .codings.base import Decoded
from .limits import DEFAULT_LIMITS, Limits
from .read import report as reports
from .read.reader import Reader, Record
from .read.report import Account, Report
from .read.source import File


def inspect(file: File, *, threads: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Report:
    """Account for every byte of a file. Decodes every tensor to do so, one at a time.

    threads : for decoding the chunks of large tensors; None for as many as there are processors.
    Raises `FormatError` for a damaged file. A tensor with an unknown coding is listed, its payload counted as raw; so
    are those behind the first `max_decoded_bytes` of the limits.
    """
    with Reader.open(file, limits, with_spans=True) as reader:
        return report(reader, threads=threads)


def verify(file: File, *, threads: int | None = None, limits: Limits = DEFAULT_LIMITS) -> Report:
    """Check every checksum and decode everything; return the same report as `inspect`.

    threads : as for `inspect`
    Raises `FormatError` for a damaged file, `LimitError` for one that decodes to more than the limits allow, and
    `UnknownCodingError` for a tensor that cannot be checked.
    """
    with Reader.open(file, limits, with_spans=True) as reader:
        return verified(reader, threads=threads)


def verified(reader: Reader, *, threads: int | None = None) -> Report:
    """What `verify` does, with a reader that is open."""
    reader.check_decoded_bytes()
    for record in reader.records:
        if not record.is_known:
            reader.decode(record)
    return report(reader, threads=threads)


def report(reader: Reader, known: Mapping[str, Account] | None = None, *, threads: int | None = None) -> Report:
    """The report on an open file. known : the accounts of tensors that need not be decoded again, by name."""
    return reports.report(reader, known, threads, savings=saved_bytes)


def saved_bytes(record: Record, decoded: Decoded) -> int:
    """What the write side says of it; who has no file with slow codings does not import it."""
    from .write import savings

    return savings.saved_bytes(record, decoded)
