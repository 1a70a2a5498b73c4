"""A whole run of a recipe: pretrain, retrain, quantise, write the file, measure it; every step leaves its files.

In the output folder: recipe.json, environment.json, pretrain_log.csv, retrain_log.csv, retrain_mixture.jsonl,
prune_log.csv, quantize_log.csv, pretrained.safetensors, retrained.safetensors, quantized.safetensors, model.sws,
report.json, warnings.log where there were some, and pictures. A run that was killed goes on where its last epoch ended.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file as save_safetensors
from torch import Tensor, nn

import swsfmt
import swsfmt.torch
from swsfmt import InputError, arguments
from swsfmt.write.atomic import write_atomically
from swsfmt.write.options import Options

from .compress import compression_report
from .data import Loaders, number_of_examples, split_loaders
from .models import MODELS, make_model
from .prior import MixturePrior, init_mixture
from .provenance import Provenance
from .quality import ALLOWED
from .recipe import Recipe
from .shrink import compress_network
from .shrink.progress import Progress
from .train import evaluate, retrain_soft_weight_sharing, train_standard
from .utils import collect_weight_params, get_device, set_seed
from .warnings import QualityWarning, collected, warn

Tell = Callable[[str], None]

RECIPE = "recipe.json"


def run_recipe(
    recipe: Recipe,
    output: str | os.PathLike[str],
    *,
    resume: bool = False,
    pictures: bool = True,
    tell: Tell = lambda line: None,
    accelerator: Any = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Run `recipe` in the folder `output` and return the report, which is in report.json too.

    resume : go on from the checkpoints in the folder; the recipe must be the same
    tell : called with a line of text after each phase
    accelerator : a Hugging Face `Accelerator`, for mixed precision and several processes, of which the first one writes
        the files and returns the report; the others return an empty one
    command : that makes this run, for the metadata of the file (`sws.provenance`)
    The test set is used once, on the decoded file. Raises `InputError`, e.g. for a folder that holds a run already, if
    it is not to be resumed; what was written by then stays.
    """
    with collected() as messages:
        return _run(recipe, Path(output), resume, pictures, tell, accelerator, command, messages)


def _run(
    recipe: Recipe,
    folder: Path,
    resume: bool,
    pictures: bool,
    tell: Tell,
    accelerator: Any,
    command: str | None,
    messages: list[str],
) -> dict[str, Any]:
    """messages : of the warnings so far."""
    # Of several processes one writes.
    leads = accelerator is None or accelerator.is_main_process
    if leads:
        _prepare(folder, recipe, resume)
    started = time.monotonic()
    set_seed(recipe.seed)
    device = accelerator.device if accelerator is not None else get_device()
    loaders = split_loaders(recipe.dataset, recipe.batch_size, validation=recipe.validation)
    model = make_model(recipe.model, loaders.num_classes)
    # Now, and not when the file is written, after all training.
    Options(**recipe.file).check_names(model.state_dict())
    if recipe.channels_last:
        # The stubs of torch do not know of it.
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    common: dict[str, Any] = {"run_dir": folder, "resume": resume, "accelerator": accelerator}

    train_standard(
        model,
        loaders.train,
        loaders.validation,
        device,
        eval_every=1,
        desc="pretrain",
        **asdict(recipe.pretrain),
        **common,
    )
    accuracies = {"pretrained": _held_out_accuracy(tell, "pretrained", model, loaders, device)}
    weights = [_weights(model)]
    if leads:
        _save(model, folder / "pretrained.safetensors")

    prior = None
    if recipe.mixture is not None:
        prior = init_mixture(model, device=device, **recipe.mixture.arguments())
        retrain_soft_weight_sharing(
            model, prior, loaders.train, loaders.validation, device, eval_every=1, mixture_every=1,
            **asdict(recipe.retrain), **common,
        )  # fmt: skip
        accuracies["retrained"] = _held_out_accuracy(tell, "retrained", model, loaders, device)
        if leads:
            _save(model, folder / "retrained.safetensors")
        _quantize(model, prior, recipe)
        weights.append(_weights(model))
        accuracies["quantized"] = _held_out_accuracy(tell, "quantized", model, loaders, device)
    if recipe.shrink is not None:
        compress_network(
            model,
            loaders.train,
            recipe.shrink,
            device=device,
            size=lambda state: _size(state, recipe.file),
            report=lambda progress: _tell_progress(tell, progress),
            **common,
        )
        accuracies["shrunk"] = _held_out_accuracy(tell, "shrunk", model, loaders, device)
    if not leads:
        return {}
    _save(model, folder / "quantized.safetensors")
    metadata = Provenance(recipe.model, recipe.dataset, loaders.divisor, command).to_metadata()
    swsfmt.torch.save_model(model, folder / "model.sws", metadata, **recipe.file)

    report = _report(recipe, folder, prior, loaders, accuracies, device)
    if report["test_error"] - report["dense_test_error"] > ALLOWED:
        errors = f"{report['test_error']:.2%} in the file, {report['dense_test_error']:.2%} before"
        warn(f"compression cost more than a point of test error: {errors}", QualityWarning, folder)
    report["warnings"] = messages
    report["seconds"] = round(time.monotonic() - started, 1)
    _write_json(folder / "report.json", report)
    if pictures:
        _pictures(folder, weights, prior)
    return report


