"""What calibration knows of each matrix: how its inputs, and the gradients of its outputs, spread."""

from __future__ import annotations

import json
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


def cuts(length: int) -> list[slice]:
    """The blocks of so many rows or columns."""
    size = length if length <= WHOLE else BLOCK
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


@dataclass
class Moments:
    """Sums over tokens t with inputs x and output gradients g, each weighted by the other (attention sinks have huge
    inputs and no gradients: unweighted they would rule the sums of a language model).

    columns : blocks of the sum of |g|^2 x x^T, each float32 (groups, size, size)
    rows : blocks of the sum of |x|^2 g g^T, likewise; or its diagonal, float32 (groups, rows), beyond `DIAGONAL` rows
    total : the sum of |x|^2 |g|^2, float64 (groups,): the trace of both
    counts : of a lookup, as in an embedding, where inputs are one-hot: how often each row occurred, float32 (rows,);
        None of a product
    """

    columns: list[Tensor]
    rows: list[Tensor] | Tensor
    total: Tensor
    counts: Tensor | None = None

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
        return cls(blocks(layout.columns), rows, torch.zeros(layout.groups, dtype=torch.float64), counts)

    def add(self, inputs: Tensor, gradients: Tensor) -> None:
        """inputs : (groups, tokens, columns). gradients : (groups, tokens, rows)"""
        x, g = inputs.float(), gradients.float()
        of_gradients = g.square().sum(2)
        counts = (of_gradients > 0).any(0)
        if int(counts.sum()) < _MOST_USED * len(counts):
            # Padding, and the like.
            x, g, of_gradients = x[:, counts], g[:, counts], of_gradients[:, counts]
        of_inputs = x.square().sum(2)
        weighted = x * of_gradients.sqrt()[:, :, None]
        for block, cut in zip(self.columns, cuts(x.shape[2]), strict=True):
            part = weighted[:, :, cut]
            block += (part.transpose(1, 2) @ part).to(block.device)
        weighted = g * of_inputs.sqrt()[:, :, None]
        if isinstance(self.rows, Tensor):
            self.rows += weighted.square().sum(1).to(self.rows.device)
        else:
            for block, cut in zip(self.rows, cuts(g.shape[2]), strict=True):
                part = weighted[:, :, cut]
                block += (part.transpose(1, 2) @ part).to(block.device)
        self.total += (of_inputs * of_gradients).double().sum(1).to(self.total.device)

    def add_lookup(self, ids: Tensor, gradients: Tensor) -> None:
        """Of an embedding: `ids` (tokens,) are the rows that were looked up. gradients : (tokens, columns)"""
        g = gradients.float()
        of_gradients = g.square().sum(1)
        for block, cut in zip(self.columns, cuts(g.shape[1]), strict=True):
            block[0] += (g[:, cut].T @ g[:, cut]).to(block.device)
        assert isinstance(self.rows, Tensor)
        assert self.counts is not None
        places = ids.to(self.rows.device)
        self.rows[0].index_add_(0, places, of_gradients.to(self.rows))
        self.counts.index_add_(0, places, (of_gradients > 0).to(self.counts))
        self.total += of_gradients.double().sum().to(self.total.device)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All of it, with names."""
        yield "total", self.total
        if self.counts is not None:
            yield "counts", self.counts
        yield from ((f"columns.{number}", block) for number, block in enumerate(self.columns))
        if isinstance(self.rows, Tensor):
            yield "rows", self.rows
        else:
            yield from ((f"rows.{number}", block) for number, block in enumerate(self.rows))


@dataclass
class Statistics:
    """Of a network.

    layouts : of every matrix, by the name of its tensor
    moments : of each matrix that calibration reached; two for a tensor with two roles, as a tied embedding has
    vectors : of every other parameter the sum of squared gradients, of which each batch has one, float32
    samples : outputs that were looked at: the sums belong to so many
    kind : "relative" or "divergence": whether outputs count by their relative error or by the divergence (KL) of the
        distribution that they are the logits of
    """

    layouts: dict[str, Layout] = field(default_factory=dict)
    moments: dict[str, list[Moments]] = field(default_factory=dict)
    vectors: dict[str, Tensor] = field(default_factory=dict)
    samples: int = 0
    kind: str = "relative"

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
                        for key, tensor in moments.tensors():
                            tensor.copy_(get(prefix + key))
        except (SafetensorError, json.JSONDecodeError, KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"these are no statistics of calibration: {error}", file=os.fsdecode(path)) from error
        return own
