"""What each ingredient of `sws.shrink.compress_network` is worth: one of them switched off at a time.

    python benchmarks/shrink_ablation.py [--recipe records/lenet_300_100 ...] [--seeds 3] [--shorten 4] [--variant X]

Each row is the mean over the seeds, with the least and the most: bytes of the file and error on the 5,000 held-out
training images (not the test set). All rows of a seed start from the same trained network. --shorten divides all
epochs, to get the table in less time: then it compares short runs. --change compares other settings, as in a recipe,
in place of the variants: that is how the settings of the records were chosen.

    python benchmarks/shrink_ablation.py --recipe records/lenet5 --change "pruning.sparsity=0.99; quantization.values=4"
"""

from __future__ import annotations

import copy
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import click
import torch
from torch import nn

import swsfmt.torch
from sws.data import Loaders, split_loaders
from sws.models import make_model
from sws.recipe import Recipe, load_recipe
from sws.shrink import Settings, prune_network, quantize_network
from sws.train import evaluate, train_standard
from sws.utils import set_seed

VALIDATION = 5000
Change = Callable[[Settings], Settings]


def pruning(**changes: Any) -> Change:
    return lambda s: replace(s, pruning=replace(s.pruning, **changes))


def quantization(**changes: Any) -> Change:
    return lambda s: replace(s, quantization=replace(s.quantization, **changes))


def regrowth(s: Settings) -> Settings:
    return replace(s, pruning=replace(s.pruning, regrow=not s.pruning.regrow))


VARIANTS: dict[str, Change] = {
    "as it is": lambda s: s,
    "no weight decay": pruning(weight_decay=0.0),
    "regrowth the other way": regrowth,
    "no fine-tuning of codebook and assignments": quantization(epochs=0),
    "4 values": quantization(values=4),
    "16 values": quantization(values=16),
    "rate term, 2e-6": quantization(rate=2e-6),
    "rate term, 1e-5": quantization(rate=1e-5),
    "column penalty": pruning(column_penalty=1e-4),
    "row penalty": pruning(row_penalty=1e-4),
    "distillation": lambda s: replace(s, distillation=replace(s.distillation, weight=0.5)),
    "dead neurons stay": lambda s: replace(s, remove_dead=False),
    "neurons not sorted": lambda s: replace(s, order=False),
}


def changed(text: str) -> Change:
    """What `--change` says: lines of TOML, or parts between semicolons, with dotted keys."""
    changes = tomllib.loads(text.replace(";", "\n"))

    def change(s: Settings) -> Settings:
        table = asdict(s)
        for name, value in changes.items():
            table[name] = table[name] | value if isinstance(value, dict) else value
        return Settings.from_dict(table)

    return change


def shortened(recipe: Recipe, by: int) -> Recipe:
    """All epochs divided by `by`, at least one."""
    assert recipe.shrink is not None

    def fewer(epochs: int) -> int:
        return max(1, epochs // by)

    shrink = replace(
        recipe.shrink,
        pruning=replace(recipe.shrink.pruning, epochs=fewer(recipe.shrink.pruning.epochs)),
        quantization=replace(recipe.shrink.quantization, epochs=fewer(recipe.shrink.quantization.epochs)),
    )
    return replace(recipe, pretrain=replace(recipe.pretrain, epochs=fewer(recipe.pretrain.epochs)), shrink=shrink)


def trained(recipe: Recipe, seed: int, loaders: Loaders) -> nn.Module:
    set_seed(seed)
    # Quicker; see `Recipe.channels_last`.
    model = make_model(recipe.model, loaders.num_classes).to(memory_format=torch.channels_last)
    settings = recipe.pretrain
    train_standard(
        model,
        loaders.train,
        None,
        "cpu",
        epochs=settings.epochs,
        lr=settings.lr,
        wd=settings.wd,
        optim_name=settings.optim_name,
        schedule=settings.schedule,
    )
    return model


class Measure:
    """Sizes and errors of one seed. Variants that prune alike share the pruned network."""

    def __init__(self, recipe: Recipe, seed: int, loaders: Loaders) -> None:
        self._recipe, self._seed, self._loaders = recipe, seed, loaders
        self._dense = trained(recipe, seed, loaders)
        self.dense_error = self._error(self._dense)
        self._pruned: dict[tuple[Any, ...], nn.Module] = {}

    def __call__(self, settings: Settings) -> tuple[int, float]:
        """Bytes of the file, and the error on the held-out images."""
        key = (settings.pruning, settings.distillation, settings.remove_dead)
        teacher = self._dense if settings.distillation.weight else None
        if key not in self._pruned:
            set_seed(self._seed)
            model = copy.deepcopy(self._dense)
            self._pruned[key] = prune_network(model, self._loaders.train, settings, teacher=teacher)
        set_seed(self._seed)
        model = copy.deepcopy(self._pruned[key])
        small = quantize_network(model, self._loaders.train, settings, teacher=teacher, size=self._size)
        return self._size(small.state_dict()), self._error(small)

    def _error(self, model: nn.Module) -> float:
        assert self._loaders.validation is not None
        return 1 - evaluate(model, self._loaders.validation, "cpu")

    def _size(self, state: dict[str, torch.Tensor]) -> int:
        return len(swsfmt.torch.save(state, **self._recipe.file))


def spread(values: list[float], form: str) -> str:
    mean = sum(values) / len(values)
    return f"{mean:{form}} ({min(values):{form}} to {max(values):{form}})"


@click.command()
@click.option("--recipe", "names", multiple=True, default=("records/lenet_300_100", "records/lenet5"))
@click.option("--seeds", default=3, show_default=True, help="how many, from --first-seed on")
@click.option("--first-seed", default=1, show_default=True)
@click.option("--shorten", default=1, show_default=True)
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(VARIANTS)), default=tuple(VARIANTS))
@click.option("--change", "changes", multiple=True, help="settings of [shrink], in place of the variants")
def main(
    names: tuple[str, ...],
    seeds: int,
    first_seed: int,
    shorten: int,
    variants: tuple[str, ...],
    changes: tuple[str, ...],
) -> None:
    torch.set_num_threads(1)
    rows = {text: changed(text) for text in changes} or {name: VARIANTS[name] for name in variants}
    for name in names:
        recipe = shortened(load_recipe(name), shorten)
        assert recipe.shrink is not None
        loaders = split_loaders(recipe.dataset, recipe.batch_size, validation=VALIDATION)
        measures = [Measure(recipe, seed, loaders) for seed in range(first_seed, first_seed + seeds)]
        click.echo(f"{name}, epochs divided by {shorten}, {seeds} seeds\n\nvariant | bytes | held-out error, %")
        click.echo(f"dense | | {spread([100 * measure.dense_error for measure in measures], '.2f')}")
        for variant, change in rows.items():
            start = time.monotonic()
            settings = change(recipe.shrink)
            found = [measure(settings) for measure in measures]
            sizes, errors = [float(size) for size, _ in found], [100 * error for _, error in found]
            took = f"[{time.monotonic() - start:.0f} s]"
            click.echo(f"{variant} | {spread(sizes, ',.0f')} | {spread(errors, '.2f')}  {took}")


if __name__ == "__main__":
    main()
