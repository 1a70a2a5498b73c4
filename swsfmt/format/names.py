"""Names of tensors, front coded (spec 4): a prefix of the name before, then a suffix, literal or an earlier one.

`conv2.bias` after `conv2.weight` shares 6 bytes and, where `conv1.bias` came before, has its suffix: 2 bytes in all.
"""

from __future__ import annotations

from ..limits import Limits
from .cursor import Cursor, varint


class NameParser:
    """The names so far: each is a prefix of the one before and a suffix, literal or that of an earlier record."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.previous = b""
        self.suffixes: list[bytes] = []
        self.seen: set[bytes] = set()
        self.total = 0

    def follow(self, prefix: int, suffix: bytes | int) -> str | None:
        """The next name, of these parts. suffix : bytes, or how many records before it was. None where it is wrong:
        `parse` tells what is.
        """
        if isinstance(suffix, int):
            if suffix > len(self.suffixes):
                return None
            suffix = self.suffixes[-suffix]
        previous, limits = self.previous, self.limits
        name = previous[:prefix] + suffix
        size = len(name)
        total = self.total + size
        if prefix > len(previous) or size > limits.max_name_bytes or total > limits.max_names_bytes:
            return None
        if name in self.seen:
            return None
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            return None
        self.total = total
        self.seen.add(name)
        self.suffixes.append(suffix)
        self.previous = name
        return text

    def parse(self, cursor: Cursor) -> str:
        """The next name. Raises `IndexRuleError`, `LimitError`."""
        prefix = cursor.varint("name prefix")
        if prefix > len(self.previous):
            raise cursor.error(f"name prefix {prefix} is longer than the name before")
        code = cursor.varint("name suffix")
        if code & 1:
            distance = (code + 1) // 2
            if distance > len(self.suffixes):
                raise cursor.error(f"name suffix of {distance} records before the first")
            suffix = self.suffixes[-distance]
        else:
            suffix = cursor.take(code // 2, "name suffix")
        name = self.previous[:prefix] + suffix
        self.limits.check("max_name_bytes", len(name), "the length of a name")
        self.total += len(name)
        self.limits.check("max_names_bytes", self.total, "the length of all names")
        if name in self.seen:
            raise cursor.error(f"name {name!r} is there twice")
        self.seen.add(name)
        self.suffixes.append(suffix)
        self.previous = name
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError as error:
            raise cursor.error("name is not valid UTF-8") from error


class NameWriter:
    """Writes names in the order of their records."""

    def __init__(self) -> None:
        self.previous = b""
        self.suffixes: dict[bytes, int] = {}
        self.count = 0

    def write(self, text: str) -> bytes:
        name = text.encode("utf-8")
        prefix = _shared(self.previous, name)
        suffix = name[prefix:]
        coded = varint(2 * len(suffix)) + suffix
        earlier = self.suffixes.get(suffix)
        if earlier is not None:
            reference = varint(2 * (self.count - earlier) - 1)
            coded = reference if len(reference) < len(coded) else coded
        self.previous, self.suffixes[suffix] = name, self.count
        self.count += 1
        return varint(prefix) + coded


def _shared(a: bytes, b: bytes) -> int:
    """Number of leading bytes that are equal."""
    least, most = 0, min(len(a), len(b))
    if a[:most] == b[:most]:
        return most
    # The first `least` are equal, the first `most` are not.
    while most - least > 1:
        middle = (least + most) // 2
        if a[least:middle] == b[least:middle]:
            least = middle
        else:
            most = middle
    return least
