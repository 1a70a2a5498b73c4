"""What calibration knows of each matrix: how its inputs, and the gradients of its outputs, spread."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from swsfmt import InputError

from .layout import Layout

WHOLE = 2048
"""A matrix of no more rows or columns has one block of second moments for them all."""
BLOCK = 1024
"""Rows or columns of a block, where there are more."""
DIAGONAL = 8192
"""Of more rows, as vocabularies have, only the mean squares are known."""
# Of tokens: where fewer have a gradient, the others are left out.
_MOST_USED = 0.95
# Of what is made of some outputs at a time.
_MOST_ELEMENTS = 1 << 24


def cuts(length: int) -> list[slice]:
    """The blocks of so many rows or columns."""
    size = length if length <= WHOLE else BLOCK
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


@dataclass
class Moments:
    """Sums over D, what an output changes by for each change of a weight, (rows, columns): the gradient of the weight.

    Of one token with inputs x and output gradients g that is g x^T, so that D^T D is |g|^2 x x^T: inputs and gradients
    are weighted by each other. Attention sinks have huge inputs and no gradients, and unweighted they would rule the
    sums of a language model. Of an output that many tokens make together D is their sum.

    columns : blocks of the sum of D^T D, each float32 (groups, size, size)
    rows : blocks of the sum of D D^T, likewise; or its diagonal, float32 (groups, rows), beyond `DIAGONAL` rows
    total : the sum of |D|^2, float64 (groups,): the trace of both
    spread : of each block of columns, then of rows, the sum over D of the squares of all elements of its part of D^T D
        or D D^T, float64 (blocks, groups): from it follows how far off the sums are (`shrinkage`)
    count : of D
    deferred : inputs and gradients of a batch that is not complete
    counts : of a lookup, as in an embedding, where inputs are one-hot: how often each row occurred, float32 (rows,);
        None of a product
    """

    columns: list[Tensor]
    rows: list[Tensor] | Tensor
    total: Tensor
    spread: Tensor
    count: int = 0
    counts: Tensor | None = None
    deferred: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    @property
    def is_lookup(self) -> bool:
        return self.counts is not None

    @classmethod
    def zeros(cls, layout: Layout, is_lookup: bool = False) -> Moments:
        def blocks(length: int) -> list[Tensor]:
            sizes = [cut.stop - cut.start for cut in cuts(length)]
            return [torch.zeros(layout.groups, size, size) for size in sizes]

        diagonal = is_lookup or layout.rows > DIAGONAL
        rows = torch.zeros(layout.groups, layout.rows) if diagonal else blocks(layout.rows)
        counts = torch.zeros(layout.rows) if is_lookup else None
        columns = blocks(layout.columns)
        total = torch.zeros(layout.groups, dtype=torch.float64)
        spread = torch.zeros(len(columns) + (0 if diagonal else len(rows)), layout.groups, dtype=torch.float64)
        return cls(columns, rows, total, spread, counts=counts)

    def add(self, inputs: Tensor, gradients: Tensor, outputs: int | None) -> None:
        """inputs : (groups, tokens, columns). gradients : (groups, tokens, rows)

        outputs : how many the tokens make, equally many each, one after the other, so that what an error does to the
            tokens of one adds up; None where each token has its own
        """
        x, g = inputs.float(), gradients.float()
        tokens = x.shape[1]
        if outputs is not None:
            each = tokens // outputs if tokens % outputs == 0 else tokens
            x, g = (part.unflatten(1, (-1, each)) for part in (x, g))
            width, height = x.shape[3], g.shape[3]
            size = height * width if each >= min(height, width) else each * max(each, height, width)
            for some, own in zip(*(part.split(max(1, _MOST_ELEMENTS // size), 1) for part in (x, g)), strict=True):
                self._add_outputs(some, own)
            return
        of_inputs, of_gradients = x.square().sum(2), g.square().sum(2)
        is_used = (of_gradients > 0).any(0)
        if int(is_used.sum()) < _MOST_USED * tokens:
            # Padding, and the like.
            x, g = x[:, is_used], g[:, is_used]
            of_inputs, of_gradients = of_inputs[:, is_used], of_gradients[:, is_used]
        columns, rows = x * of_gradients.sqrt()[:, :, None], g * of_inputs.sqrt()[:, :, None]
        self._add(columns[:, :, None], rows[:, :, None], (of_inputs * of_gradients).sum(1))

    def _add_outputs(self, x: Tensor, g: Tensor) -> None:
        """Of each output its tokens, (groups, outputs, tokens, columns) and (groups, outputs, tokens, rows)."""
        if x.shape[2] >= min(x.shape[3], g.shape[3]):
            own = g.mT @ x
            self._add(own, own.mT, own.square().sum((1, 2, 3)))
            return
        # D = g^T x is larger than both: D^T D = x^T (g g^T) x = (R x)^T (R x) is as much work as tokens apart.
        of_x, of_g = x @ x.mT, g @ g.mT
        self._add(_root(of_g) @ x, _root(of_x) @ g, (of_x * of_g).sum((1, 2, 3)))

    def add_lookup(self, ids: Tensor, gradients: Tensor, outputs: int | None) -> None:
        """Of an embedding: `ids` (tokens,) are the rows that were looked up. gradients : (tokens, columns)"""
        assert self.counts is not None
        assert isinstance(self.rows, Tensor)
        g = gradients.float()
        rows = ids
        if outputs is not None:
            # What one output has of a row adds up.
            each = len(ids) // outputs if len(ids) % outputs == 0 else len(ids)
            own = torch.arange(len(ids), device=ids.device) // each * len(self.counts) + ids
            occurred, places = own.unique(return_inverse=True)
            g = g.new_zeros(len(occurred), g.shape[1]).index_add_(0, places, g)
            rows = occurred % len(self.counts)
        of_gradients = g.square().sum(1)
        self._add_columns(g[None, :, None])
        self.rows[0].index_add_(0, rows.to(self.rows.device), of_gradients.to(self.rows))
        counts = (gradients != 0).any(1)
        self.counts.index_add_(0, ids.to(self.counts.device), counts.to(self.counts))
        self.total += of_gradients.double().sum().to(self.total.device)

    def defer(self, inputs: Tensor, gradients: Tensor) -> None:
        """As `add`, of a part of the tokens that make the outputs of a batch, (..., columns) and (..., rows): `settle`
        adds them all.
        """
        self.deferred.append((inputs, gradients))

    def settle(self, outputs: int) -> None:
        """Add what was deferred, where its first dimension is that of the outputs; else as tokens of one of them."""
        if not self.deferred:
            return
        if any(len(inputs) != outputs for inputs, _ in self.deferred):
            outputs = 1
        x, g = (
            torch.cat([part.reshape(outputs, -1, part.shape[-1]) for part in parts], 1).flatten(0, 1)[None]
            for parts in zip(*self.deferred, strict=True)
        )
        self.deferred.clear()
        self.add(x, g, outputs)

    def _add(self, columns: Tensor, rows: Tensor, total: Tensor) -> None:
        """Lines whose products with themselves are D^T D and D D^T: (groups, D, lines, columns) and (groups, D, lines,
        rows).
        """
        self._add_columns(columns)
        if isinstance(self.rows, Tensor):
            self.rows += rows.square().sum((1, 2)).to(self.rows.device)
        else:
            _add_products(self.rows, rows, self.spread[len(self.columns) :])
        self.total += total.double().to(self.total.device)

    def _add_columns(self, columns: Tensor) -> None:
        _add_products(self.columns, columns, self.spread[: len(self.columns)])
        self.count += columns.shape[1]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All of it, with names."""
        yield "total", self.total
        yield "spread", self.spread
        if self.counts is not None:
            yield "counts", self.counts
        yield from ((f"columns.{number}", block) for number, block in enumerate(self.columns))
        if isinstance(self.rows, Tensor):
            yield "rows", self.rows
        else:
            yield from ((f"rows.{number}", block) for number, block in enumerate(self.rows))


