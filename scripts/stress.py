"""Save and load random tensors in every way there is, and look for anything that is not as it should be.

    python scripts/stress.py --seconds 3600 --processes 2
    python scripts/stress.py --seed 1234 --count 1          replays the case of that seed

For each seed: a file of random tensors and options (`random_tensors.py`) is saved by both kernels, in 1, 2 and 8
threads, twice, and in a spawned process: always the same bytes. It is loaded by both kernels, in threads, whole, by
rows, into given memory, by a handle, by a handle after a fork, and by the reference decoder: always the same elements.
Flipped bits are refused, and mutations with mended checksums give an error or tensors, by both kernels the same.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("scripts", "spec", "tests/spec")]

import fuzz_reader  # noqa: E402
import random_tensors  # noqa: E402
import reference_decoder  # noqa: E402
from random_tensors import Case, Tensor, make, torch  # noqa: E402

import swsfmt  # noqa: E402
from swsfmt.entropy import backend  # noqa: E402
from swsfmt.scaled import ScaledBase  # noqa: E402

if torch:
    import swsfmt.torch

    # Its threads do not live through a fork, whatever one does there: GNU OpenMP waits for them for ever.
    torch.set_num_threads(1)
    # Old versions say it at the first tensor of complex numbers of 2 x 16 bits.
    warnings.filterwarnings("ignore", "ComplexHalf support is experimental")

# Elements of a tensor, and of a file that is given to the twin, to the adaptive twin and to the reference decoder.
MOST, MOST_TWIN, MOST_ADAPTIVE_TWIN, MOST_REFERENCE = 1 << 18, 20_000, 1500, 5000
MOST_MUTATED = 1 << 16
# Without an answer for so many seconds a case hangs.
PATIENCE = 600


def check(seed: int, processes: ProcessPoolExecutor) -> tuple[int, int]:
    """Everything about the case of that seed. Raises whatever goes wrong; returns its tensors and the bytes of them."""
    case, rng = make(seed, MOST), random.Random(seed)
    data = check_saving(case, processes)
    check_loading(case, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.sws")
        interface(case).save_file(case.values(), path, case.metadata, **case.options)
        same("the file on disk", path.read_bytes(), data)
        for file in (path, data):
            check_handle(case, file, rng)
        check_fork(case, path)
    check_reports(case, data)
    if case.elements <= MOST_REFERENCE:
        check_reference(case, data)
    check_damage(case, data, rng)
    return len(case.tensors), sum(tensor.bits.nbytes for tensor in case.tensors.values())


def interface(case: Case) -> Any:
    return swsfmt if case.face == "numpy" else swsfmt.torch


def encoded(seed: int) -> str:
    """The digest of the file of a seed; for other processes."""
    case = make(seed, MOST)
    return hashlib.sha256(interface(case).save(case.values(), case.metadata, **case.options)).hexdigest()


def kernels(case: Case) -> list[str]:
    """Those in C, where they were built, and the twin where it takes no ages."""
    profile = case.options.get("profile", "default")
    is_fast = profile in ("fast", "default") or (not isinstance(profile, str) and "small" not in profile.values())
    has_time = case.elements <= (MOST_TWIN if is_fast else MOST_ADAPTIVE_TWIN)
    return sorted({backend.active(), backend.BITARRAY} if has_time else {backend.active()})


def same(what: str, one: Any, other: Any) -> None:
    if one != other:
        raise AssertionError(f"{what}: not the same")


# ---- what is checked ---------------------------------------------------------------------------------------------


def check_saving(case: Case, processes: ProcessPoolExecutor) -> bytes:
    save, values = interface(case).save, case.values()
    data: bytes = save(values, case.metadata, threads=1, **case.options)
    elsewhere = processes.submit(encoded, case.seed)
    for threads in (1, 2, 8, None):
        same(f"saved in {threads} threads", save(values, case.metadata, threads=threads, **case.options), data)
    for name in kernels(case):
        with backend.use(name):
            same(f"saved by {name}", save(case.values(), case.metadata, **case.options), data)
    same("saved in another process", elsewhere.result(PATIENCE), hashlib.sha256(data).hexdigest())
    return data


def check_loading(case: Case, data: bytes) -> None:
    load = interface(case).load
    for name in kernels(case):
        with backend.use(name):
            for threads in (1, 2, 8, None):
                check_values(case, load(bytearray(data), threads=threads))
    out = {name: _other_memory(value) for name, value in case.values().items()}
    loaded = load(data, out=out)
    check_values(case, loaded, tied=False)
    same("memory that was given", [_address(loaded[name]) for name in out], [_address(out[name]) for name in out])


def check_values(case: Case, loaded: dict[str, Any], *, tied: bool = True) -> None:
    same("names and their order", list(loaded), list(case.tensors))
    first: dict[int, str] = {}
    for name, tensor in case.tensors.items():
        check_elements(name, loaded[name], case, tensor, ...)
        other = first.setdefault(id(tensor), name)
        if tied and tensor.bits.size:
            assert loaded[other] is loaded[name], f"{name!r} and {other!r} are not tied"


def check_elements(name: str, value: Any, case: Case, tensor: Tensor, index: Any) -> None:
    """value : what was loaded as the part `index` of a tensor."""
    expected = case.stored(tensor).bits[index]
    if case.face == "numpy":
        same(f"dtype of {name!r}", value.dtype, random_tensors.NUMPY[tensor.dtype])
    else:
        same(f"dtype of {name!r}", value.dtype, random_tensors.TORCH[tensor.dtype])
        # As bytes, since torch copies no elements of four bits.
        copied = value.view(torch.uint8) if value.element_size() == 1 else value
        flat = copied.clone(memory_format=torch.contiguous_format).reshape(-1)
        value = flat.view(torch.uint8).numpy() if value.numel() else np.zeros(0)
        same(f"number of elements of {name!r}", value.size, expected.nbytes)
    same(f"elements of {name!r}[{index}] {tensor.dtype} {tensor.bits.shape}", value.tobytes(), expected.tobytes())
    if case.face == "numpy":
        same(f"shape of {name!r}", value.shape, expected.shape)


def _other_memory(value: Any) -> Any:
    """Of the same dtype and shape, in the machine's order."""
    value = value.dequantize() if isinstance(value, ScaledBase) else value
    if isinstance(value, np.ndarray):
        return np.full(value.shape, 1, value.dtype.newbyteorder("<"))
    return torch.ones(value.shape, dtype=torch.uint8).to(value.dtype) if value.element_size() > 1 else value.clone()


