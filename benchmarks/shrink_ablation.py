"""What each ingredient of `sws.shrink.compress_network` is worth: one of them switched off at a time.

    python benchmarks/shrink_ablation.py [--recipe records/lenet_300_100 ...] [--seeds 3] [--shorten 4] [--variant X]

Each row is the mean over the seeds, with the least and the most: bytes of the file and error on the 5,000 held-out
training images (not the test set). All rows of a seed start from the same trained network. --shorten divides all
epochs, to get the table in less time: then it compares short runs.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import torch
from torch import nn

import swsfmt.torch
from sws.data import Loaders, split_loaders
from sws.models import make_model
from sws.recipe import Recipe, load_recipe
from sws.shrink import Settings, prune_network, quantise_network
from sws.train import evaluate, train_standard
from sws.utils import set_seed

VALIDATION = 5000
Change = Callable[[Settings], Settings]


def pruning(**changes: Any) -> Change:
    return lambda s: replace(s, pruning=replace(s.pruning, **changes))


def quantisation(**changes: Any) -> Change:
    return lambda s: replace(s, quantisation=replace(s.quantisation, **changes))


def regrowth(s: Settings) -> Settings:
    return replace(s, pruning=replace(s.pruning, regrow=not s.pruning.regrow))


VARIANTS: dict[str, Change] = {
    "as it is": lambda s: s,
    "no weight decay": pruning(weight_decay=0.0),
    "regrowth the other way": regrowth,
    "no fine-tuning of codebook and assignments": quantisation(epochs=0),
    "4 values": quantisation(values=4),
    "16 values": quantisation(values=16),
    "rate term": quantisation(rate=1e-5),
    "column penalty": pruning(column_penalty=1e-4),
    "row penalty": pruning(row_penalty=1e-4),
    "distillation": lambda s: replace(s, distillation=replace(s.distillation, weight=0.5)),
    "dead neurons stay": lambda s: replace(s, remove_dead=False),
    "neurons not sorted": lambda s: replace(s, order=False),
}


def shortened(recipe: Recipe, by: int) -> Recipe:
    """All epochs divided by `by`, at least one."""
    assert recipe.shrink is not None

    def fewer(epochs: int) -> int:
        return max(1, epochs // by)

    shrink = replace(
        recipe.shrink,
        pruning=replace(recipe.shrink.pruning, epochs=fewer(recipe.shrink.pruning.epochs)),
        quantisation=replace(recipe.shrink.quantisation, epochs=fewer(recipe.shrink.quantisation.epochs)),
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
        small = quantise_network(model, self._loaders.train, settings, teacher=teacher, size=self._size)
        assert self._loaders.validation is not None
        return self._size(small.state_dict()), 1 - evaluate(small, self._loaders.validation, "cpu")

    def _size(self, state: dict[str, torch.Tensor]) -> int:
        return len(swsfmt.torch.save(state, **self._recipe.file))


def spread(values: list[float], form: str) -> str:
    mean = sum(values) / len(values)
    return f"{mean:{form}} ({min(values):{form}} to {max(values):{form}})"


@click.command()
@click.option("--recipe", "names", multiple=True, default=("records/lenet_300_100", "records/lenet5"))
@click.option("--seeds", default=3, show_default=True)
@click.option("--shorten", default=1, show_default=True)
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(VARIANTS)), default=tuple(VARIANTS))
def main(names: tuple[str, ...], seeds: int, shorten: int, variants: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    for name in names:
        recipe = shortened(load_recipe(name), shorten)
        assert recipe.shrink is not None
        loaders = split_loaders(recipe.dataset, recipe.batch_size, validation=VALIDATION)
        measures = [Measure(recipe, seed, loaders) for seed in range(1, seeds + 1)]
        click.echo(f"{name}, epochs divided by {shorten}, {seeds} seeds\n\nwithout | bytes | held-out error, %")
        for variant in variants:
            start = time.monotonic()
            settings = VARIANTS[variant](recipe.shrink)
            found = [measure(settings) for measure in measures]
            sizes, errors = [float(size) for size, _ in found], [100 * error for _, error in found]
            took = f"[{time.monotonic() - start:.0f} s]"
            click.echo(f"{variant} | {spread(sizes, ',.0f')} | {spread(errors, '.2f')}  {took}")


if __name__ == "__main__":
    main()