def _size(state: Mapping[str, Tensor], options: Mapping[str, Any]) -> int:
    """Of the file of some tensors of a model; what the options have to say of others does not matter."""
    own: dict[str, Any] = {
        option: {name: value[name] for name in value if name in state} if isinstance(value, Mapping) else value
        for option, value in options.items()
    }
    return len(swsfmt.torch.save(state, **own))


def decoded_model(file: str | os.PathLike[str], name: str | None = None, device: Any = "cpu") -> nn.Module:
    """The network of a .sws file, ready for inference.

    name : of `sws.models.MODELS`; None for the one that the metadata name, or whose tensors have these names and shapes
    Raises `InputError` where there is none, where the file names one that is not there, and for another one.
    """
    if name is None:
        name = provenance_of(file).model
        if name is not None and name not in MODELS:
            known = f"there is {', '.join(MODELS)}; choose with name= (sws: --model)"
            raise InputError(f"the file names its network {arguments.brief(name)}, and {known}", file=os.fspath(file))
    state = swsfmt.torch.load_file(file, device)
    candidates = list(MODELS) if name is None else [name]
    classes = next((len(t) for key, t in reversed(state.items()) if key.endswith("bias") and t.dim() == 1), 10)
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    for candidate in candidates:
        model = make_model(candidate, classes)
        wanted = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        if wanted == shapes:
            model.load_state_dict(state)
            return model.to(device).eval()
    known = f"of the model {name!r}" if name is not None else f"of a known model ({', '.join(MODELS)})"
    raise InputError(f"the tensors are not those {known}", file=os.fspath(file))


def provenance_of(file: str | os.PathLike[str]) -> Provenance:
    """What a .sws file says of its network."""
    with swsfmt.safe_open(file) as handle:
        return Provenance.of(handle.metadata())


def is_unfinished(folder: str | os.PathLike[str]) -> bool:
    """Whether a run in this folder was stopped, and can go on."""
    path = Path(folder)
    return not (path / "model.sws").exists() and any(path.glob("*_checkpoint.pt"))


def is_run_of(recipe: Recipe, folder: str | os.PathLike[str]) -> bool:
    """Whether there is a run of this very recipe in the folder. Raises `InputError` where that cannot be read."""
    path = Path(folder) / RECIPE
    try:
        return path.exists() and bool(json.loads(path.read_text(encoding="utf-8")) == _settings(recipe))
    except ValueError as error:
        raise InputError(f"this is no JSON, as of a run that broke off: {error}; delete it", file=str(path)) from error


def _settings(recipe: Recipe) -> dict[str, Any]:
    """As they are in a file."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return settings


def _prepare(folder: Path, recipe: Recipe, resume: bool) -> None:
    """The folder, the recipe and the environment in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECIPE
    if resume and path.exists() and not is_run_of(recipe, folder):
        raise InputError("the run in this folder has another recipe; choose another folder", file=str(path))
    if not resume and (folder / "model.sws").exists():
        raise InputError("there is a finished run in this folder; choose another one", file=str(folder))
    if not resume and is_unfinished(folder):
        raise InputError(
            "there is an unfinished run in this folder; resume it (--resume), or choose another folder",
            file=str(folder),
        )
    _write_json(path, _settings(recipe))
    environment = {
        "swsfmt": swsfmt.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "device": str(get_device()),
        "command": sys.argv,
    }
    _write_json(folder / "environment.json", environment)


