"""A program that uses every documented argument of the public interface. It is type-checked, not run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import swsfmt
import swsfmt.checkpoints
import swsfmt.torch
from sws.batches import call_model
from sws.compress import compression_report
from sws.data import make_loaders
from sws.prior import Assignment, Beta, Gamma, MixturePrior, init_mixture
from sws.provenance import Provenance
from sws.quality import Quality
from sws.recipe import load_recipe
from sws.run import decoded_model, provenance_of, run_recipe
from sws.shrink import Distillation, Pruning, Quantization, Settings, compress_network, prune_network, quantize_network
from sws.train import accuracy, evaluate, retrain_soft_weight_sharing, train_standard
from sws.utils import collect_weight_params, get_device, set_seed
from swsfmt import Limits, Report, TensorReport
from swsfmt.read.reader import Reader

Array = npt.NDArray[Any]
LIMITS = Limits(
    max_decoded_bytes=1,
    max_tensors=1,
    max_index_bytes=1,
    max_names_bytes=1,
    max_name_bytes=1,
    max_bitmap_bits=1,
    max_table_symbols=1,
)


def arrays(tensors: Mapping[str, Array], path: Path, executor: Executor) -> None:
    data = swsfmt.save(
        tensors,
        {"key": "value"},
        threads=2,
        executor=executor,
        pbits=5,
        pbits_fc=5,
        pbits_conv=8,
        huffman=False,
        scan="rows",
        profile="small",
        contexts="light",
        compact="off",
        positive_zeros=True,
    )
    assert_type(data, bytes)
    swsfmt.save_file(
        tensors, path, None, threads=None, executor=None, pbits=None, pbits_fc=None, pbits_conv=None, huffman=True,
        scan="auto", profile={"a": "small"}, contexts="full", compact="auto", positive_zeros=True,
    )  # fmt: skip
    assert_type(swsfmt.load(data, out=dict(tensors), threads=1, limits=LIMITS), dict[str, Array])
    assert_type(swsfmt.load_file(path, out=None, threads=None, limits=LIMITS), dict[str, Array])
    with swsfmt.safe_open(path, "np", "cpu", threads=1, limits=LIMITS) as handle:
        assert_type(handle.get_tensor("a"), Array)
        assert_type(handle.keys(), list[str])
        assert_type(handle.offset_keys(), list[str])
        assert_type(handle.metadata(), dict[str, str])
        assert_type(handle.get_tensors(), dict[str, Array])
        assert_type(handle.get_slice("a").get_shape(), list[int])
        assert_type(handle.get_slice("a").get_dtype(), str)
        handle.get_slice("a")[1:2]
    with swsfmt.safe_open(path, framework="pt", device=torch.device("cpu")) as handle_of_torch:
        assert_type(handle_of_torch.get_tensor("a"), Tensor)
    assert_type(swsfmt.safe_open(data).get_tensor("a"), Array)


def scaled(levels: Array, scale: Array, path: Path, tensor: Tensor) -> None:
    value = swsfmt.Scaled(levels, scale, None, None, dtype="bfloat16", rounding="each", blocks=(1, 32))
    value = swsfmt.Scaled(levels, (scale, scale), zero=levels, offset=None, dtype=np.float32, rounding="once")
    assert_type(value.dequantize(), Array)
    assert_type(value.levels, Array)
    assert_type(value.scales, tuple[Array, ...])
    assert_type(value.blocks, dict[str, tuple[int, ...]])
    assert_type(value.shape, tuple[int, ...])
    assert_type(swsfmt.save({"a": value, "b": levels}), bytes)
    swsfmt.save_file({"a": value}, path)
    own = swsfmt.torch.Scaled(
        tensor, [tensor, 0.5], None, tensor, dtype=torch.bfloat16, rounding="each", blocks=(1, 32)
    )  # fmt: skip
    assert_type(own.dequantize(), Tensor)
    assert_type(own.dtype, torch.dtype)
    assert_type(swsfmt.torch.save({"a": own, "b": tensor}), bytes)
    with swsfmt.safe_open(path) as file:
        parts = file.get_parts("a")
        if parts is not None:
            assert_type(parts.levels, Array)
            assert_type(parts.zero, Array | None)


def reports(path: Path) -> None:
    report = swsfmt.inspect(path, threads=2, limits=LIMITS)
    assert_type(report, Report)
    assert_type(swsfmt.verify(path.read_bytes(), threads=None, limits=LIMITS), Report)
    assert_type(report.ratio, float)
    assert_type(report.sections, dict[str, int])
    assert_type(report.tensors, list[TensorReport])
    assert_type(report.tensors[0].ratio, float | None)
    assert_type(report.to_json(), dict[str, Any])


def tensors_of_torch(model: nn.Module, path: Path, executor: Executor) -> None:
    state = model.state_dict()
    data = swsfmt.torch.save(
        state, {"a": "b"}, threads=1, executor=executor, pbits=5, pbits_fc=None, pbits_conv=None, huffman=True,
        scan="rows", profile="fast", contexts="auto", compact="off", positive_zeros=False,
    )  # fmt: skip
    assert_type(data, bytes)
    swsfmt.torch.save_file(
        state, path, {"a": "b"}, threads=1, executor=executor, pbits=None, pbits_fc=5, pbits_conv=8, huffman=True,
        scan="auto", profile="small", contexts="light", compact="auto", positive_zeros=True,
    )  # fmt: skip
    swsfmt.torch.save_model(
        model, path, {"a": "b"}, force_contiguous=True, threads=1, executor=executor, pbits=None, pbits_fc=5,
        pbits_conv=8, huffman=False, scan="columns", profile={"a": "small"}, contexts="full", compact="auto",
        positive_zeros=True,
    )  # fmt: skip
    assert_type(swsfmt.torch.inspect(path, threads=1, limits=LIMITS), Report)
    assert_type(swsfmt.torch.verify(data, threads=1, limits=LIMITS), Report)
    loaded = swsfmt.torch.load(data, device=0, dtype=torch.bfloat16, out=state, threads=1, limits=LIMITS)
    assert_type(loaded, dict[str, Tensor])
    loaded = swsfmt.torch.load_file(path, "cpu", dtype=None, out=None, threads=1, limits=LIMITS)
    missing, _ = swsfmt.torch.load_model(model, path, strict=False, device="cpu", assign=None, threads=1, limits=LIMITS)
    assert_type(missing, list[str])
    with swsfmt.torch.safe_open(path, "pt", "cuda:0", threads=1, limits=LIMITS) as handle:
        assert_type(handle.get_tensor("a"), Tensor)
    elements = swsfmt.torch.from_tensor(loaded["a"])
    assert_type(swsfmt.torch.to_tensor(elements, "cpu", torch.float32), Tensor)
    swsfmt.torch.to_elements(state)


def errors() -> None:
    try:
        swsfmt.load(b"")
    except swsfmt.SwsError as error:
        assert_type(error.file, str | None)
        assert_type(error.tensor, str | None)
        assert_type(error.offset, int | None)


def checkpoints(path: Path, executor: Executor) -> None:
    def step(done: int, total: int) -> None:
        print(done, total)

    checkpoint = swsfmt.checkpoints.open(path, key="state_dict", strip_prefix="module.", limits=LIMITS)
    assert_type(checkpoint, swsfmt.checkpoints.Checkpoint)
    written = swsfmt.checkpoints.convert(
        path, "model.sws", key="state_dict", strip_prefix=["module.", "_orig_mod."], threads=2, executor=executor,
        step=step, pbits=5, pbits_fc=5, pbits_conv=8,
        huffman=True, scan="columns", profile="small", contexts="auto", compact="auto", positive_zeros=True,
    )  # fmt: skip
    assert_type(written, swsfmt.checkpoints.Conversion)
    swsfmt.checkpoints.convert("model.sws", Path("folder"), limits=LIMITS, max_shard_size="5GB")
    assert_type(swsfmt.checkpoints.recognise(path), str)
    assert_type(swsfmt.checkpoints.encoded_name(path), str)
    assert_type(swsfmt.checkpoints.decoded_name("folder/"), str)
    assert_type(swsfmt.checkpoints.find("folder"), Path)
    swsfmt.checkpoints.check_output("model.pt", sharded=False)
    with Reader.open(path) as reader:
        assert_type(swsfmt.checkpoints.decoded_paths(reader, "folder", max_shard_size="5GB"), list[Path])
    assert_type(swsfmt.checkpoints.parse_size("5GB"), int)
    swsfmt.checkpoints.require_torch()


def mixture(model: nn.Module, weights: list[Tensor]) -> None:
    prior = MixturePrior(
        torch.linspace(-0.5, 0.5, 4),
        torch.full((5,), 0.1),
        pi0=0.9,
        gamma_zero=None,
        gamma_others=Gamma(shape=2.5e2, rate=0.1),
        beta_pi0=Beta(alpha=9.0, beta=1.0),
    )
    assert_type(prior.J, int)
    assert_type(prior.log_mixing(), Tensor)
    assert_type(prior.all_means(), Tensor)
    assert_type(prior.mixture_params(), tuple[Tensor, Tensor, Tensor])
    assert_type(prior.complexity_loss(weights, method="plain"), Tensor)
    assert_type(prior.complexity_loss(weights[0]), Tensor)
    assert_type(prior.log_hyper_prior(), Tensor)
    assert_type(prior.assign(weights[0], how="map"), Tensor)
    assert_type(prior.merge_components(threshold=1e-10), int)
    assignment = prior.quantize_model(model, skip_last_matrix=True, assign="map")
    assert_type(assignment, Assignment)
    assert_type(prior.assign_model(model, skip_last_matrix=False, assign="ml"), Assignment)
    quality = Quality(weights, "cpu", accuracy, call_model, "run")
    prior.watch(quality, before=quality.measure(model))
    assert_type(assignment.ids, dict[str, Tensor])
    assert_type(assignment.means, Tensor)
    assert_type(assignment.skipped, tuple[str, ...])
    assert_type(prior.snapshot(), dict[str, Any])
    prior.check()


def training(model: nn.Module, run: Path, accelerator: Any) -> None:
    def forward(network: nn.Module, batch: Any) -> Any:
        return network(batch["image"])

    def loss(outputs: Any, targets: Any) -> Tensor:
        return nn.functional.mse_loss(outputs, targets)

    set_seed(1)
    train, test, classes = make_loaders("digits", batch_size=64, num_workers=0, seed=1, divisor=255.0)
    assert_type(classes, int)
    accuracy = train_standard(
        model, train, test, get_device(), epochs=1, lr=1e-3, wd=0.0, optim_name="adam", eval_every=1, desc="pretrain",
        run_dir=run, resume=True, schedule="cosine", accelerator=accelerator, loss=loss, forward=forward,
        metric=loss,
    )  # fmt: skip
    assert_type(accuracy, float)
    prior = init_mixture(
        model, J=16, pi0=0.99, init_means_mode="from_weights", init_sigma=0.25, device="cpu",
        gamma_zero=Gamma(5e3, 2.0), gamma_others=None, beta_pi0=Beta(9.0, 1.0),
    )  # fmt: skip
    assert_type(prior, MixturePrior)
    retrain_soft_weight_sharing(
        model, prior, train, test, "cpu", epochs=1, lr_w=5e-4, lr_theta=3e-4, weight_decay=0.0, tau="auto",
        tau_warmup_epochs=1, complexity_mode="keras", eval_every=1, cr_every=1, mixture_every=1, run_dir=run, viz=None,
        lr_means=1e-4, lr_log_variances=3e-3, lr_mixing=3e-3, method="auto", schedule="constant", sigma_zero_end=None,
        quantize_from=1.0, skip_last_matrix=True, resume=False, desc="retrain", accelerator=None, loss=loss,
        forward=forward, metric=None,
    )  # fmt: skip
    report = compression_report(
        model,
        prior,
        dataset="digits",
        use_huffman=True,
        pbits_fc=5,
        pbits_conv=8,
        skip_last_matrix=True,
        assign_mode="ml",
    )
    assert_type(report, dict[str, Any])
    assert_type(evaluate(model, test, "cpu", metric=loss, forward=forward), float)
    assert_type(collect_weight_params(model), list[Tensor])
    settings = Settings(
        pruning=Pruning(
            sparsity=0.9,
            epochs=40,
            learning_rate=1e-3,
            weight_decay=1e-4,
            ramp_end=0.6,
            freeze=0.7,
            regrow=False,
            column_penalty=1e-5,
            row_penalty=1e-5,
        ),
        quantization=Quantization(values=8, epochs=10, learning_rate=3e-4, codebook_learning_rate=1e-3, rate=1.2e-5),
        distillation=Distillation(weight=0.5, temperature=2.0),
        remove_dead=False,
        order=False,
    )
    assert_type(
        compress_network(
            model, train, settings, device="cpu", size=lambda state: len(state), report=print,
            run_dir=run, resume=True, accelerator=accelerator, loss=loss, forward=forward, scaled=None,
        ),
        nn.Module,
    )  # fmt: skip
    prune_network(
        model, train, settings, teacher=model, device="cpu", report=print,
        run_dir=run, resume=True, accelerator=accelerator, loss=loss, forward=forward,
    )  # fmt: skip
    quantize_network(
        model, train, settings, teacher=None, device="cpu", size=len, report=print,
        run_dir=run, resume=True, accelerator=accelerator, loss=loss, forward=forward,
    )  # fmt: skip
    recipe = load_recipe("digits").with_changes(seed=3)
    run_recipe(recipe, run, resume=True, pictures=False, tell=print, accelerator=accelerator, command="sws train")
    assert_type(provenance_of(run / "model.sws"), Provenance)
    assert_type(decoded_model(run / "model.sws", "lenet5", "cpu"), nn.Module)
