"""What a reader accepts before it allocates memory (spec section 8)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from . import arguments
from .errors import LimitError


@dataclass(frozen=True)
class Limits:
    """Upper bounds for untrusted files. A file above one of them raises `LimitError`.

    Memory: a reader holds the index, what the limits below say, and while it decodes a tensor its elements, its
    payload and at most two more bytes for each of its symbols. The defaults are the limits of spec section 8, which
    every writer keeps, but for the decoded size.

    max_decoded_bytes : int
        What one call decodes, in bytes: all tensors of a file that is loaded, one that is asked for alone, whole or in
        part. A file of 100 bytes may legally stand for gigabytes of zeros. Names and shapes can be had of any file.
    max_tensors : int
        Number of records.
    max_index_bytes : int
        Size of the index in bytes.
    max_names_bytes : int
        Length of all names together; names are coded by their difference, so that a short index may hold long ones.
    max_name_bytes : int
        Length of one name, in bytes of UTF-8.
    max_bitmap_bits : int
        Length of all bitmaps together, in bits; a reader holds a byte for each.
    max_table_symbols : int
        Alphabet sizes of all code tables together; a reader holds 3 bytes for each symbol.
    """

    max_decoded_bytes: int = 2**34
    max_tensors: int = 2**20
    max_index_bytes: int = 2**28
    max_names_bytes: int = 2**24
    max_name_bytes: int = 2**16 - 1
    max_bitmap_bits: int = 2**26
    max_table_symbols: int = 2**23

    def __post_init__(self) -> None:
        for field in fields(self):
            arguments.whole_number(getattr(self, field.name), field.name, 0)

    def check(self, name: str, value: int, what: str) -> None:
        """Raise `LimitError` if `value` is above the limit called `name`."""
        limit: int = getattr(self, name)
        if value > limit:
            raise LimitError(
                f"{what} is {value:,}, the limit is {limit:,}; if you trust the file, "
                f"pass limits=swsfmt.Limits({name}={value}) (sws: --limit {name}={value})"
            )


DEFAULT_LIMITS = Limits()
MAX_RANK = 64