def _address(value: Any) -> int:
    return int(value.ctypes.data if isinstance(value, np.ndarray) else value.data_ptr())


def check_handle(case: Case, file: Path | bytes, rng: random.Random) -> None:
    """Whole tensors and slices of them."""
    with swsfmt.safe_open(file, "np" if case.face == "numpy" else "pt", threads=rng.choice((1, 2, 8))) as handle:
        same("keys", handle.keys(), list(case.tensors))
        same("metadata", handle.metadata(), case.metadata)
        for name, tensor in case.tensors.items():
            check_elements(name, handle.get_tensor(name), case, tensor, ...)
            for _ in range(3):
                index = _index(tensor.bits.shape, case.face, rng)
                check_elements(name, handle.get_slice(name)[index], case, tensor, index)
            same("shape of a slice", handle.get_slice(name).get_shape(), list(tensor.bits.shape))
        check_values(case, handle.get_tensors())


def _index(shape: tuple[int, ...], face: str, rng: random.Random) -> Any:
    """A number, a slice, or one of them and a slice of the next dimension."""
    if not shape or not math.prod(shape):
        return ...
    start, stop = rng.randrange(-shape[0], shape[0] + 2), rng.randrange(-shape[0], shape[0] + 2)
    step = rng.choice((None, 1, 2, 7) if face == "torch" else (None, 1, 2, 7, -1, -3))
    first = rng.choice((slice(start, stop, step), slice(start, start + 1), rng.randrange(-shape[0], shape[0])))
    return (first, slice(rng.randrange(shape[1]), None)) if len(shape) > 1 and rng.random() < 0.3 else first


def check_fork(case: Case, path: Path) -> None:
    """A handle is used on both sides of a fork at once."""
    if not hasattr(os, "fork"):
        return
    with swsfmt.safe_open(path, "np" if case.face == "numpy" else "pt", threads=2) as handle:
        child = os.fork()
        if not child:
            try:
                check_values(case, handle.get_tensors())
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        try:
            check_values(case, handle.get_tensors())
        finally:
            _, status = os.waitpid(child, 0)
    same("the exit status of a forked reader", os.waitstatus_to_exitcode(status), 0)


def check_reports(case: Case, data: bytes) -> None:
    for report in (swsfmt.inspect(data), swsfmt.verify(data)):
        assert sum(report.sections.values()) == report.file_bytes == len(data), "bytes are missing in the report"
        for tensor in report.tensors:
            same(f"bytes of {tensor.name!r}", sum(tensor.sections.values()), tensor.file_bytes)
        same("dtypes", [tensor.dtype for tensor in report.tensors], [t.dtype for t in case.tensors.values()])


