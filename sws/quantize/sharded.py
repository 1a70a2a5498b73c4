"""A checkpoint alone, tensor by tensor: it may be larger than the memory, and the work on it may be stopped.

Each tensor is read, quantised and written to a file of its own, with its levels and scales; when all are there the .sws
file is made of these, payload by payload. What was written is not made again. A tensor may be quantised anywhere: an
executor, such as dask's, gets where it is and gives the bytes of that file.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from swsfmt import checkpoints
from swsfmt.codings.composite import Structured
from swsfmt.codings.scaled import SCALED, ScaledTensor
from swsfmt.codings.scaled.params import Form, Params, Shift
from swsfmt.errors import located
from swsfmt.options import EncodingOptions
from swsfmt.tensor import Loadable, Tied
from swsfmt.torch import Scaled, to_tensor
from swsfmt.torch_tensors import dtype_of
from swsfmt.write.atomic import write_atomically
from swsfmt.write.file import EncodedFile, Step, encode_file
from swsfmt.write.options import Options

from . import data_free
from .network import dense
from .networks import Plan
from .sketch import Sketch
from .targets import Attempt
from .work import Work

_HEAD = "swsfmt-part"
# What waits for an executor at once.
_WAITING = 16


def survey(tensors: Mapping[str, Loadable | Tied], plan: Plan, step: Step) -> Sketch:
    """Look at every tensor, before anything takes long. Raises `InputError` for weights that are infinite or NaN."""
    own = {name: tensor for name, tensor in tensors.items() if not isinstance(tensor, Tied)}
    total, done = sum(tensor.info.nbytes for tensor in own.values()), 0
    sketch = Sketch()
    for name, tensor in own.items():
        with located(tensor=name):
            sketch.add(own_plan(plan, name).network({name: to_tensor(tensor.load())}))
        _give_back()
        done += tensor.info.nbytes
        step(done, total)
    return sketch


class ShardedAttempts:
    """Called with a step, it makes all parts and the file of them; `pieces` is what was made last.

    tensors : of the checkpoint
    executor : where tensors are quantised and encoded; None for this process
    metadata : of the file with a step
    """

    def __init__(
        self,
        tensors: Mapping[str, Loadable | Tied],
        plan: Plan,
        work: Work,
        metadata: Callable[[float], Mapping[str, str]],
        *,
        threads: int | None = None,
        executor: Executor | None = None,
        progress: Callable[[str], Any],
        **encoding: Unpack[EncodingOptions],
    ) -> None:
        self._tensors, self._plan, self._work, self._metadata = tensors, plan, work, metadata
        self._threads, self._executor, self._progress = threads, executor, progress
        self._options = Options.of("quantize", encoding)

    def __call__(self, step: float) -> Attempt:
        """Raises `InputError` for a tensor that cannot be quantised, `OSError`."""
        with tempfile.TemporaryFile(dir=self._work.made()) as spool:
            encoded, weight_error = self._encoded(step, spool)
            return Attempt(step, encoded.size, weight_error=weight_error)

    def write(self, step: float, out: str) -> int:
        """The file at `out`, whole or not at all; its size in bytes."""
        with tempfile.TemporaryFile(dir=self._work.made()) as spool:
            encoded, _ = self._encoded(step, spool)
            encoded.warn()
            write_atomically(out, encoded.pieces())
            return encoded.size

    def details(self, step: float) -> dict[str, dict[str, float]]:
        """What was found of each quantised tensor: `error` and `weight`, sums of squares."""
        return {
            name: json.loads(checkpoints.open(path).metadata[_HEAD])
            for name, path in self._paths(step).items()
            if path.exists()
        }

    def _encoded(self, step: float, spool: Any) -> tuple[EncodedFile, float | None]:
        self._make_parts(step)
        tensors: dict[str, Loadable | Tied] = {}
        error = weight = 0.0
        paths = self._paths(step)
        for name, tensor in self._tensors.items():
            tensors[name] = tensor
            if name in paths:
                tensors[name], head = _part(paths[name], tensor)  # type: ignore[arg-type]
                error, weight = error + head["error"], weight + head["weight"]
        with self._progress("encoding") as bar:
            encoded = encode_file(
                tensors, self._metadata(step), self._options,
                threads=self._threads, executor=self._executor, step=bar, spool=spool,
            )  # fmt: skip
        return encoded, math.sqrt(error / weight) if weight else None

    def _paths(self, step: float) -> dict[str, Path]:
        """Of the parts of all tensors that are changed, in order."""
        folder = self._work.folder / f"step-{step.hex()}"
        return {
            name: folder / f"{number:06d}.safetensors"
            for number, (name, tensor) in enumerate(self._tensors.items())
            if not isinstance(tensor, Tied) and self._changes(name, tensor)
        }

    def _changes(self, name: str, tensor: Loadable) -> bool:
        """Whether a tensor may be stored as other numbers: everything that is a float, but what is to stay raw."""
        rule = self._plan.rules.get(name)
        is_float = tensor.info.dtype.name in ("F16", "BF16", "F32", "F64") and tensor.info.numel > 0
        return is_float and not (rule is not None and rule.action == "raw")

    def _make_parts(self, step: float) -> None:
        paths = self._paths(step)
        self._drop_others(step)
        missing = {name: path for name, path in paths.items() if not path.exists()}
        for path in {path.parent for path in missing.values()}:
            self._work.made()
            path.mkdir(exist_ok=True)
        sizes = {name: self._tensors[name].info.nbytes for name in paths}  # type: ignore[union-attr]
        done, total = sum(size for name, size in sizes.items() if name not in missing), sum(sizes.values())
        with self._progress("quantising") as bar:
            for name, data in self._quantized(missing, step):
                write_atomically(missing[name], data)
                del data
                _give_back()
                done += sizes[name]
                bar(done, total)

    def _drop_others(self, step: float) -> None:
        """Parts of another step: they would take as much room again."""
        if not self._work.folder.exists():
            return
        for folder in self._work.folder.glob("step-*"):
            if folder.name != f"step-{step.hex()}":
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()

    def _quantized(self, names: Mapping[str, Path], step: float) -> Iterator[tuple[str, bytes]]:
        """The bytes of the part of each tensor."""
        tasks: Iterator[tuple[str, tuple[Any, ...]]] = (
            (name, (self._tensors[name], name, step, own_plan(self._plan, name))) for name in names
        )
        if self._executor is None:
            yield from ((name, quantize_part(*task)) for name, task in tasks)
            return
        waiting: deque[tuple[str, Any]] = deque()
        for name, task in tasks:
            if len(waiting) >= _WAITING:
                first, future = waiting.popleft()
                yield first, future.result()
            waiting.append((name, self._executor.submit(quantize_part, *task)))
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _give_back() -> None:
    """Return what is free to the system: glibc keeps it, and tensors of many sizes leave holes."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def whole_plan(plan: Plan, tensors: Mapping[str, Loadable | Tied]) -> Plan:
    """The plan with what only all tensors together tell."""
    shapes = {
        name: tensor.info.shape
        for name, tensor in tensors.items()
        if not isinstance(tensor, Tied) and dtype_of(tensor.info.dtype.name).is_floating_point
    }
    aliases = {name: tensor.to for name, tensor in tensors.items() if isinstance(tensor, Tied)}
    return replace(plan, sizes=data_free.sizes(shapes, aliases))


