"""Recipes: those of the package, files, changes of single settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sws.recipe import load_recipe, names, parse_recipe
from swsfmt import InputError


def test_the_recipes_of_the_package() -> None:
    assert {"digits", "tutorialnet", "lenet_300_100", "lenet5", "wrn_16_4"} <= set(names())
    for name in names():
        assert load_recipe(name).pretrain.epochs > 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"model": "vgg", "dataset": "mnist"}, "no model 'vgg'"),
        ({"model": "lenet5", "dataset": "svhn"}, "no dataset 'svhn'"),
        ({"model": "lenet5"}, "dataset: Field required|missing"),
        ({"model": "lenet5", "dataset": "mnist", "sede": 1}, "sede: Unexpected"),
        ({"model": "lenet5", "dataset": "mnist", "retrain": {"tua": 1.0}}, "retrain.tua: Unexpected"),
        (
            {"model": "lenet5", "dataset": "mnist", "mixture": {"J": "many"}},
            "mixture.J: Input should be a valid integer",
        ),
        ({"model": "lenet5", "dataset": "mnist", "shrink": {"pruning": {"sparsity": 2.0}}}, "shrink: .*sparsity"),
        (
            {"model": "lenet5", "dataset": "mnist", "shrink": {"pruning": {"learning_rate": -1.0}}},
            "shrink: .*learning_rate",
        ),
        *[
            ({"model": "lenet5", "dataset": "mnist", table: {name: value}}, f"{table}.*{name}")
            for table, name, value in (
                ("pretrain", "epochs", -1),
                ("pretrain", "lr", -1e-3),
                ("pretrain", "schedule", "cosin"),
                ("pretrain", "optim_name", "admm"),
                ("mixture", "init_means_mode", "quartiles"),
                ("mixture", "J", 1),
                ("mixture", "pi0", 1.0),
                ("mixture", "init_sigma", 0.0),
                ("retrain", "schedule", "cosin"),
                ("retrain", "lr_means", -1.0),
                ("retrain", "sigma_zero_end", 0.0),
                ("retrain", "complexity_mode", "kears"),
                ("quantize", "assign", "mll"),
                ("file", "profle", "small"),
                ("file", "profile", "smal"),
                ("file", "pbits", 99),
                ("file", "huffman", "yes"),
            )
        ],
    ],
)
def test_recipes_that_do_not_fit(table: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe(table)


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("model = ")
    with pytest.raises(InputError, match="not TOML") as caught:
        load_recipe(str(tmp_path / "bad.toml"))
    assert caught.value.file == str(tmp_path / "bad.toml")
    with pytest.raises(InputError, match=r"no recipe 'lenet6'.*lenet5"):
        load_recipe("lenet6")
    with pytest.raises(FileNotFoundError):
        load_recipe(str(tmp_path / "none.toml"))


def test_changes() -> None:
    first = load_recipe("lenet5")
    assert first.with_changes(seed=7, dataset=None) == dataclasses.replace(first, seed=7)
    with pytest.raises(InputError, match="no dataset"):
        first.with_changes(dataset="svhn")
