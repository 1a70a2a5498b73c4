"""`sws quantize`: a trained model becomes a small .sws file, of the size or the quality that is asked for."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from swsfmt import Limits
from swsfmt.checkpoints import encoded_name, require_torch

from . import cluster, console, files, options, progress

if TYPE_CHECKING:
    from sws.quantize.report import Report
    from sws.quantize.run import Run
    from sws.quantize.targets import Target

_METHODS = ("feedback", "grid", "rtn", "kmeans", "mixture", "prune")
_DRY_BITS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("-o", "--output", metavar="OUT.sws", help="Default: MODEL with the suffix .sws.")
@click.option("--target-size", metavar="SIZE", help="The whole file, e.g. 5MB, 6.8MB, 2GiB.")
@click.option("--target-bits", type=float, metavar="BITS", help="The whole file, in bits for each weight, e.g. 3.0.")
@click.option(
    "--target-error",
    type=float,
    metavar="E",
    help="Of the outputs: relative, e.g. 0.01, or KL divergence in nats for each token of a language model.",
)
@click.option("--step", type=float, metavar="C", help="Of the network, as an earlier run has found it; no search.")
@click.option("--max-error", type=float, metavar="E", help="Write nothing if the error of the outputs is above this.")
@click.option(
    "--calibrate",
    metavar="WHAT",
    help="A text file; a .npy, .npz, .safetensors or .pt file of inputs; MODULE.py:FUNCTION that gives batches; self: "
    "what the model writes, or random words; noise:3x32x32; none: from the weights alone.  [default: self where the "
    "model reads text]",
)
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Texts or examples to calibrate with, at most.")
@click.option("--forward", metavar="MODULE.py:FUNCTION", help="function(model, batch) runs the model; for other calls.")
@click.option(
    "--statistics",
    metavar="FILE",
    help="Statistics of the calibration: read where FILE is there, else written to it.",
)
@click.option(
    "--rule",
    "rules",
    metavar="PATTERN:ACTION",
    multiple=True,
    help="For tensors by name: 'lm_head.*:raw', '*.bias:fp16', bf16, or step=0.5 for half the step. The last one that "
    "matches counts; repeatable.",
)
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default=_METHODS[0],
    show_default=True,
    help="The others are there to be compared with: they know of no statistics.",
)
@click.option(
    "--tune",
    "tuning_steps",
    type=click.IntRange(0),
    default=0,
    metavar="STEPS",
    help="Train biases, norms and factors of rows for so many steps on what MODEL answers; kept where it is better on "
    "inputs held out.",
)
@click.option(
    "--paths",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Ways to round a row that are kept while the best is looked for; with calibration. 8 may make files of "
    "small networks some percent smaller, in about four times the time.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, foretell sizes, write nothing.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped, in OUT.sws.unfinished.")
@click.option("--report", "report_file", metavar="FILE", help="NAME.html, a page with plots, or NAME.json.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of random inputs and directions.")
@click.option("--device", metavar="NAME", help="E.g. cpu, cuda.  [default: a GPU where there is one]")
@options.encoding
@options.threads
@click.option(
    "--dask", metavar="ADDRESS", help="Work on the tensors of a checkpoint alone on the workers of this scheduler."
)
@options.checkpoint
@options.limits
@options.force
@options.as_json
def quantize(
    model: str,
    output: str | None,
    target_size: str | None,
    target_bits: float | None,
    target_error: float | None,
    step: float | None,
    max_error: float | None,
    dry_run: bool,
    resume: bool,
    report_file: str | None,
    device: str | None,
    dask: str | None,
    limits: Limits,
    force: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Quantise MODEL to a .sws file of the size, or of the quality, that is asked for.

    MODEL is a folder of Hugging Face's transformers or a GGUF file of one; MODULE.py:FUNCTION, which returns a
    torch.nn.Module with its weights; or a checkpoint alone, as sws encode takes it: without a network nothing can be
    calibrated, and the file is larger for the same quality.

    One of --target-size, --target-bits, --target-error and --step says what is wanted. The target is hit within 1 %,
    from below, by trying real files; each try is told. An error is measured on inputs that were not calibrated with.
    """
    require_torch()
    given |= {"target_size": target_size, "target_bits": target_bits, "target_error": target_error, "step": step}
    target = _target(given, dry_run)
    output = _output_for(model) if output is None else output
    if output == files.STANDARD:
        raise click.UsageError("the file is made in several tries; give -o OUT.sws")
    _check(model, output, report_file, force=force or dry_run, as_json=as_json)
    tell = (lambda line: None) if as_json else console.line
    with cluster.executor(dask) as executor:
        opened = _opened(
            model, output, target, given | {"max_error": max_error, "limits": limits, "device": device},
            resume=resume, anew=force, dry=dry_run, detailed=as_json or report_file is not None, executor=executor,
            as_json=as_json, tell=tell,
        )  # fmt: skip
        if opened.is_alone:
            tell("no network to run: quantised from the weights alone, without data; the error of outputs is not known")
        if dry_run:
            _foretell(opened, target, as_json)
            return
        try:
            made = opened.finish()
        except KeyboardInterrupt:
            console.line("sws: stopped; go on with the same command and --resume", err=True)
            raise
    if report_file is not None:
        made.write(report_file)
    if as_json:
        console.json_object({"input": model, "output": output, **made.to_json()})
        return
    console.line(_conclusion(made))