def own_plan(plan: Plan, name: str) -> Plan:
    """The plan of one tensor, which is all that a worker gets. plan : of `whole_plan`"""
    assert plan.sizes is not None
    rules = {name: plan.rules[name]} if name in plan.rules else {}
    sizes = {name: plan.sizes[name]} if name in plan.sizes else {}
    return Plan(plan.method, rules, sizes=sizes)


def quantize_part(tensor: Loadable, name: str, step: float, plan: Plan) -> bytes:
    """Quantise one tensor; the safetensors file of what it becomes. Runs anywhere. Raises `InputError`, `OSError`."""
    with located(tensor=name):
        weights = to_tensor(tensor.load())
        network = plan.network({name: weights})
        value = network.quantize(step)[name]
        if isinstance(value, Tensor) and torch.equal(value, weights):
            # Nothing to keep: an empty file says that it was looked at.
            return save_safetensors({}, {_HEAD: json.dumps({"error": 0.0, "weight": 0.0})})
        # Of matrices alone: statistics of batch norms that are rounded to float16 would outweigh them all.
        error, weight = _squares(value, weights) if name in network.layouts else (0.0, 0.0)
        del weights
        head: dict[str, Any] = {"error": error, "weight": weight}
        if isinstance(value, Tensor):
            return save_safetensors({"values": value.contiguous()}, {_HEAD: json.dumps(head)})
        structured = value.structured()
        assert isinstance(structured, Structured)
        form: Form = structured.params.form
        head["form"] = [form.scales, int(form.shift), form.each]
        head["blocks"] = [list(blocks) for blocks in structured.params.blocks]
        head["parts"] = len(structured.parts)
        parts = {str(number): to_tensor(part.load()) for number, part in enumerate(structured.parts)}
        return save_safetensors(parts, {_HEAD: json.dumps(head)})


def _squares(value: Tensor | Scaled, weights: Tensor) -> tuple[float, float]:
    """Sums of the squares of the errors and of the weights."""
    pieces = zip(dense(value).flatten().split(1 << 20), weights.flatten().split(1 << 20), strict=True)
    error = weight = 0.0
    for new, old in pieces:
        error += float((new.double() - old.double()).square().sum())
        weight += float(old.double().square().sum())
    return error, weight


def _part(path: Path, original: Loadable) -> tuple[Loadable, dict[str, Any]]:
    """What was written, still on disk, and what is known of it. Raises `InputError`, `OSError`."""
    opened = checkpoints.open(path)
    head: dict[str, Any] = json.loads(opened.metadata[_HEAD])
    own: dict[str, Any] = dict(opened.tensors)
    if "form" not in head:
        return own.get("values", original), head
    scales, shift, each = head["form"]
    parts = [own[str(number)] for number in range(head["parts"])]
    blocks = [tuple(block) for block in head["blocks"]]
    params = Params(Form(scales, Shift(shift), each), blocks, infos=[part.info for part in parts])
    return ScaledTensor(original.info, SCALED, params, parts), head
