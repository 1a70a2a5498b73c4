"""Finds the smallest adaptive form of a tensor: scan, stride, set of contexts, classes, chunks. It tries them.

The candidates are few, and those of a large tensor are tried on its first lines, so that the search takes no longer
than a few times the coding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from heapq import nsmallest
from itertools import chain, product
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from ...entropy.adaptive import MAX_LINE, MAX_LINES, MAX_STRIDE, Code, encode_each
from ...entropy.bits import varint_bytes
from ...entropy.logarithms import UNIT
from ...entropy.rans import MAX_ALPHABET, Classes
from ..base import Made, Scan, SymbolMatrix, Symbols
from ..matrix import matrix_shape
from .chunks import encode, in_order, joined
from .params import Params, signs, write

# Neighbours of pixels in images of 28 and 32 columns, and of channels behind convolutions and poolings.
_STRIDES = (4, 5, 7, 16, 25, 28, 32, 49)
# Rounds: the elements other than zero that a candidate is tried on, about, and how many of each scan go on: their
# samples are not of the same size, and to learn costs most in small ones. The bytes of the last ones are compared.
_ROUNDS = ((1 << 13, 6), (1 << 15, 2), (1 << 19, 2))
# Of all elements at most so many.
_SAMPLE = 1 << 19
# From this many elements on the smaller set of contexts is taken, because it is faster.
_LIGHT_FROM = 1 << 22
# Contexts are of lines before, too.
_LEAST_LINES = 32
# Of them, whose decisions take so many bits more than the fewest, at most, the bytes are compared.
_CLOSE = 32
# A chunk has about this many bytes, and all of them together take at most 1/200 more than one would.
_CHUNK_BYTES = 1 << 16
_CHUNK_SHARE = 200


def plan(matrix: SymbolMatrix, light: bool | None = None, threads: int = 1) -> Made | None:
    """The smallest adaptive form, its payload, and its size in bits, parameters and payload.

    light : the set of contexts; None for the larger one but where the tensor is large
    threads : candidates, or chunks, that are coded at the same time
    None where the lines of the matrix are too long for this coding.
    """
    tensor, symbols = matrix.info, matrix.symbols
    rows, columns = matrix_shape(tensor.shape)
    if light is None:
        light = tensor.numel >= _LIGHT_FROM
    common = Params(matrix.number, matrix.codebook, light=light, zeros=bool(matrix.counts[0]))
    shapes = ((Scan.ROWS, rows, columns), (Scan.COLUMNS, columns, rows))
    scans = [scan for scan, lines, length in shapes if length <= MAX_LINE and lines <= MAX_LINES]
    if not scans:
        return None
    candidates = [
        replace(common, scan=scan, stride=stride)
        for scan, stride in product(scans, _strides(tensor.shape, columns))
        # Without zeros no line is dead, and across lines nothing has a stride.
        if scan == Scan.ROWS or common.zeros or stride == 1
    ]
    # Contexts of sizes tell something where there is more than one.
    if max(signs(matrix.codebook)) > 1:
        one = Classes(np.zeros(rows, np.uint8), np.zeros(columns, np.uint8), 1, 1)
        candidates += [candidate.with_classes(one) for candidate in candidates]
    tried = _cheapest(candidates, symbols, symbols.size - int(matrix.counts[0]), threads)
    most = tried[0].cost + _CLOSE / tried[0].sample.size
    made = [(own, own.code.to_bytes()) for own in tried if own.cost <= most]
    (params, _, sample, _), code = min(made, key=lambda each: _share(each[0], len(each[1])))
    if params.has_classes:
        params, code = _classified(params, matrix, code, sample, threads)
    payload = joined(params, [code])
    if sample.size < symbols.size:
        params, payload = _chunked(params, symbols, code, sample.size, threads)
    return Made(params, payload, 8 * (len(write(params)) + varint_bytes(len(payload)) + len(payload)))


class _Tried(NamedTuple):
    """A candidate: its code of a sample of the matrix, and what that and its parameters cost, in bits an element."""

    params: Params
    code: Code
    sample: Symbols
    cost: float


_cost = attrgetter("cost")


def _cheapest(candidates: Sequence[Params], symbols: Symbols, marks: int, threads: int) -> list[_Tried]:
    """The cheapest ones of each scan, the cheapest of all first. marks : elements other than zero"""
    # A round before on all that there is would be the last one.
    rounds = [*(own for own in _ROUNDS[:-1] if marks > 2 * own[0]), _ROUNDS[-1]]
    for elements, count in rounds:
        most = min(elements * symbols.size // max(marks, 1), _SAMPLE)
        samples = [_sample(symbols, candidate.scan, most) for candidate in candidates]
        tried = [
            # Lines of rows and of columns give samples of different sizes.
            _Tried(params, code, sample, (code.cost / UNIT + 8 * len(write(params))) / sample.size)
            for params, code, sample in zip(candidates, _codes(candidates, samples, threads), samples, strict=True)
        ]
        best = [nsmallest(count, [own for own in tried if own.params.scan == scan], key=_cost) for scan in Scan]
        tried = sorted(chain(*best), key=_cost)
        candidates = [own.params for own in tried]
    return tried


def _share(tried: _Tried, code_bytes: int) -> float:
    """Of an element, in bytes."""
    return (code_bytes + len(write(tried.params))) / tried.sample.size


def _strides(shape: Sequence[int], columns: int) -> list[int]:
    """Those that are tried: 1, the widths of filters and of square images, and the usual ones."""
    strides = {*_STRIDES, *shape[2:], math.prod(shape[2:]), math.isqrt(columns)}
    return [1, *sorted(stride for stride in strides if 2 <= stride < columns and stride <= MAX_STRIDE)]


def _sample(symbols: Symbols, scan: Scan, elements: int) -> Symbols:
    """The first lines, of so many elements about, and as many as contexts need; all where they are not many more."""
    if symbols.size <= 2 * elements:
        return symbols
    length = symbols.shape[1 - scan]
    lines = max(1, elements // length, min(_LEAST_LINES, _SAMPLE // length))
    return symbols[:lines] if scan == Scan.ROWS else symbols[:, :lines]


def _codes(candidates: Sequence[Params], samples: Sequence[Symbols], threads: int = 1) -> list[Code]:
    by_line = [in_order(params, sample) for params, sample in zip(candidates, samples, strict=True)]
    models = [
        params.model(params.classes).of_lines(0, len(lines)) for params, lines in zip(candidates, by_line, strict=True)
    ]
    return encode_each(by_line, models, threads)


def _classified(
    params: Params, matrix: SymbolMatrix, code: bytes, sample: Symbols, threads: int
) -> tuple[Params, bytes]:
    """With classes of rows and columns, where they save more than they take. code : of the sample, without"""
    if matrix.codebook.count >= MAX_ALPHABET:
        return params, code
    classes = matrix.classes(threads)
    if classes.row_classes * classes.column_classes == 1:
        return params, code
    classified = params.with_classes(classes)
    other = _codes([classified], [sample])[0].to_bytes()
    saved = (len(code) - len(other)) * matrix.symbols.size // sample.size
    if saved > len(joined(classified, [b""])):
        return classified, other
    return params, code


def _chunked(params: Params, symbols: Symbols, code: bytes, sample: int, threads: int) -> tuple[Params, bytes]:
    """The payload of the whole tensor, in as many chunks as cost little. code: of the first `sample` elements."""
    lines = symbols.shape[params.scan]
    chunks = max(1, len(code) * symbols.size // (sample * _CHUNK_BYTES))
    whole = encode(params, symbols)
    while chunks > 1:
        chunked = replace(params, chunk_lines=-(-lines // chunks))
        payload = encode(chunked, symbols, threads)
        if len(payload) - len(whole) <= len(whole) // _CHUNK_SHARE:
            return chunked, payload
        chunks //= 2
    return params, whole
