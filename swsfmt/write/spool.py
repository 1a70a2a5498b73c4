"""Payloads that wait in a file until they are written, so that they need no memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..codings.base import Made
from ..format.checksum import crc32
from ..format.records import MAX_INLINE, Summary
from .examine import Examination, Survey

# Of a payload that is read again.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Spooled(Summary):
    """A payload that waits in a file. offset : there"""

    file: BinaryIO
    offset: int

    def pieces(self) -> Iterator[bytes]:
        """All of it. Raises `OSError`."""
        for start in range(0, self.length, _PIECE):
            self.file.seek(self.offset + start)
            yield self.file.read(min(_PIECE, self.length - start))


class Spool:
    """file : open to be written and read; None keeps payloads in memory. Everything raises `OSError`."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file

    def payload(self, payload: bytes | Summary) -> bytes | Summary:
        """What stands for a payload from now on: those that the index holds stay as they are."""
        if self._file is None or isinstance(payload, Summary) or len(payload) <= MAX_INLINE:
            return payload
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(payload)
        return Spooled(len(payload), crc32(payload), self._file, offset)

    def survey(self, survey: Survey) -> Survey:
        """The same, without payloads that were made to know their sizes."""
        return [
            (coding, own._replace(payload=self.payload(own.payload)) if isinstance(own, Made) else own)
            for coding, own in survey
        ]

    def examination(self, examination: Examination) -> Examination:
        """The same, without the payload of `plain`."""
        plain = examination.plain
        if plain.payload is None:
            return examination
        return examination._replace(plain=plain._replace(payload=self.payload(plain.payload)))
