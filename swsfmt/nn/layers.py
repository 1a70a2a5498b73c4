"""Modules with packed weights: what `torch.nn` has, with a weight that is decoded when it is used.

`weight` is a tensor, not a parameter: it cannot be trained. The `state_dict` has it all the same, under its name, so
that it is that of the dense model; to load another one is to encode its weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch.nn import functional
from torch.utils.weak import WeakIdKeyDictionary

from ..torch import save
from .memory import Cache
from .packed import Packed, open_packed, rows_of, select
from .products import Product

Convolution: TypeAlias = torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d

# Of tensors that are in some `state_dict`, the numbers of the packed ones.
_MADE: Any = WeakIdKeyDictionary()

BLOCK = 1 << 22
"""Bytes of decoded weights that are multiplied at a time."""


class Compressed(torch.nn.Module):
    """A layer whose weight is packed.

    cache : what keeps the weight after it has been decoded; None to decode it block by block
    block : bytes of a block
    is_hidden : whether the `state_dict` is without the weight, while all other tensors are loaded
    """

    bias: torch.nn.Parameter | None
    _like: torch.Tensor

    def __init__(self, packed: Packed, bias: torch.nn.Parameter | None, cache: Cache | None, block: int) -> None:
        super().__init__()
        self.packed, self.cache, self.block, self.is_hidden = packed, cache, block, False
        self.register_parameter("bias", bias)
        # Goes where the module goes, and says where the weight has to be, in which dtype.
        device = "cpu" if bias is None or bias.is_meta else bias.device
        self.register_buffer("_like", torch.empty(0, dtype=packed.dtype, device=device), persistent=False)

    @property
    def weight(self) -> torch.Tensor:
        """All of it, decoded."""
        if self.cache is None:
            return self.rows(0, self.packed.shape[0])
        if torch.compiler.is_compiling():
            weight: torch.Tensor = _outside_of_graphs(self.cache, self.packed, self._like)
            return weight
        # Not `self._like`, for which torch looks in several places.
        like = self._buffers["_like"]
        assert like is not None
        return self.cache.get(self.packed, like.dtype, like.device)

    def rows(self, first: int, last: int) -> torch.Tensor:
        """The part first:last of the weight, decoded now."""
        rows: torch.Tensor = rows_of(self.packed.number, first, last, self._like.dtype, self._like.device)
        return rows

    def blocks(self) -> Iterator[tuple[int, int, torch.Tensor]]:
        """The weight, some rows after the other: first, last, rows."""
        for first, last in self.packed.blocks(self.block):
            yield first, last, self.rows(first, last)

    def dense(self) -> torch.Tensor:
        """The weight in memory of its own."""
        return self.packed.decode().to(self._like.device, self._like.dtype)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if not self.is_hidden:
            # What is tied in the model is tied in its state_dict.
            made = (tensor for tensor in destination.values() if _MADE.get(tensor) == self.packed.number)
            weight = next(made, None)
            destination[prefix + "weight"] = weight = self.dense() if weight is None else weight
            _MADE[weight] = self.packed.number
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: Any, strict: bool, *rest: Any
    ) -> None:
        missing_keys, unexpected_keys, error_msgs = rest
        name = prefix + "weight"
        weight = state_dict.get(name)
        if weight is None:
            if strict and not self.is_hidden:
                missing_keys.append(name)
        elif weight.shape != self.packed.shape:
            shapes = f"{tuple(weight.shape)} from checkpoint, the shape in current model is {tuple(self.packed.shape)}"
            error_msgs.append(f"size mismatch for {name}: copying a param with shape {shapes}.")
        else:
            self._like = self._like.to(weight.dtype)
            self.packed = open_packed(save({"weight": weight.detach()}))["weight"]
        # What is below looks for parameters and buffers only, and takes the weight for one too many.
        others = {key: value for key, value in state_dict.items() if key != name}
        super()._load_from_state_dict(
            others,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def extra_repr(self) -> str:
        ratio = self.packed.dense_bytes / max(1, self.packed.nbytes)
        kept = "block by block" if self.cache is None else "cached" if self.cache.limit is not None else "resident"
        return f"{tuple(self.packed.shape)}, {self.packed.nbytes:,} bytes, {ratio:.1f} times smaller, {kept}"


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _outside_of_graphs(cache: Cache, packed: Packed, like: torch.Tensor) -> torch.Tensor:
    """A compiled graph may write over what it has been given by a call that it knows."""
    return cache.get(packed, like.dtype, like.device)


class Linear(Compressed):
    """`torch.nn.Linear`.

    product : multiplies without floats of the weight; None to decode them
    """

    def __init__(
        self,
        packed: Packed,
        bias: torch.nn.Parameter | None = None,
        cache: Cache | None = None,
        block: int = BLOCK,
        product: Product | None = None,
    ) -> None:
        super().__init__(packed, bias, cache, block)
        self.out_features, self.in_features = packed.shape
        self.product = product

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """input : of shape (..., in_features); gives (..., out_features)"""
        # The products have no derivatives.
        if self.product is not None and not (input.requires_grad and torch.is_grad_enabled()):
            out: torch.Tensor = self.product(input, self.bias)
            return out
        if not input.is_contiguous():
            # Or torch makes one product of each item of a batch, as the weight asks for no gradient.
            input = input.contiguous()
        if self.cache is not None:
            return functional.linear(input, self.weight, self.bias)
        bias = self.bias
        parts = [
            functional.linear(input, rows, None if bias is None else bias[first:last])
            for first, last, rows in self.blocks()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


class Embedding(Compressed):
    """`torch.nn.Embedding`: of a block those rows are decoded that are asked for."""

    def __init__(
        self, packed: Packed, padding_idx: int | None = None, cache: Cache | None = None, block: int = BLOCK
    ) -> None:
        super().__init__(packed, None, cache, block)
        self.num_embeddings, self.embedding_dim = packed.shape
        self.padding_idx = padding_idx

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """input : integers of any shape (...); gives (..., embedding_dim)"""
        if self.cache is not None:
            return functional.embedding(input, self.weight)
        out: torch.Tensor = select(self.packed.number, input, self._like.dtype, self.block)
        return out


class Conv(Compressed):
    """`torch.nn.Conv1d`, `Conv2d` and `Conv3d`, whichever `like` is."""

    def __init__(self, packed: Packed, like: Convolution, cache: Cache | None = None, block: int = BLOCK) -> None:
        bias: Any = like.bias
        super().__init__(packed, bias, cache, block)
        self.kind = type(like)
        for name in (*like.__constants__, "output_padding", "_reversed_padding_repeated_twice"):
            setattr(self, name, getattr(like, name))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As that of `kind`."""
        # It asks for the settings above only.
        convolve: Any = self.kind._conv_forward
        if self.cache is not None or self.groups != 1:
            out: torch.Tensor = convolve(self, input, self.weight, self.bias)
            return out
        bias = self.bias
        parts = [
            convolve(self, input, rows, None if bias is None else bias[first:last])
            for first, last, rows in self.blocks()
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1 - len(self.packed.shape))
