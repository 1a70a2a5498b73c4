"""The adaptive encoder of `adaptive` for several matrices or models at once, in NumPy: the same bytes, sooner.

An encoder knows all symbols, so the contexts of all decisions are looked up at once. What a slot has learned depends on
the decisions that met it and on nothing else: all slots learn side by side, each from its first decision, then from its
second one, and so on. Only the weights of a mixer go from decision to decision, those of all mixers together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..adaptive_model import Model
from ..protocol import Symbols
from . import adaptive as one
from .range_coder import Encoder

Numbers = npt.NDArray[np.int64]

# Symbols of the largest matrix that is worth it, and of all that are coded together: each takes a few hundred bytes.
MOST = 1 << 15
_TOGETHER = 1 << 16
# Decisions that are mixed in one go.
_STEPS = 32

_BUCKETS = np.array(one._BUCKETS)
_STRETCHED = np.array(one._STRETCHED)
# The probability of each logit from the least one on.
_PROBABILITIES = np.array([*map(one.squash, range(-one._MAX_STRETCH, one._MAX_STRETCH + 1))]).clip(1, 65535)


class Decisions(NamedTuple):
    """Those of one mixer.

    order : ascending numbers that place them among those of the other mixer
    bits : what is decided
    slots : shape (contexts, decisions)
    """

    order: Numbers
    bits: Numbers
    slots: Numbers


class Coded(NamedTuple):
    """Decisions in their order. probabilities : of what is decided, of a 1, in 65536ths. bits : what is decided."""

    probabilities: Numbers
    bits: Numbers

    @property
    def cost(self) -> int:
        """What they take in bits, in units of the logarithms."""
        return int(one.COSTS[np.where(self.bits, self.probabilities, 65536 - self.probabilities)].sum())


class Code(NamedTuple):
    """What a matrix takes: the flags of its columns and lines, and its entries."""

    live: Coded
    entries: Coded

    @property
    def cost(self) -> int:
        """Of all decisions, in units of the logarithms."""
        return self.live.cost + self.entries.cost

    def to_bytes(self) -> bytes:
        coder = Encoder()
        for coded in self:
            coder.code_all(coded.probabilities.tolist(), coded.bits.tolist())
        return coder.finish()


_NONE = Decisions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((1, 0), np.int64))


def encode_all(matrices: Sequence[Symbols], models: Sequence[Model]) -> list[Code]:
    """The decisions of each matrix, shape (lines, length), under its model."""
    pairs = list(zip(matrices, models, strict=True))
    # The stride across lines matters to the flags of lines alone: what comes behind these is the same for several.
    keys = [(m.ctypes.data, m.shape, m.strides, replace(model, line_stride=1)) for m, model in pairs]
    jobs = dict(zip(keys, pairs, strict=True))
    step = max(1, _TOGETHER // max(matrix.size for matrix in matrices))
    entries: dict[Any, Coded] = {}
    for start in range(0, len(jobs), step):
        part = list(jobs)[start : start + step]
        entries |= zip(part, _coded([_entries(*jobs[key]) for key in part]), strict=True)
    live = _coded([_live(*pair) for pair in pairs])
    return [Code(own, entries[key]) for key, own in zip(keys, live, strict=True)]


def _coded(jobs: Sequence[tuple[Decisions, Decisions]]) -> list[Coded]:
    """For each job the decisions of two mixers, in their order."""
    mixed = iter(_mix([mixer for both in jobs for mixer in both]))
    out = []
    for both in jobs:
        order = np.argsort(np.concatenate([mixer.order for mixer in both]), kind="stable")
        probabilities, bits = np.concatenate([next(mixed) for _ in both]), np.concatenate([m.bits for m in both])
        out.append(Coded(probabilities[order], bits[order]))
    return out


# ---- contexts ----------------------------------------------------------------------------------------------------


def _live(matrix: Symbols, model: Model) -> tuple[Decisions, Decisions]:
    """Which columns, and then which lines, hold an entry; see `adaptive.code_live`."""
    if not model.zeros:
        return _NONE, _NONE
    entries = matrix > 0
    columns: npt.NDArray[np.bool_] = np.logical_or.reduce(entries, axis=0)
    lines: npt.NDArray[np.bool_] = np.logical_or.reduce(entries, axis=1)
    return _flags(columns, model.stride, 0), _flags(lines, model.line_stride, 1)


def _flags(live: npt.NDArray[np.bool_], stride: int, order: int) -> Decisions:
    flags, n = live.astype(np.int64), len(live)
    padded = np.pad(flags, (2 * stride + 4, 0))

    def back(steps: int) -> Numbers:
        return padded[2 * stride + 4 - steps :][:n] if steps else np.zeros(n, np.int64)

    near = sum((back(steps) for steps in (1, 2, 3, 4, stride, stride + 1, stride - 1, 2 * stride)), back(0))
    place = np.arange(n) % stride
    sums = np.pad(np.cumsum(flags), (1, 0))
    in_stride = sums[:-1] - sums[np.arange(n) - place]
    slots = [
        back(1) * 4 + back(2) * 2 + back(3),
        (back(1) * 2 + back(stride)) * 9 + near,
        np.minimum(_bucket(place), 8) * 9 + np.minimum(_bucket(in_stride), 8),
    ]
    return Decisions(np.full(n, order), flags, np.stack(slots))


def _entries(matrix: Symbols, model: Model) -> tuple[Decisions, Decisions]:
    """The zero flags, and the bits of the values, of all live positions."""
    symbols = matrix.astype(np.int64)
    live = np.arange(symbols.shape[1])
    lines = np.arange(len(symbols))
    if model.zeros:
        lines, live = np.flatnonzero(symbols.any(axis=1)), np.flatnonzero(symbols.any(axis=0))
        symbols = symbols[lines]
    flat = symbols[:, live].reshape(-1)
    positions = _Positions(symbols, lines, live, model)
    entries = np.flatnonzero(flat)
    nodes, bits = _tree(flat[entries], model)
    made = bits >= 0
    # A zero flag, and behind it the bits of a value.
    step = 1 + nodes.shape[1]
    value_order = (entries[:, None] * step + 1 + np.arange(nodes.shape[1]))[made]
    values = Decisions(value_order, bits[made], positions.value_slots(entries, nodes, made))
    if not model.zeros:
        return _NONE, values
    flags = (flat > 0).astype(np.int64)
    return Decisions(np.arange(len(flat)) * step, flags, positions.zero_slots()), values


def _tree(symbols: Numbers, model: Model) -> tuple[Numbers, Numbers]:
    """The nodes that the sign and the rank of each symbol pass, and what is decided there; -1: nothing."""
    first, second = model.values
    sign = (symbols > first).astype(np.int64)
    rank = symbols - 1 - first * sign
    count = np.where(sign, second, first)
    bits = np.array([max(n - 1, 0).bit_length() for n in model.values])[sign]
    columns = [(np.zeros_like(sign), sign if first and second else np.full_like(sign, -1))]
    for b in reversed(range(int(bits.max(initial=0)))):
        prefix = ((1 << bits) | rank) >> (b + 1)
        is_open = (b < bits) & (((2 * prefix + 1) << b) - (1 << bits) < count)
        columns.append((2 * prefix + sign, np.where(is_open, rank >> b & 1, -1)))
    nodes, decided = zip(*columns, strict=True)
    return np.stack(nodes, axis=1), np.stack(decided, axis=1)


class _Positions:
    """The live positions of the live lines, and what is around them; see `adaptive.Entries` for the names."""

    def __init__(
        self, symbols: Numbers, numbers: npt.NDArray[np.intp], live: npt.NDArray[np.intp], model: Model
    ) -> None:
        lines = len(symbols)
        self.pair = _pairs(model, numbers, live)
        self.model, self.pad, self.shape = model, 2 * model.stride + 4, (lines, len(live))
        self.row, self.place = np.repeat(np.arange(lines), len(live)), np.tile(live, lines)
        self.seen = np.tile(np.arange(len(live)), lines)
        of_symbol = [one.level_and_kind(symbol, model) for symbol in range(1, 1 + sum(model.values))]
        levels, kinds = np.array([(0, 0), *of_symbol]).T
        self.level, self.kind = self._padded(levels[symbols]), self._padded(kinds[symbols])
        sizes = [*range(1 + model.values[0]), *range(-1, -model.values[1] - 1, -1)]
        self.size = self._padded(np.array(sizes)[symbols])
        self.is_entry = symbols > 0
        self.with_line = self._padded(np.cumsum(self.is_entry, axis=0))
        self.before_line = self._padded(np.cumsum(self.is_entry, axis=0) - self.is_entry)

    def _padded(self, matrix: Numbers) -> Numbers:
        return np.pad(matrix, ((2, 0), (self.pad, self.pad)))

    def _at(self, matrix: Numbers, back: int = 0, up: int = 0) -> Numbers:
        """Of each position what lies so many places and lines before it. At the position itself nothing is known."""
        if back == up == 0 and matrix is not self.before_line:
            return np.zeros_like(self.row)
        found: Numbers = matrix[self.row + 2 - up, self.place + self.pad - back]
        return found

    def _column(self, back: int) -> Numbers:
        """Entries of the column so many places before; in those the line itself counts."""
        return self._at(self.with_line if back > 0 else self.before_line, back)

    def zero_slots(self) -> Numbers:
        stride, level = self.model.stride, self.level
        own = self._column(0)
        entries: Numbers = np.cumsum(self.is_entry, axis=1) - self.is_entry
        entries = entries[self.row, self.place]
        slots = [
            self._at(level, 1) * 27 + self._at(level, 2) * 9 + self._at(level, 3) * 3 + self._at(level, stride),
            _density(own, self.row) * 12 + _density(entries, self.seen),
            self.place,
        ]
        more = [self._at(self.kind, 1) * one._CLASSES + self._at(self.kind, 2), self.pair] if self.model.pairs else []
        if self.model.light:
            return np.stack(slots + more)
        far = self._column(stride) + self._column(-stride)
        around = far + self._column(1) + self._column(-1)
        offsets = [(1, 0), (2, 0), (stride, 0), (stride + 1, 0), (stride - 1, 0), (0, 1), (1, 1), (-1, 1), (0, 2)]
        near = np.count_nonzero([self._at(level, back, up) for back, up in offsets], axis=0)
        last, gap = self._last(), self._gap()
        age = np.where(last > 0, _bucket(self.row - last), one._UNSEEN)
        return np.stack(
            [
                *slots,
                np.zeros_like(self.row),
                (_bucket(around) * 10 + near) * 2 + (self._at(level, 1) > 0),
                (_bucket(far) * 12 + _bucket(own)) * 3 + self._at(level, stride),
                _bucket(entries) * 12 + _bucket(self.seen),
                _bucket(gap) * 3 + self._at(level, 1),
                age * 12 + _bucket(own),
                *more,
            ]
        )

    def _last(self) -> Numbers:
        """The number, from 1 on, of the last line before with an entry in the column, or 0."""
        numbers = np.arange(1, 1 + len(self.is_entry))[:, None] * self.is_entry
        before = np.pad(np.maximum.accumulate(numbers, axis=0), ((1, 0), (0, 0)))
        found: Numbers = before[self.row, self.place]
        return found

    def _gap(self) -> Numbers:
        """Live positions of the line since its last entry."""
        start = np.where(self.is_entry[self.row, self.place], self.seen + 1, 0).reshape(self.shape)
        after: Numbers = np.pad(np.maximum.accumulate(start, axis=1), ((0, 0), (1, 0)))[:, :-1].reshape(-1)
        return self.seen - after

    def value_slots(self, entries: npt.NDArray[np.intp], nodes: Numbers, made: npt.NDArray[np.bool_]) -> Numbers:
        """Of the decisions that are made at the nodes of these positions, which have an entry."""
        stride, kind = self.model.stride, self.kind
        near = [self._at(kind, back)[entries] for back in (1, stride, stride - 1, 2, stride + 1, 2 * stride)]
        known, second = np.count_nonzero(near, axis=0), np.count_nonzero(np.array(near) > 8, axis=0)
        around = (np.clip(2 * second - known, -4, 4) + 4) * 7 + known
        n, above = nodes * one._CLASSES, self._at(kind, 0, 1)[entries]
        slots: list[Any] = [n + near[0][:, None], n + near[1][:, None], nodes]
        if not self.model.light:
            slots += [n + above[:, None], n + near[2][:, None], nodes * 63 + around[:, None]]
        if self.model.pairs:
            next_size = (2 * self._at(self.size, 1) - self._at(self.size, 2))[entries]
            slots += [(n + near[i][:, None]) * one._CLASSES + near[k][:, None] for i, k in ((0, 3), (1, 5))]
            slots += [n + _kind_of_size(next_size)[:, None]]
            slots += [nodes * self.model.pairs.total + self.pair[entries][:, None]]
        return np.stack([slot[made] for slot in slots])


def _pairs(model: Model, lines: npt.NDArray[np.intp], places: npt.NDArray[np.intp]) -> Numbers:
    """The number of the pair of classes of each position."""
    if not model.pairs:
        return np.zeros(len(lines) * len(places), np.int64)
    of_lines, of_places = (np.frombuffer(own, np.uint8).astype(np.int64) for own in model.pairs[:2])
    numbers: Numbers = (of_lines[lines][:, None] + of_places[places]).reshape(-1)
    return numbers


def _bucket(n: Numbers) -> Numbers:
    found: Numbers = _BUCKETS[np.minimum(n, 200)]
    return found


def _kind_of_size(sizes: Numbers) -> Numbers:
    found: Numbers = np.where(sizes, 1 + 8 * (sizes < 0) + np.minimum(_bucket(abs(sizes) - 1), 7), 0)
    return found


def _density(c: Numbers, k: Numbers) -> Numbers:
    return _bucket(64 * (4 * c + 1) // (4 * k + 2))


# ---- slots and weights -------------------------------------------------------------------------------------------


def _mix(mixers: Sequence[Decisions]) -> list[Numbers]:
    """The probability that each mixer gives each of its decisions."""
    contexts = max(len(mixer.slots) for mixer in mixers)
    most = max(len(mixer.bits) for mixer in mixers)
    inputs = np.zeros((most, contexts, len(mixers)), np.int64)
    decided = np.zeros((most, len(mixers)), np.int64)
    weights = np.zeros((contexts, len(mixers)), np.int64)
    learned = iter(_learn([(slots, mixer.bits) for mixer in mixers for slots in mixer.slots]))
    # The longest first, so that those that go on are the first ones.
    order = sorted(range(len(mixers)), key=lambda m: -len(mixers[m].bits))
    lane_of = {m: lane for lane, m in enumerate(order)}
    for m, mixer in enumerate(mixers):
        decided[: len(mixer.bits), lane_of[m]] = mixer.bits << 16
        weights[: len(mixer.slots), lane_of[m]] = 81920 // len(mixer.slots)
        for k in range(len(mixer.slots)):
            inputs[: len(mixer.bits), k, lane_of[m]] = next(learned)
    probabilities = np.empty_like(decided)
    rates = 640 + 7680 // (1 + (np.arange(most) >> 6))
    ends = [len(mixers[m].bits) for m in order]
    start = 0
    for lanes in reversed(range(1, 1 + len(order))):
        for first in range(start, ends[lanes - 1], _STEPS):
            part, own = slice(first, min(first + _STEPS, ends[lanes - 1])), weights[:, :lanes].copy()
            probabilities[part, :lanes] = _weigh(inputs[part, :, :lanes], decided[part, :lanes], own, rates[part])
            weights[:, :lanes] = own
        start = max(start, ends[lanes - 1])
    return [probabilities[: len(mixer.bits), lane_of[m]] for m, mixer in enumerate(mixers)]


def _weigh(inputs: Numbers, decided: Numbers, weights: Numbers, rates: Numbers) -> Numbers:
    """Decision by decision, of all mixers. A context that a mixer has not is an input of 0, which changes nothing."""
    inputs, out = np.ascontiguousarray(inputs), np.empty_like(decided)
    products, sums = np.empty_like(weights), np.empty(weights.shape[1], np.int64)
    # A decision changes a weight by less than 3071 * 65536 / 2**26 times the rate.
    is_bounded = int(np.abs(weights).max()) + 3 * int(rates.sum()) + len(rates) < one._MAX_WEIGHT
    for row, bit, rate, probability in zip(inputs, decided, rates.tolist(), out, strict=True):
        np.multiply(weights, row, out=products)
        np.add.reduce(products, axis=0, out=sums, initial=one._MAX_STRETCH << 16)
        np.right_shift(sums, 16, out=sums)
        _PROBABILITIES.take(sums, out=probability, mode="clip")
        np.subtract(bit, probability, out=sums)
        np.multiply(sums, rate, out=sums)
        np.multiply(row, sums, out=products)
        np.add(products, 1 << 25, out=products)
        np.right_shift(products, 26, out=products)
        np.add(weights, products, out=weights)
        if not is_bounded:
            np.maximum(weights, -one._MAX_WEIGHT, out=weights)
            np.minimum(weights, one._MAX_WEIGHT, out=weights)
    return out


def _learn(contexts: Sequence[tuple[Numbers, Numbers]]) -> list[Numbers]:
    """The logit of the slot before each decision. contexts : the slots and the bits of the decisions of each."""
    # Many contexts are the same for all strides.
    keys = [(slots.tobytes(), bits.tobytes()) for slots, bits in contexts]
    different = dict(zip(keys, contexts, strict=True))
    orders, sizes, bits = [], [], []
    for slots, decided in different.values():
        # NumPy sorts narrow numbers faster.
        order = np.argsort(slots.astype(np.uint16) if slots.max(initial=0) < 1 << 16 else slots, kind="stable")
        counts = np.bincount(slots)
        orders.append(order)
        sizes.append(counts[counts > 0])
        bits.append(decided[order])
    logits = _learn_slots(np.concatenate(sizes), np.concatenate(bits))
    cuts = np.cumsum([len(order) for order in orders])[:-1]
    learned: dict[tuple[bytes, bytes], Numbers] = {}
    for key, order, own in zip(different, orders, np.split(logits, cuts), strict=True):
        learned[key] = np.empty_like(own)
        learned[key][order] = own
    return [learned[key] for key in keys]


def _learn_slots(sizes: Numbers, bits: Numbers) -> Numbers:
    """sizes : how many decisions meet each slot. bits : those of the first slot, then those of the second, ..."""
    largest_first = np.argsort(-sizes, kind="stable")
    at = (np.cumsum(sizes) - sizes)[largest_first]
    open_slots = np.searchsorted(-sizes[largest_first], -np.arange(sizes.max(initial=0)), "left")
    probability = np.full(len(sizes), 1 << 21, np.int64)
    before = np.empty_like(bits)
    # Up by a part of what is missing is down by a part of it with all bits inverted.
    inverted = bits * 4194303
    for seen, many in enumerate(open_slots.tolist()):
        now, old = at[:many], probability[:many]
        before[now] = old
        inversion = inverted[now]
        old ^= inversion
        old -= old * (131072 // (2 * min(seen, one._LIMIT) + 3)) >> 16
        old ^= inversion
        now += 1
    logits: Numbers = _STRETCHED[before >> 10]
    logits[np.cumsum(sizes) - sizes] = 0
    return logits