def check_reference(case: Case, data: bytes) -> None:
    decoded = reference_decoder.decode(data)
    same("metadata", decoded.metadata, case.metadata)
    for name, tensor in case.tensors.items():
        same(f"{name!r} by the reference decoder", decoded.tensors[name].data, case.stored(tensor).bits.tobytes())


def check_damage(case: Case, data: bytes, rng: random.Random) -> None:
    """A flipped bit, and a file that is cut or goes on, are refused; mutations behind the checksums answer in order."""
    for _ in range(8):
        at = rng.randrange(len(data))
        flipped = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        for damaged in (flipped, data[:at], data + b"\0"):
            try:
                swsfmt.verify(damaged)
            except swsfmt.SwsError:
                continue
            raise AssertionError(f"damage at byte {at} is not seen")
    if len(data) <= MOST_MUTATED and case.elements <= MOST_ADAPTIVE_TWIN:
        with fuzz_reader.without_checksums():
            for _ in range(5):
                fuzz_reader.test_one_input(fuzz_reader.mutated(data, data[: 1 << 10], rng))


# ---- many cases in processes that may die ------------------------------------------------------------------------


@dataclass
class Totals:
    files: int = 0
    tensors: int = 0
    bytes: int = 0
    failures: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.files:,} files, {self.tensors:,} tensors, {self.bytes:,} bytes, {len(self.failures)} failures; "
            f"kernels: {backend.active()}, NumPy {np.__version__}, torch {torch.__version__ if torch else 'not there'}"
        )


@contextmanager
def spawned() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        yield processes


def work(seeds: Connection) -> None:
    """Take seeds and answer with what `check` returns, or with the failure as text."""
    with spawned() as processes:
        while (seed := seeds.recv()) is not None:
            try:
                answer: tuple[int, int] | str = check(seed, processes)
            except Exception:
                answer = traceback.format_exc()
            seeds.send(answer)


class Worker:
    """A process with one case at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,))
        self._process.start()
        theirs.close()

    def give(self, seed: int) -> None:
        self.seed, self.since = seed, time.monotonic()
        self.pipe.send(seed)

    def end(self) -> int | None:
        """The exit status of a process that was to end, or did."""
        with suppress(OSError):
            self.pipe.send(None)
        self._process.join(30)
        self._process.kill()
        self._process.join()
        return self._process.exitcode


def run(first: int, more: Callable[[int], bool], processes: int) -> Totals:
    """The cases of the seeds from `first` on, while more(cases begun)."""
    totals, begun = Totals(), 0
    workers: dict[Any, Worker] = {}

    def begin(worker: Worker) -> None:
        nonlocal begun
        if not more(begun):
            worker.end()
            return
        worker.give(first + begun)
        workers[worker.pipe] = worker
        begun += 1

    def fail(seed: int, failure: str) -> None:
        totals.failures[seed] = failure
        click.echo(f"{failure}\nFAILED; to replay it: python scripts/stress.py --seed {seed} --count 1\n", err=True)

    for _ in range(processes):
        begin(Worker())
    while workers:
        for pipe in wait(list(workers), timeout=1):
            worker = workers.pop(pipe)
            try:
                answer = worker.pipe.recv()
            except (EOFError, ConnectionError):
                fail(worker.seed, f"the process ended with status {worker.end()}")
                begin(Worker())
                continue
            if isinstance(answer, str):
                fail(worker.seed, answer)
            else:
                totals.files, totals.tensors = totals.files + 1, totals.tensors + answer[0]
                totals.bytes += answer[1]
            begin(worker)
        for worker in [worker for worker in workers.values() if time.monotonic() - worker.since > PATIENCE]:
            del workers[worker.pipe]
            worker.end()
            fail(worker.seed, f"no answer within {PATIENCE} seconds")
            begin(Worker())
    return totals


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long to begin new cases.")
@click.option("--count", type=int, help="So many cases, however long they take.")
@click.option("--seed", default=0, show_default=True, help="Of the first case; the next ones count on.")
@click.option("--processes", default=1, show_default=True, help="That try cases side by side.")
def main(seconds: float, count: int | None, seed: int, processes: int) -> None:
    """Random tensors, saved and loaded in every way there is."""
    end = time.monotonic() + seconds
    totals = run(seed, lambda begun: begun < count if count is not None else time.monotonic() < end, processes)
    click.echo(str(totals))
    sys.exit(bool(totals.failures))


if __name__ == "__main__":
    main()
