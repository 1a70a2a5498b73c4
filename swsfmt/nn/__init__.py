"""Layers whose weights stay compressed in memory.

`compress` puts them in the place of a model's linear layers, convolutions and embeddings. Their weights are those of
the file, bit for bit, in each mode but "integer":

resident   decoded when they are first used, and kept
cached     the same, but only so many bytes of all layers are kept, those used last
block      some rows are decoded, multiplied and forgotten: memory is the file and a block
sparse     very sparse matrices are kept as the places and values of what is not zero; other layers are as in "block"
integer    levels of 8 and 4 bits with their scales stay as they are, for the integer kernels of torch, where it has one
           for them; other layers are as in "block"

packed     a tensor that stays compressed, and what decodes it
memory     what is kept of decoded tensors
layers     the modules
products   matrices that are multiplied without having been decoded to floats
compressing   which modules of a model are replaced

The results of "block" and "sparse" differ from those of dense layers by rounding: they sum in another order. Those of
"integer" are what torch's kernels compute of levels and scales.
"""

from __future__ import annotations

from .compressing import CACHE, MODES, Mode, compress, decompress, sizes
from .layers import BLOCK, Conv, Embedding, Linear
from .memory import Cache
from .packed import Packed

__all__ = [
    "BLOCK",
    "CACHE",
    "MODES",
    "Cache",
    "Conv",
    "Embedding",
    "Linear",
    "Mode",
    "Packed",
    "compress",
    "decompress",
    "sizes",
]
