"""The adaptive coder, written to be read; in C it is some 200 times faster.

Every decision (a live flag, a zero flag, a bit of a value) is coded with a probability that a model makes of what was
coded before (spec 6.6). A model has a few contexts; each picks a slot, a probability and a count of what it has seen.
Their logits are weighed, summed and squashed, and after the decision slots and weights learn: logistic mixing, after
Mahoney's PAQ ("Adaptive weighing of context models for lossless data compression", 2005). All in integers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from .. import logarithms as _logarithms
from ..adaptive_model import Model, Pairs
from ..protocol import Elements, Indices, Symbols
from .range_coder import Decoder, Encoder

_MAX_STRETCH = 3071
_LIMIT, _MAX_WEIGHT = 255, 1 << 20
_CLASSES, _UNSEEN = 17, 11

# 65536 / (1 + exp(-k / 2))
_SQUASHED = [
    32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374,
    65438, 65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535, 65536,
]  # fmt: skip
_BUCKET_STARTS = [0, 1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200]
_BUCKETS = [max(b for b, start in enumerate(_BUCKET_STARTS) if start <= n) for n in range(201)]


def squash(x: int) -> int:
    """Probability in 65536ths of a logit in 256ths, -3071 to 3071."""
    at, part = divmod(abs(x), 128)
    y = (_SQUASHED[at] * (128 - part) + _SQUASHED[at + 1] * part) >> 7
    return 65536 - y if x < 0 else y


def _inverse() -> list[int]:
    """For each k the largest logit whose probability is at most (16 k + 8) / 65536."""
    out, x = [], -_MAX_STRETCH
    for k in range(4096):
        while x < _MAX_STRETCH and squash(x + 1) <= 16 * k + 8:
            x += 1
        out.append(x)
    return out


_STRETCHED = _inverse()


def bucket(n: int) -> int:
    """Counts in twelve steps."""
    return _BUCKETS[min(n, 200)]


def density(c: int, k: int) -> int:
    """64 times the part c of k, with a little of a half mixed in while k is small; in buckets."""
    return bucket(64 * (4 * c + 1) // (4 * k + 2))


COSTS = np.pad(16 * _logarithms.UNIT - _logarithms.log2(np.arange(1, 1 << 16)), (1, 0))
"""Of a decision of probability p / 65536: the bits that it takes, in units of the logarithms."""
_COSTS = COSTS.tolist()


class Mixer:
    """A model of one kind of decision. sizes: of the contexts."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.starts = [0, *accumulate(sizes)][:-1]
        # Of the slots that have been met: a chunk may be a few elements, all slots are a million.
        self.probability = defaultdict[int, int](lambda: 1 << 21)
        self.count = defaultdict[int, int](int)
        self.weights = [81920 // len(sizes)] * len(sizes)
        self.decisions = 0

    def code(self, coder: Encoder, contexts: Sequence[int], bit: int) -> int:
        slots = [start + context for start, context in zip(self.starts, contexts, strict=True)]
        inputs = [_STRETCHED[self.probability[s] >> 10] if self.count[s] else 0 for s in slots]
        x = sum(w * i for w, i in zip(self.weights, inputs, strict=True)) >> 16
        p = min(max(squash(min(max(x, -_MAX_STRETCH), _MAX_STRETCH)), 1), 65535)
        bit = coder.code(p, bit)
        coder.cost += _COSTS[p if bit else 65536 - p]

        error = ((bit << 16) - p) * (640 + 7680 // (1 + (self.decisions >> 6)))
        self.decisions += 1
        for k, i in enumerate(inputs):
            self.weights[k] = min(max(self.weights[k] + (i * error + (1 << 25) >> 26), -_MAX_WEIGHT), _MAX_WEIGHT)
        for s in slots:
            rate = 131072 // (2 * self.count[s] + 3)
            if bit:
                self.probability[s] += (4194303 - self.probability[s]) * rate >> 16
            else:
                self.probability[s] -= self.probability[s] * rate >> 16
            self.count[s] = min(self.count[s] + 1, _LIMIT)
        return bit


def code_live(coder: Encoder, live: Sequence[int], stride: int) -> list[int]:
    """Which lines, or columns of a line, hold an entry."""
    mixer = Mixer([8, 36, 81])
    out: list[int] = []

    def flag(back: int) -> int:
        return out[-back] if 0 < back <= len(out) else 0

    for j, known in enumerate(live):
        if coder.rest_is_ones:
            return out + [1] * (len(live) - j)
        near = sum(flag(back) for back in (1, 2, 3, 4, stride, stride + 1, stride - 1, 2 * stride))
        place = j % stride
        contexts = (
            flag(1) * 4 + flag(2) * 2 + flag(3),
            (flag(1) * 2 + flag(stride)) * 9 + near,
            min(bucket(place), 8) * 9 + min(bucket(sum(out[j - place :])), 8),
        )
        out.append(mixer.code(coder, contexts, known))
    return out


class Line:
    """What is known of a live line. level: 0 for a zero, 1 for a small entry, 2 for a large one. kind: 0 for a zero,
    1 to 8 for the sizes of one sign, 9 to 16 for the other. size: 0 for a zero, from 1 on for those of one sign, from
    -1 down for those of the other."""

    def __init__(self, length: int, pad: int) -> None:
        self.pad = pad
        self.level = [0] * (length + 2 * pad)
        self.kind = [0] * (length + 2 * pad)
        self.size = [0] * (length + 2 * pad)


def level_and_kind(symbol: int, model: Model) -> tuple[int, int]:
    """What a line knows of a symbol that is not zero."""
    first = model.values[0]
    sign = int(symbol > first)
    count, rank = model.values[sign], symbol - 1 - first * sign
    if model.pairs:
        return 1 + (rank > 0), kind_of_size(-rank - 1 if sign else rank + 1)
    return 1 + (3 * rank >= count), 1 + 8 * sign + rank * 8 // max(count, 8)


def kind_of_size(size: int) -> int:
    """See `Line`, with pairs of classes."""
    return 0 if size == 0 else 1 + 8 * (size < 0) + min(bucket(abs(size) - 1), 7)


class Entries:
    """Codes the entries of the live lines, one after the other."""

    def __init__(self, coder: Encoder, model: Model, length: int) -> None:
        self.coder, self.model, self.length = coder, model, length
        pairs = model.pairs.total if model.pairs else 0
        self.pad = 2 * model.stride + 4
        nodes = 2 << (max(model.values) - 1).bit_length()
        zero_sizes = [81, 144, length, 1, 240, 432, 144, 36, 144]
        value_sizes = [nodes * _CLASSES, nodes * _CLASSES, nodes, nodes * _CLASSES, nodes * _CLASSES, nodes * 63]
        more_zero = [_CLASSES**2, pairs] if pairs else []
        more_value = [nodes * _CLASSES**2, nodes * _CLASSES**2, nodes * _CLASSES, nodes * pairs] if pairs else []
        self.zero = Mixer([*(zero_sizes[:3] if model.light else zero_sizes), *more_zero])
        self.value = Mixer([*(value_sizes[:3] if model.light else value_sizes), *more_value])
        self.lines = [Line(length, self.pad) for _ in range(3)]
        self.column = [0] * (length + 2 * self.pad)
        self.last = [0] * length
        self.before = 0

    def code_line(self, number: int, symbols: Sequence[int], live: Sequence[int]) -> list[int]:
        """The symbols of a line; those that are not live are zero."""
        self.lines = [Line(self.length, self.pad), *self.lines[:2]]
        out = [0] * self.length
        entries = gap = seen = 0
        for j, is_live in enumerate(live):
            if not is_live:
                continue
            if self.coder.rest_is_ones:
                out[j] = sum(self.model.values)
                self.column[j + self.pad] += 1
                continue
            bit, pair = 1, pair_of(self.model.pairs, number, j)
            if self.model.zeros:
                contexts = self.contexts(j, entries, gap, seen, pair)
                bit = self.zero.code(self.coder, contexts, int(symbols[j] > 0))
            seen += 1
            if not bit:
                gap += 1
                continue
            out[j] = self.code_value(j, symbols[j], pair)
            self.remember(j, out[j])
            entries += 1
            gap = 0
        self.before += 1
        return out

    def is_idle(self, j: int) -> bool:
        """Whether place j has had no entry."""
        return not self.column[j + self.pad]

    def contexts(self, j: int, entries: int, gap: int, seen: int, pair: int) -> list[int]:
        """Of the zero flag. entries, gap: of this line so far, and since the last one; seen: live positions so far."""
        line, above, twice_above = self.lines
        stride, k = self.model.stride, j + self.pad
        level, up, column = line.level, above.level, self.column
        more = [line.kind[k - 1] * _CLASSES + line.kind[k - 2], pair] if self.model.pairs else []
        contexts = [
            level[k - 1] * 27 + level[k - 2] * 9 + level[k - 3] * 3 + level[k - stride],
            density(column[k], self.before) * 12 + density(entries, seen),
            j,
        ]
        if self.model.light:
            return contexts + more
        far = column[k - stride] + column[k + stride]
        around = far + column[k - 1] + column[k + 1]
        age = bucket(self.before - self.last[j]) if self.last[j] else _UNSEEN
        neighbours = [level[k - 1], level[k - 2], up[k], up[k - 1], up[k + 1], level[k - stride], level[k - stride - 1]]
        neighbours += [level[k - stride + 1] if stride > 1 else 0, twice_above.level[k]]
        near = sum(1 for value in neighbours if value)
        return [
            *contexts,
            0,
            (bucket(around) * 10 + near) * 2 + (level[k - 1] > 0),
            (bucket(far) * 12 + bucket(column[k])) * 3 + level[k - stride],
            bucket(entries) * 12 + bucket(seen),
            bucket(gap) * 3 + level[k - 1],
            age * 12 + bucket(column[k]),
            *more,
        ]

    def code_value(self, j: int, symbol: int, pair: int) -> int:
        """The sign, then the rank, highest bit first; bits that cannot be 1 are left out."""
        first, second = self.model.values
        kind, above, k, stride = self.lines[0].kind, self.lines[1].kind, j + self.pad, self.model.stride
        near = [kind[k - 1], kind[k - stride], kind[k - stride + 1], kind[k - 2], kind[k - stride - 1]]
        near.append(kind[k - 2 * stride])
        signs = sum(-1 if value <= 8 else 1 for value in near if value)
        around = (min(max(signs, -4), 4) + 4) * 7 + sum(1 for value in near if value)
        slots = [(_CLASSES, near[0]), (_CLASSES, near[1]), (1, 0)]
        if not self.model.light:
            slots += [(_CLASSES, above[k]), (_CLASSES, near[2]), (63, around)]
        if self.model.pairs:
            size = self.lines[0].size
            slots += [(_CLASSES**2, near[0] * _CLASSES + near[3]), (_CLASSES**2, near[1] * _CLASSES + near[5])]
            slots += [(_CLASSES, kind_of_size(2 * size[k - 1] - size[k - 2])), (self.model.pairs.total, pair)]

        def code(node: int, bit: int) -> int:
            return self.value.code(self.coder, [node * count + slot for count, slot in slots], bit)

        sign = int(symbol > first)
        sign = code(0, sign) if first and second else int(first == 0)
        base = 1 + first * sign
        count = self.model.values[sign]
        bits = (count - 1).bit_length()
        prefix = 1
        for b in reversed(range(bits)):
            bit = 0
            if ((prefix << 1 | 1) << b) - (1 << bits) < count:
                bit = code(2 * prefix + sign, symbol - base >> b & 1)
            prefix = prefix << 1 | bit
        return base + prefix - (1 << bits)

    def remember(self, j: int, symbol: int) -> None:
        k = j + self.pad
        self.lines[0].level[k], self.lines[0].kind[k] = level_and_kind(symbol, self.model)
        first = self.model.values[0]
        self.lines[0].size[k] = symbol if symbol <= first else first - symbol
        self.column[j + self.pad] += 1
        self.last[j] = self.before + 1


def pair_of(pairs: Pairs | None, line: int, place: int) -> int:
    """The number of a pair of classes, 0 where there are none."""
    return pairs.lines[line] + pairs.places[place] if pairs else 0


def _code(coder: Encoder, symbols: Sequence[Sequence[int]], model: Model) -> Iterator[list[int]]:
    """The symbols of each line. A decoder makes nothing of `symbols` but the shape."""
    lines, length = len(symbols), len(symbols[0])
    live, live_lines = [1] * length, [1] * lines
    if model.zeros:
        live = code_live(coder, [int(any(column)) for column in zip(*symbols, strict=True)], model.stride)
        live_lines = code_live(coder, [int(any(line)) for line in symbols], model.line_stride)
    entries = Entries(coder, model, length)
    for number, (line, is_live) in enumerate(zip(symbols, live_lines, strict=True)):
        row = entries.code_line(number, line, live) if is_live else [0] * length
        coder.has_idle_flag |= bool(is_live) and not any(row)
        yield row
    coder.has_idle_flag |= any(entries.is_idle(place) for place, flag in enumerate(live) if flag)


def encode(symbols: Sequence[Sequence[int]], model: Model) -> tuple[bytes, int]:
    """The bytes, and what the decisions take in units of the logarithms."""
    coder = Encoder()
    list(_code(coder, symbols, model))
    return coder.finish(), coder.cost


def decode(data: bytes, lines: int, length: int, model: Model) -> tuple[list[list[int]], bool]:
    """The symbols, and whether `data` is what an encoder writes for them."""
    coder = Decoder(data)
    symbols = list(_code(coder, [[0] * length] * lines, model))
    return symbols, not coder.has_idle_flag and coder.finish() == data


def adaptive_encode(
    symbols: Symbols,
    logarithms: Indices,
    lines: int,
    length: int,
    stride: int,
    line_stride: int,
    first: int,
    second: int,
    zeros: bool,
    light: bool,
    line_classes: bytes,
    place_classes: bytes,
    pairs: int,
) -> tuple[bytes, int]:
    own = Pairs(line_classes, place_classes, pairs) if pairs else None
    model = Model(stride, line_stride, (first, second), zeros, light, own)
    return encode(symbols.reshape(lines, length).tolist(), model)


def adaptive_decode(
    data: bytes | memoryview,
    starts: Indices,
    chunk: int,
    first_chunk: int,
    last_chunk: int,
    values: Elements,
    elements: Elements,
    line_step: int,
    place_step: int,
    lines: int,
    length: int,
    stride: int,
    line_stride: int,
    first: int,
    second: int,
    zeros: bool,
    light: bool,
    line_classes: bytes,
    place_classes: bytes,
    pairs: int,
) -> int:
    own = Pairs(line_classes, place_classes, pairs) if pairs else None
    model = Model(stride, line_stride, (first, second), zeros, light, own)
    steps = line_step * elements.itemsize, place_step * elements.itemsize
    matrix = np.lib.stride_tricks.as_strided(elements, (lines, length), steps)
    for number in range(first_chunk, last_chunk):
        code = bytes(data[starts[number] : starts[number + 1]])
        part = matrix[number * chunk : (number + 1) * chunk]
        coder = Decoder(code)
        model_of_part = model.of_lines(number * chunk, (number + 1) * chunk)
        for line, row in zip(part, _code(coder, [[0] * length] * len(part), model_of_part), strict=True):
            line[:] = values[np.array(row, np.uint16)]
        if coder.has_idle_flag or coder.finish() != code:
            return number
    return -1
