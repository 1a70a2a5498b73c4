"""What `compress_network` does and how much of it; every ingredient can be switched off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swsfmt.format.codebook import MAX_VALUES

from ..former_names import former_names_of
from ..validation import STRICT, check_ranges, validated


@dataclass(frozen=True)
class Pruning:
    """Gradual global magnitude pruning (Zhu & Gupta 2017: cubic schedule), one threshold for all layers and biases.

    sparsity : part of all weights that is zero at the end; 0 switches pruning off
    epochs, learning_rate : Adam, the rate falls along a cosine
    weight_decay : coupled (L2); it empties whole rows and columns
    ramp_end, freeze : parts of the epochs after which the sparsity is reached, and after which the masks stay
    regrow : until the freeze, pruned weights get gradients too, so that they can come back
    column_penalty, row_penalty : times the sum of the norms of the columns (inputs), or rows (outputs), of each weight
        matrix, added to the loss
    """

    __pydantic_config__ = STRICT
    sparsity: float = 0.98
    epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    ramp_end: float = 0.6
    freeze: float = 0.7
    regrow: bool = True
    column_penalty: float = 0.0
    row_penalty: float = 0.0


@dataclass(frozen=True)
class Quantization:
    """One float16 codebook for all weights and biases, trained with the assignments (straight-through).

    values : number of values besides zero
    epochs : 0 keeps the values and the assignments of k-means
    learning_rate, codebook_learning_rate : Adam, of the weights behind the assignments and of the values
    rate : times the bits of the file's entries, added to the loss; with ln 2 / training images (1.2e-5 for 60,000) the
        loss is the description length of the labels and the network together (Hinton & van Camp 1993). Zero is then
        one of the values that a weight can take.
    """

    __pydantic_config__ = STRICT
    values: int = 8
    epochs: int = 10
    learning_rate: float = 3e-4
    codebook_learning_rate: float = 1e-3
    rate: float = 0.0


@dataclass(frozen=True)
class Distillation:
    """Part of the loss that compares with the outputs of the dense network (Hinton et al. 2015); 0 switches it off."""

    __pydantic_config__ = STRICT
    weight: float = 0.0
    temperature: float = 2.0


@dataclass(frozen=True)
class Settings:
    """remove_dead : set to zero what cannot change the output
    order : sort the hidden neurons for the smallest file
    """

    __pydantic_config__ = STRICT
    pruning: Pruning = field(default_factory=Pruning)
    quantization: Quantization = field(default_factory=Quantization)
    distillation: Distillation = field(default_factory=Distillation)
    remove_dead: bool = True
    order: bool = True

    def __post_init__(self) -> None:
        pruning, quantization = self.pruning, self.quantization
        check_ranges(
            sparsity=0 <= pruning.sparsity < 1,
            ramp_end=0 < pruning.ramp_end <= 1,
            freeze=pruning.ramp_end <= pruning.freeze <= 1,
            values=1 <= quantization.values <= MAX_VALUES,
            temperature=self.distillation.temperature > 0,
            distillation_weight=0 <= self.distillation.weight <= 1,
            epochs=pruning.epochs >= 0 and quantization.epochs >= 0,
            learning_rate=pruning.learning_rate >= 0 and quantization.learning_rate >= 0,
            codebook_learning_rate=quantization.codebook_learning_rate >= 0,
            weight_decay=pruning.weight_decay >= 0,
            rate=quantization.rate >= 0,
        )

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Settings:
        """From the tables of a recipe. Raises `InputError` for names and values that do not fit."""
        return validated(cls, table)


if not TYPE_CHECKING:
    __getattr__ = former_names_of(__name__)
