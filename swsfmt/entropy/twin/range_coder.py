"""The range coder of spec 6.6: decisions, each with a probability, to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence

_FULL = 0xFFFFFFFF


class Encoder:
    """Range coder: the interval [low, high] shrinks with each decision, and its common first bytes go out."""

    @property
    def rest_is_ones(self) -> bool:
        """Whether it is known that all decisions to come are 1."""
        return False

    def __init__(self) -> None:
        self.low, self.high = 0, _FULL
        self.out = bytearray()
        # What the decisions take, in units of the logarithms.
        self.cost = 0
        # Whether a line or a place is called live and holds no entry.
        self.has_idle_flag = False

    def code(self, p: int, bit: int) -> int:
        """Code a decision that is 1 with probability p / 65536."""
        middle = self.low + ((self.high - self.low) * p >> 16)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while self.low >> 24 == self.high >> 24:
            self.shift(self.high >> 24)
            self.low = self.low << 8 & _FULL
            self.high = self.high << 8 & _FULL | 255
        return bit

    def code_all(self, probabilities: Sequence[int], bits: Sequence[int]) -> None:
        """Code known decisions: as `code` does, without its calls."""
        low, width, out = self.low, self.high - self.low, self.out
        for p, bit in zip(probabilities, bits, strict=True):
            if bit:
                width = width * p >> 16
            else:
                lower = (width * p >> 16) + 1
                low += lower
                width -= lower
            # The first bytes of a wider interval differ.
            while width < 1 << 24 and not (low ^ low + width) >> 24:
                out.append(low >> 24)
                low = low << 8 & _FULL
                width = width << 8 | 255
        self.low, self.high = low, low + width

    def shift(self, byte: int) -> None:
        self.out.append(byte)

    def finish(self) -> bytes:
        """All bytes; zeros at the end are left out."""
        return bytes(self.out + last_bytes(self.low, self.high)).rstrip(b"\0")


class Decoder(Encoder):
    """Keeps what the encoder has written, to compare in the end. Behind the data there are zeros."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data
        self.at = 4
        self.word = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    @property
    def rest_is_ones(self) -> bool:
        """Whether all bytes are used up: the word, and the lower end of the interval, stay 0, every decision is 1."""
        return self.at >= len(self.data) + 4

    def code(self, p: int, bit: int = 0) -> int:
        return super().code(p, int(self.word <= self.low + ((self.high - self.low) * p >> 16)))

    def shift(self, byte: int) -> None:
        super().shift(byte)
        self.word = self.word << 8 & _FULL | (self.data[self.at] if self.at < len(self.data) else 0)
        self.at += 1


def last_bytes(low: int, high: int) -> bytes:
    """The fewest bytes whose continuation with zeros lies within low to high."""
    for count in range(4):
        rest = _FULL >> 8 * count
        word = low + rest & ~rest
        if word <= high:
            return word.to_bytes(5, "big")[1 : 1 + count]
    return low.to_bytes(4, "big")
