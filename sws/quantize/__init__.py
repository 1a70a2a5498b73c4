"""Make any trained network small: float weights to levels and scales at the quality that is asked for.

collect     statistics: what goes into each matrix and how much its outputs matter
network     all tensors at one slope; matrix, feedback: one of them
quantized   the result, and its file
"""

from .collect import collect
from .model import quantize_model, quantize_tensors
from .network import Network
from .quantized import QuantizedModel
from .rules import Rule
from .statistics import Statistics
from .targets import Target

__all__ = ["Network", "QuantizedModel", "Rule", "Statistics", "Target", "collect", "quantize_model", "quantize_tensors"]