def _add_products(blocks: list[Tensor], lines: Tensor, spread: Tensor) -> None:
    """Of (groups, D, lines, size): to each block the products of its part with itself, to `spread` their squares."""
    for block, sums, cut in zip(blocks, spread, cuts(lines.shape[3]), strict=True):
        part = lines[..., cut]
        flat = part.flatten(1, 2)
        product = flat.mT @ flat
        if part.shape[2] <= part.shape[3]:
            squares = (part @ part.mT).square().sum((1, 2, 3))
        else:
            squares = (part.mT @ part).square().sum((1, 2, 3))
        block += product.to(block.device)
        sums += squares.double().to(sums.device)


def _root(square: Tensor) -> Tensor:
    """R of R^T R = `square`, positive semidefinite, (..., size, size)."""
    values, vectors = torch.linalg.eigh(square)
    root: Tensor = values.clamp(min=0).sqrt()[..., None] * vectors.mT
    return root


@dataclass
class Statistics:
    """Of a network.

    layouts : of every matrix, by the name of its tensor
    moments : of each matrix that calibration reached; two for a tensor with two roles, as a tied embedding has
    vectors : of every other parameter the sum of squared gradients, of which each batch has one, float32
    samples : outputs that were looked at: the sums belong to so many
    kind : "relative" or "divergence": whether outputs count by their relative error or by the divergence (KL) of the
        distribution that they are the logits of. Many tokens make an output of the first kind, one of the second
    batch : outputs of the batch at hand
    """

    layouts: dict[str, Layout] = field(default_factory=dict)
    moments: dict[str, list[Moments]] = field(default_factory=dict)
    vectors: dict[str, Tensor] = field(default_factory=dict)
    samples: int = 0
    kind: str = "relative"
    batch: int = field(default=1, repr=False)

    def settle(self) -> None:
        """Add what was deferred: one batch has passed."""
        for roles in self.moments.values():
            for own in roles:
                own.settle(self.batch)

    def outputs(self, length: int) -> int | None:
        """Of the batch at hand, for `Moments.add`: where `length` is that of its inputs along their first dimension."""
        if self.kind != "relative":
            return None
        return self.batch if length == self.batch else 1

    def of(self, name: str, layout: Layout, is_lookup: bool = False) -> Moments:
        """The sums of a role of a matrix, zeros at first."""
        roles = self.moments.setdefault(name, [])
        for own in roles:
            if own.is_lookup == is_lookup:
                return own
        roles.append(Moments.zeros(layout, is_lookup))
        return roles[-1]

    def save(self, path: str | os.PathLike[str]) -> None:
        """A safetensors file, from which `load` gives the same sums to the last bit."""
        from safetensors.torch import save_file

        tensors = {
            f"{name}/{number}/{key}": tensor.contiguous()
            for name, roles in self.moments.items()
            for number, own in enumerate(roles)
            for key, tensor in own.tensors()
        }
        tensors |= {f"vectors/{name}": tensor.contiguous() for name, tensor in self.vectors.items()}
        head = {
            "samples": self.samples,
            "kind": self.kind,
            "layouts": {name: [list(own.shape), own.groups, own.is_transposed] for name, own in self.layouts.items()},
            "lookups": {name: [own.is_lookup for own in roles] for name, roles in self.moments.items()},
            "counts": {name: [own.count for own in roles] for name, roles in self.moments.items()},
        }
        save_file(tensors, path, {"swsfmt-statistics": json.dumps(head)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Statistics:
        """Raises `InputError` for a file that `save` has not written, `OSError`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), "pt") as file:
                text = (file.metadata() or {}).get("swsfmt-statistics")
                if text is None:
                    raise InputError("these are no statistics of calibration", file=os.fsdecode(path))
                head, get = json.loads(text), file.get_tensor
                names = sorted(file.keys())
                layouts = {
                    name: Layout(tuple(shape), groups, transposed)
                    for name, (shape, groups, transposed) in head["layouts"].items()
                }
                vectors = {name[len("vectors/") :]: get(name) for name in names if name.startswith("vectors/")}
                own = cls(layouts, {}, vectors, head["samples"], head["kind"])
                for name, lookups in head["lookups"].items():
                    for number, is_lookup in enumerate(lookups):
                        moments, prefix = own.of(name, layouts[name], is_lookup), f"{name}/{number}/"
                        moments.count = operator.index(head["counts"][name][number])
                        for key, tensor in moments.tensors():
                            tensor.copy_(get(prefix + key))
        except InputError:
            raise
        except (SafetensorError, LookupError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"these are no statistics of calibration: {error}", file=os.fsdecode(path)) from error
        return own
