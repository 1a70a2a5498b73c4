"""A recipe: every setting of a run, in a TOML file, checked before anything is trained.

Tables and names are those of the functions that take them: `[pretrain]` of `sws.train.train_standard`, `[mixture]` of
`sws.prior.init_mixture`, `[retrain]` of `sws.train.retrain_soft_weight_sharing`, `[quantize]` of
`MixturePrior.quantize_model`, `[shrink]` of `sws.shrink.Settings`, `[file]` of `swsfmt.torch.save_model`. A recipe
without `[mixture]` goes from the pretrained network straight to `[shrink]`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from swsfmt import InputError
from swsfmt.write.options import Options

from .data import BATCH_SIZE, DATASETS
from .models import MODELS
from .settings import Mixture, Pretrain, Quantize, Retrain
from .shrink import Settings
from .validation import STRICT, validated

__all__ = ["Mixture", "Pretrain", "Quantize", "Recipe", "Retrain", "load_recipe", "names", "parse_recipe"]


@dataclass(frozen=True)
class Recipe:
    """validation : training images held out; hyper-parameters were chosen on them.
    channels_last : the layout of convolutions in memory; on a CPU they take 0.6 of the time with it. Results differ by
        rounding.
    shrink : None leaves the quantised network as it is
    """

    __pydantic_config__ = STRICT
    model: str
    dataset: str
    seed: int = 0
    batch_size: int = BATCH_SIZE
    validation: int = 0
    channels_last: bool = False
    pretrain: Pretrain = field(default_factory=Pretrain)
    mixture: Mixture | None = None
    retrain: Retrain = field(default_factory=Retrain)
    quantize: Quantize = field(default_factory=Quantize)
    shrink: Settings | None = None
    file: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, name, known in (("model", self.model, MODELS), ("dataset", self.dataset, DATASETS)):
            if name not in known:
                raise InputError(f"there is no {kind} {name!r}; choose one of {', '.join(known)}")
        try:
            Options(**self.file)
        except (InputError, TypeError) as error:
            raise InputError(f"file: {error}") from error

    def with_changes(self, **changes: Any) -> Recipe:
        """Another one with what is not None changed."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def names() -> list[str]:
    """The recipes that come with the package."""
    folder = resources.files("sws.recipes")
    items = [(item.name, item) for item in folder.iterdir()]
    inner = [(f"{name}/{item.name}", item) for name, sub in items if sub.is_dir() for item in sub.iterdir()]
    return sorted(name.removesuffix(".toml") for name, _ in [*items, *inner] if name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """A recipe of the package by its name, or a TOML file by its path.

    Raises `InputError` for what is not TOML, has names that do not exist or values that do not fit; `OSError`.
    """
    if name in names():
        text = resources.files("sws.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    elif not name.endswith(".toml"):
        raise InputError(f"there is no recipe {name!r}; give the path of a .toml file or one of {', '.join(names())}")
    else:
        text = Path(name).read_text(encoding="utf-8")
    try:
        return parse_recipe(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"this is not TOML: {error}", file=name) from error
    except InputError as error:
        error.locate(file=name)
        raise


def parse_recipe(table: dict[str, Any]) -> Recipe:
    """A recipe from its tables. Raises `InputError`."""
    return validated(Recipe, table)
