"""What compression reached: the file is made and measured, and the customary estimate is set beside it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

import swsfmt
import swsfmt.torch
from swsfmt import TensorReport
from swsfmt.format.sections import Role, Section

from .estimate import customary_estimate
from .layers import left_out, weight_layers
from .prior import MixturePrior
from .settings import Quantize

# What a section is in a compressed sparse matrix -> the key of the tutorial that its bits count with.
_KEYS = {
    Role.ROWS: "bits_IR",
    Role.INDICES: "bits_IC",
    Role.VALUES: "bits_A",
    Role.CODES: "bits_codebook",
    Role.RECORD: "bits_record",
}


def compression_report(
    model: nn.Module,
    prior: MixturePrior,
    dataset: str = "",
    use_huffman: bool = True,
    pbits_fc: int | None = None,
    pbits_conv: int | None = None,
    skip_last_matrix: bool = Quantize.skip_last_matrix,
    assign_mode: str = Quantize.assign,
) -> dict[str, Any]:
    """Encode the model and report where the bits of the file go.

    A model whose weights `prior` has quantised counts as it is: nothing is assigned a second time. Of one that it has
    not, a copy is quantised. The keys:

    orig_bits : of the dense state_dict, biases and all
    compressed_bits : 8 times the bytes of the file that `swsfmt.torch.save_model` writes with these options and
        profile="fast", the form that is customarily reported: codebook, compressed sparse rows, Huffman codes
    CR : orig_bits / compressed_bits
    nnz : weights that are not zero
    layers : for each weight tensor `layer`, `shape`, `orig_bits`, `nnz`, `passthrough` (not quantised) and its bits of
        the file: `bits_IR` (which rows and columns live, row ends), `bits_IC` (relative column indices), `bits_A`
        (values), `bits_codebook` (code tables), `bits_record` (name, shape, checksum, chunk tables)
    other : the same for biases and whatever else the state_dict holds
    skipped : names of the matrices that are of no layer with weights, and were not quantised; they are in `other`
    shared_bits : header, codebooks; with the bits of `layers` and `other` they sum up to compressed_bits
    estimate_bits, estimate_CR : what is customarily reported: entropies in place of codes, weights alone
    dataset : as given
    """
    if prior.assignment is None:
        model = copy.deepcopy(model)
        copy.deepcopy(prior).assign_model(model, skip_last_matrix, assign_mode)
    state = model.state_dict()
    file = swsfmt.torch.save(state, huffman=use_huffman, pbits_fc=pbits_fc, pbits_conv=pbits_conv, profile="fast")
    contents = swsfmt.inspect(file)
    names = [name for name, _ in weight_layers(model)]
    skipped = set(names[-1:]) if skip_last_matrix else set()
    tensors = {tensor.name: _entry(tensor, state[tensor.name], skipped) for tensor in contents.tensors}
    layers = [tensors[name] for name in names]
    other = [entry for name, entry in tensors.items() if name not in names]
    compressed = 8 * len(file)
    original = 8 * contents.dense_bytes
    estimate = 0
    for name, entry in zip(names, layers, strict=True):
        pbits = (pbits_conv or 8) if len(entry["shape"]) > 2 else (pbits_fc or 5)
        estimate += entry["orig_bits"] if name in skipped else _estimate(state[name], pbits, use_huffman)
    return {
        "dataset": dataset,
        "orig_bits": original,
        "compressed_bits": compressed,
        "CR": original / compressed,
        "nnz": sum(entry["nnz"] for entry in layers),
        "layers": layers,
        "other": other,
        "skipped": left_out(model),
        "shared_bits": compressed - sum(_bits(entry) for entry in tensors.values()),
        "estimate_bits": estimate,
        "estimate_CR": sum(entry["orig_bits"] for entry in layers) / max(1, estimate),
    }


def _entry(tensor: TensorReport, values: Tensor, skipped: set[str]) -> dict[str, Any]:
    bits = dict.fromkeys(_KEYS.values(), 0)
    for section in Section.all():
        bits[_KEYS[section.role]] += tensor.section_bits[section]
    return {
        "layer": tensor.name.removesuffix(".weight"),
        "shape": tuple(tensor.shape),
        "orig_bits": 8 * tensor.dense_bytes,
        "nnz": int(values.count_nonzero()),
        "passthrough": tensor.name in skipped,
        **bits,
    }


def _bits(entry: dict[str, Any]) -> int:
    return sum(entry[key] for key in _KEYS.values())


def _estimate(weight: Tensor, pbits: int, huffman: bool) -> int:
    """The components of a quantised tensor are its distinct values."""
    values, ids = torch.unique(weight, return_inverse=True)
    zero = (values == 0).nonzero()
    if len(zero):
        # Zero is component 0, what came before it moves up by one.
        place = int(zero)
        ids = torch.where(ids == place, 0, torch.where(ids < place, ids + 1, ids))
    else:
        ids = ids + 1
    matrix = ids.reshape(len(ids), -1).numpy()
    return customary_estimate(matrix, int(ids.max()) + 1, pbits, huffman).bits