def _target(given: dict[str, Any], dry_run: bool) -> Target | None:
    """The one target that was given. None for a dry run without one."""
    from sws.quantize.targets import Target

    kinds = {
        "target_size": Target.size,
        "target_bits": Target.bits,
        "target_error": Target.error,
        "step": Target.step,
    }
    values = {name: given.pop(name) for name in kinds}
    asked = [name for name, value in values.items() if value is not None]
    flags = ", ".join("--" + name.replace("_", "-") for name in kinds)
    if len(asked) > 1 or not (asked or dry_run):
        raise click.UsageError(f"give one of {flags}")
    return kinds[asked[0]](values[asked[0]]) if asked else None


def _output_for(model: str) -> str:
    if ".py:" in model:
        raise click.UsageError("a network of a program needs -o OUT.sws")
    return encoded_name(model)


def _check(model: str, output: str, report_file: str | None, *, force: bool, as_json: bool) -> None:
    """What is written is looked at before anything takes long."""
    from sws.quantize.report import check_name

    inputs = [] if ".py:" in model else [model]
    files.check_output(output, inputs, force=force, as_json=as_json)
    if report_file is not None:
        check_name(report_file)
        files.check_output(report_file, [*inputs, output], force=True, as_json=as_json)


def _opened(
    model: str,
    output: str,
    target: Target | None,
    given: dict[str, Any],
    *,
    resume: bool,
    anew: bool,
    dry: bool,
    detailed: bool,
    executor: Any,
    as_json: bool,
    tell: Any,
) -> Run:
    from sws.quantize.run import Means, Request, Run
    from sws.quantize.targets import Target
    from sws.utils import get_device
    from swsfmt.write.options import SETTINGS

    encoding: Any = {name: given.pop(name) for name in SETTINGS}
    device = given.pop("device") or str(get_device())
    target = target or Target.bits(4.0)
    command = _command(model, target, given)
    request = Request(model, output, target, **given, device=device, encoding=encoding, command=command)
    means = Means(resume, anew, dry, detailed, lambda what: progress.bar(what, as_json=as_json), tell, executor)
    return Run(request, means)


def _command(model: str, target: Target, given: dict[str, Any]) -> str:
    """For the metadata of the file: without what does not change it, and without folders, which are private."""
    flag = {"size": "--target-size", "bits": "--target-bits", "error": "--target-error", "step": "--step"}[target.kind]
    parts = ["sws", "quantize", os.path.basename(model.rstrip("/")), flag, f"{target.value:.10g}"]
    for name in ("method", "calibrate", "samples", "seed"):
        value = given[name]
        if value not in (None, 0, "feedback"):
            parts += [f"--{name}", os.path.basename(str(value))]
    if given["tuning_steps"]:
        parts += ["--tune", str(given["tuning_steps"])]
    if given["paths"] > 1:
        parts += ["--paths", str(given["paths"])]
    for rule in given["rules"]:
        parts += ["--rule", rule]
    return shlex.join(parts)


def _foretell(run: Run, target: Target | None, as_json: bool) -> None:
    """What the file will take for some steps, about."""
    from sws.quantize.targets import Target

    sketch = run.foretell()
    wanted = [Target.bits(bits) for bits in _DRY_BITS]
    if target is not None and target.kind != "error":
        wanted.insert(0, target)
    rows = []
    for one in wanted:
        step = one.value if one.kind == "step" else sketch.step(one)
        size = sketch.bytes(step)
        rows.append({"target": str(one), "step": step, "bytes": size, "bits": 8 * size / max(1, sketch.elements)})
    if as_json:
        console.json_object({"input": run.request.model, "elements": sketch.elements, "foretold": rows})
        return
    matrices = sum(elements for _, elements, _, _ in sketch.matrices)
    kept = console.size(sketch.other_bytes)
    console.line(f"{matrices:,} of {sketch.elements:,} weights are quantised, the others take about {kept}")
    for row in rows:
        console.line(
            f"{row['target']}: about {row['bytes']:,} bytes, {row['bits']:.2f} bits a weight, step {row['step']:.4g}"
        )
    if run.is_alone is False:
        console.line("steps are those without statistics; an error is known when it was measured, without --dry-run")


def _conclusion(made: Report) -> str:
    parts = [f"{made.file}: {console.size(made.file_bytes)}", f"{made.bits:.3f} bits a weight"]
    parts.append(f"{console.times(made.ratio)} smaller than its {made.dense_bytes:,} dense bytes")
    if made.error is not None:
        parts.append(f"{made.error_kind} {made.error:.4g}")
    elif made.weight_error is not None:
        parts.append(f"relative error of the weights {made.weight_error:.4g}")
    return ", ".join(parts)
