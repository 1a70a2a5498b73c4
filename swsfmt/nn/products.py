"""Products with matrices that are not decoded to floats: of indices and values, of levels and scales."""

from __future__ import annotations

import warnings

import torch

from .packed import Packed

DENSEST = 0.12
"""Of the elements of a large matrix that may differ from zero, where its product from indices is the faster one."""

_GROUPS = (32, 64, 128, 256)
# Not in torch before 2.6.
HAS_INT4 = hasattr(torch.ops.aten, "_weight_int4pack_mm_for_cpu")


class Product(torch.nn.Module):
    """A product with a matrix; it goes where its layer goes, and is in no `state_dict`."""

    def hold(self, **tensors: torch.Tensor) -> None:
        """What it needs to multiply."""
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def nbytes(self) -> int:
        """What it holds in memory."""
        return sum(tensor.nbytes for tensor in self.buffers())


class SparseProduct(Product):
    """Indices and values of what is not zero, by rows (CSR)."""

    places: torch.Tensor
    starts: torch.Tensor
    values: torch.Tensor

    def __init__(self, starts: torch.Tensor, places: torch.Tensor, values: torch.Tensor, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape
        self.hold(starts=starts, places=places, values=values)

    @classmethod
    def of(cls, packed: Packed, block: int, densest: float = DENSEST) -> SparseProduct | None:
        """None for a matrix that is not so sparse; it is decoded block by block."""
        if len(packed.shape) != 2 or packed.dtype not in (torch.float32, torch.float64):
            return None
        with warnings.catch_warnings():
            # Once for a process: that support of such tensors is new.
            warnings.simplefilter("ignore")
            torch.eye(1).to_sparse_csr()
        counts, places, values = [], [], []
        most = densest * packed.shape.numel()
        entries = 0
        for first, last in packed.blocks(block):
            rows = packed.rows(first, last)
            # -0.0 adds nothing.
            own = rows.to_sparse_csr()
            entries += own.values().numel()
            if entries > most:
                return None
            counts.append(own.crow_indices().diff())
            places.append(own.col_indices().to(torch.int32))
            values.append(own.values())
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.cat(counts).cumsum(0)]).to(torch.int32)
        return cls(starts, torch.cat(places), torch.cat(values), packed.shape)

    def forward(self, input: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        flat = input.reshape(-1, self.shape[1]).to(self.values.dtype)
        out: torch.Tensor = multiply(self.starts, self.places, self.values, flat).to(input.dtype)
        return (out if bias is None else out + bias).reshape(*input.shape[:-1], self.shape[0])


# For the schema see `packed`.
@torch.library.custom_op(
    "swsfmt::multiply_sparse",
    mutates_args=(),
    schema="(Tensor starts, Tensor places, Tensor values, Tensor input) -> Tensor",
)
def multiply(starts: torch.Tensor, places: torch.Tensor, values: torch.Tensor, input: torch.Tensor) -> torch.Tensor:
    """The transpose of a sparse matrix times each row of the input, of shape (n, columns); gives (n, rows).

    A call that graphs keep, as they have no sparse tensors.
    """
    shape = len(starts) - 1, input.shape[1]
    matrix = torch.sparse_csr_tensor(starts, places, values, shape, check_invariants=False)
    with torch.autocast(input.device.type, enabled=False):
        out: torch.Tensor = (matrix @ input.T).T.contiguous()
    return out


@multiply.register_fake
def _(starts: torch.Tensor, places: torch.Tensor, values: torch.Tensor, input: torch.Tensor) -> torch.Tensor:
    return input.new_empty(input.shape[0], len(starts) - 1)


class Int8Product(Product):
    """Levels of 8 bits, with a scale for each row."""

    levels: torch.Tensor
    scales: torch.Tensor

    def __init__(self, levels: torch.Tensor, scales: torch.Tensor) -> None:
        super().__init__()
        self.hold(levels=levels, scales=scales)

    def forward(self, input: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        flat = input.reshape(-1, self.levels.shape[1])
        out = torch._weight_int8pack_mm(flat, self.levels, self.scales.to(flat.dtype))
        return (out if bias is None else out + bias).reshape(*input.shape[:-1], self.levels.shape[0])


class Int4Product(Product):
    """Levels of 4 bits, packed by torch, with a scale and an offset for each group of a row.

    factors : (columns / group, rows, 2), scale and offset of 8
    """

    levels: torch.Tensor
    factors: torch.Tensor

    def __init__(self, levels: torch.Tensor, factors: torch.Tensor, group: int) -> None:
        super().__init__()
        self.group = group
        self.hold(levels=levels, factors=factors)

    def forward(self, input: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        flat = input.reshape(-1, self.group * self.factors.shape[0])
        factors = self.factors.to(flat.dtype)
        out: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(flat, self.levels, self.group, factors)
        return (out if bias is None else out + bias).reshape(*input.shape[:-1], self.factors.shape[1])


def integer_product(packed: Packed) -> Int8Product | Int4Product | None:
    """The kernel of torch for the levels and scales of a matrix; None where there is none, or it has no levels."""
    parts = packed.parts() if len(packed.shape) == 2 else None
    if parts is None or len(parts.scales) != 1 or parts.levels.is_floating_point():
        return None
    rows, columns = packed.shape
    block = parts.blocks["scale"]
    levels, zero, offset = parts.levels, parts.zero, parts.offset
    scales = parts.scales[0].float().reshape(-1, -(-columns // block[1]))
    if scales.shape[0] not in (1, rows) or block[0] not in (1, rows):
        return None
    low, high = int(levels.min()), int(levels.max())
    others = [blocks for name, blocks in parts.blocks.items() if name != "scale"]
    group = block[1] if block[1] < columns else next((size for size in reversed(_GROUPS) if columns % size == 0), 0)
    fits = HAS_INT4 and high - low <= 15
    if not fits or group not in _GROUPS or columns % group or rows % 16 or any(own != block for own in others):
        if others or scales.shape[1] != 1 or low < -128 or high > 127:
            return None
        return Int8Product(levels.to(torch.int8), scales.expand(rows, 1).reshape(-1).contiguous())
    shift = 0.0 if zero is None else zero.float().reshape(scales.shape)
    add = -scales * shift if offset is None else offset.float().reshape(scales.shape)
    # torch has levels from 0 to 15, and takes 8 from them.
    add = add + scales * (low + 8)
    times = columns // group // scales.shape[1]
    spread = [part.expand(rows, part.shape[1]).repeat_interleave(times, 1).T for part in (scales, add)]
    factors = torch.stack(spread, -1).contiguous()
    packed_levels = torch.ops.aten._convert_weight_to_int4pack_for_cpu((levels.int() - low).contiguous(), 1)
    return Int4Product(packed_levels, factors, group)
