"""How much of a model its smaller version has kept: element by element, and in what the two compute.

`compare_tensors` needs two checkpoints, `compare_outputs` two models and inputs.

tensors   errors of each tensor and of all, tensor by tensor, so that a checkpoint may be larger than memory
outputs   relative error, cosine, Kullback-Leibler divergence, top-1 agreement, perplexity
files     any checkpoint or .sws file as a mapping that loads a tensor when it is asked for
models    the two models that a command compares, and their inputs: from a folder of transformers, or from functions
"""

from __future__ import annotations

from .outputs import OutputComparison, OutputMeter, compare_outputs
from .tensors import TensorComparison, TensorError, compare_tensors

__all__ = [
    "OutputComparison",
    "OutputMeter",
    "TensorComparison",
    "TensorError",
    "compare_outputs",
    "compare_tensors",
]
