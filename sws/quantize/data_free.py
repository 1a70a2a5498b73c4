"""Quantising without calibration: what the weights themselves tell.

Nothing is known of inputs and gradients, so that errors are not made good, and rounding alone knows the rate. Steps
follow the root mean square of the matrix: normalised networks make every matrix matter by its relative error. Where a
network is many blocks of the same matrices, one behind the other, as transformers are, all of their matrices matter
about alike, but for the values of attention, which count more, as does what makes words of their outputs. Within the
matrix of a linear layer steps follow the fourth root of the root mean square of each column: training makes weights of
small inputs large. In a convolution they follow the square root of that of each row: what comes after it, mostly a norm
of each channel, makes the relative error of each count. In the matrices of LSTM and GRU, told by the names that torch
gives them, they follow that of each row itself: gates with large weights are open or shut, and those with small ones,
whose errors go round with the state, are not. (docs/quantizing.md says what was measured.)
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from .factors import Factors
from .layout import Layout

COLUMN_POWER, ROW_POWER = 0.25, 0.5
"""Of the root mean square of a column of a linear layer, or row of a convolution, which its steps are in proportion to:
between one step for all and one error relative to each."""
HEAD_STEP, VALUE_STEP = 0.7, 0.5
"""Of a matrix that makes words, and of those that make the values of attention, relative to the others of blocks."""
# Of the root mean square of the matrix: no column or row counts as less.
_LEAST = 0.1
_RECURRENT = re.compile(r"weight_(ih|hh)(_l\d+(_reverse)?)?$")
# The number of a block, between its name and those of its matrices; and its least rows and columns.
_NUMBER = re.compile(r"(?:^|(?<=\.))\d+(?=\.)")
_LEAST_SIDE = 16
# What makes words, and where there is none, what words are made of does it too: the names of transformers and GGUF.
_HEAD = re.compile(r"(^|\.)(lm_head|embed_out|output)\.weight$")
_VALUE = re.compile(r"(^|[._])(v|value|v_proj|attn_v|wv)\.weight$")
_WORDS = re.compile(
    r"(^|\.)(embed_tokens|wte|embed_in|token_embd|transformer\.word_embeddings)\.weight$|^tok_embeddings\.weight$"
)


def size_of(tensor: Tensor) -> float:
    """The root mean square of its weights; 1 of zeros."""
    norm = float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64))
    return norm / math.sqrt(max(1, tensor.numel())) or 1.0


def sizes(shapes: Mapping[str, tuple[int, ...]], aliases: Mapping[str, str] | None = None) -> dict[str, float]:
    """Of matrices whose steps do not follow from their own numbers of weights, the number that they follow from.

    shapes : of the floating-point tensors of a network by name, tied ones once
    aliases : other names of these, and which
    Blocks are what has two matrices or more, each there under several names that differ in one number, in one shape.
    Everything is told by names and shapes: the words of an encoder that are called as those of a decoder count as such.
    """
    matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2 and min(shape) >= _LEAST_SIDE}
    numbered = defaultdict(list)
    for name, shape in matrices.items():
        for number in _NUMBER.finditer(name) if _RECURRENT.search(name) is None else ():
            numbered[name[: number.start()], name[number.end() :], shape].append(name)
    kinds = defaultdict(list)
    for (before, _, _), names in numbered.items():
        if len(names) > 1:
            kinds[before].append(names)
    own = {name for alike in kinds.values() if len(alike) > 1 for names in alike for name in names}
    if not own:
        return {}
    mean = sum(math.prod(matrices[name]) for name in own) / len(own)
    steps = {name: VALUE_STEP if _VALUE.search(name) else 1.0 for name in sorted(own)}
    steps.update(dict.fromkeys(_heads(matrices, own, aliases), HEAD_STEP))
    return {name: step**2 * mean for name, step in steps.items()}


def _heads(matrices: Mapping[str, tuple[int, ...]], own: set[str], aliases: Mapping[str, str] | None) -> list[str]:
    """The matrices that make words. own : those of blocks"""
    others = {name: name for name in matrices if name not in own}
    others.update({alias: name for alias, name in (aliases or {}).items() if name in others})
    words = {name for alias, name in others.items() if _WORDS.search(alias)}
    lengths = {matrices[name][0] for name in words}
    heads = {
        name
        for alias, name in others.items()
        # One that gives answers of another kind has fewer rows.
        if _HEAD.search(alias) and (not lengths or matrices[name][0] in lengths)
    }
    return sorted(heads or words)


def factors(tensor: Tensor, layout: Layout, name: str = "", size: float | None = None) -> list[Factors]:
    """Steps in proportion to the root mean square of the weights, and a root of that of columns or rows.

    name : of the tensor in its network, which tells recurrent ones
    size : what `sizes` has for it; None for the number of its weights
    The relative errors of all matrices add up to that of the output where each changes its input by about as much:
    an error of |E|^2 / |W|^2 has the share of a matrix, so that a weight costs 1 / |W|^2.
    """
    return like(tensor, layout, math.sqrt(size or tensor.numel()), name)


def like(tensor: Tensor, layout: Layout, relative: float, name: str = "") -> list[Factors]:
    """The same with steps of c times `relative` times the root mean square of the weights."""
    whole = size_of(tensor)
    out = []
    is_recurrent = _RECURRENT.search(name) is not None
    # Rows have steps of their own, or columns.
    by_row = is_recurrent or len(layout.shape) > 2
    for weights in layout.matrix(tensor.detach()):
        norms = torch.linalg.vector_norm(weights, dim=int(by_row), dtype=torch.float32)
        norms = norms / math.sqrt(weights.shape[int(by_row)])
        power = 1 if is_recurrent else ROW_POWER if by_row else COLUMN_POWER
        steps = (norms / whole).clamp(min=_LEAST).pow(power).cpu()
        if by_row:
            out.append(Factors(torch.ones(layout.columns), relative * whole * steps))
        else:
            out.append(Factors(steps, torch.full((layout.rows,), relative * whole)))
    return out