def _quantize(model: nn.Module, prior: MixturePrior, recipe: Recipe) -> None:
    settings = recipe.quantize
    if settings.merge is not None:
        prior.merge_components(settings.merge)
    prior.quantize_model(model, settings.skip_last_matrix, settings.assign)


def _held_out_accuracy(tell: Tell, phase: str, model: nn.Module, loaders: Loaders, device: Any) -> float | None:
    """The accuracy on the held-out images, which `tell` gets too; the test set is for the end."""
    if loaders.validation is None:
        tell(f"{phase}")
        return None
    accuracy = evaluate(model, loaders.validation, device)
    tell(f"{phase}: {accuracy:.2%} of {number_of_examples(loaders.validation):,} held-out images right")
    return accuracy


def _tell_progress(tell: Tell, progress: Progress) -> None:
    if progress.epoch == progress.epochs:
        size = f", {progress.bytes:,} bytes" if progress.bytes is not None else ""
        tell(f"{progress.phase}: {progress.nonzero:,} weights are not zero{size}")


def _report(
    recipe: Recipe,
    folder: Path,
    prior: MixturePrior | None,
    loaders: Loaders,
    accuracies: dict[str, float | None],
    device: Any,
) -> dict[str, Any]:
    file = folder / "model.sws"
    contents = swsfmt.verify(file)
    decoded = decoded_model(file, recipe.model, device)
    accuracy = evaluate(decoded, loaders.test, device)
    report: dict[str, Any] = {
        "model": recipe.model,
        "dataset": recipe.dataset,
        "seed": recipe.seed,
        "file_bytes": contents.file_bytes,
        "dense_bytes": contents.dense_bytes,
        "ratio": contents.ratio,
        "test_error": round(1 - accuracy, 6),
        "dense_test_error": _dense_test_error(recipe, folder, loaders, device),
        "validation_error": {k: None if v is None else round(1 - v, 6) for k, v in accuracies.items()},
        "sections": contents.sections,
    }
    if prior is not None:
        estimate = compression_report(decoded, prior, recipe.dataset, skip_last_matrix=recipe.quantize.skip_last_matrix)
        report["estimate_ratio"] = estimate["estimate_CR"]
        report["mixture"] = prior.snapshot()
    return report


def _dense_test_error(recipe: Recipe, folder: Path, loaders: Loaders, device: Any) -> float:
    """Of the pretrained network, for comparison."""
    from safetensors.torch import load_file

    model = make_model(recipe.model, loaders.num_classes)
    model.load_state_dict(load_file(folder / "pretrained.safetensors"))
    return round(1 - evaluate(model.to(device), loaders.test, device), 6)


def _weights(model: nn.Module) -> list[Tensor]:
    return [weight.detach().cpu().clone() for weight in collect_weight_params(model)]


def _pictures(folder: Path, weights: list[list[Tensor]], prior: MixturePrior | None) -> None:
    """weights : of the pretrained network and, where there is a prior, of the quantised one."""
    from .viz import (
        plot_layer_bytes,
        plot_mixture_components,
        plot_training_curves,
        plot_weight_histogram,
        plot_weight_scatter,
    )

    plot_weight_histogram(weights[-1], "Weights", log_scale=True, save=folder / "histogram.png")
    if len(weights) == 2:
        plot_weight_scatter(weights[0], weights[1], save=folder / "weights.png")
    plot_layer_bytes(swsfmt.inspect(folder / "model.sws"), save=folder / "bytes.png")
    for phase in ("pretrain", "retrain", "prune", "quantize"):
        if (folder / f"{phase}_log.csv").exists():
            plot_training_curves(folder / f"{phase}_log.csv", phase, save=folder / f"{phase}.png")
    if prior is not None and all(math.isfinite(s) for s in prior.snapshot()["sigma"]):
        plot_mixture_components(prior, save=folder / "mixture.png")


def _save(model: nn.Module, path: Path) -> None:
    save_safetensors({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())
