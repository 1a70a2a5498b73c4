"""A checkpoint alone that is larger than what the process may take, killed in the middle; and on a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from command import run
from safetensors.torch import save_file

pytestmark = pytest.mark.slow

COUNT, ROWS, COLUMNS = 10, 2048, 2048
TENSOR = 4 * ROWS * COLUMNS
ARGUMENTS = ("--step", "0.0008", "--threads", "1", "--profile", "fast")

PROGRAM = """
import sys
import sws.cli
sws.cli.main(["quantize", *sys.argv[1:]], standalone_mode=False)
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10)
"""


# After three tensors.
KILLED = """
import os
import sws.quantize.sharded as sharded
write, written = sharded.write_atomically, []
def write_or_die(path, data):
    if len(written) == 3:
        os.kill(os.getpid(), 9)
    written.append(path)
    write(path, data)
sharded.write_atomically = write_or_die
"""


def process(*arguments: Any, program: str = PROGRAM) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, weight_map = tmp_path_factory.mktemp("large"), {}
    random = torch.Generator().manual_seed(0)
    for shard in range(2):
        names = [f"layer{i}.weight" for i in range(shard, COUNT, 2)]
        file = f"model-{shard + 1:05d}-of-00002.safetensors"
        save_file({name: 0.02 * torch.randn(ROWS, COLUMNS, generator=random) for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


@pytest.fixture(scope="module")
def whole(index: Path) -> tuple[bytes, int]:
    """The file, and the peak of memory of making it."""
    out = index.parent / "whole.sws"
    printed = process(index, "-o", out, *ARGUMENTS).communicate()[0]
    return out.read_bytes(), int(printed.splitlines()[-1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process")
def test_memory(whole: tuple[bytes, int]) -> None:
    """All of them are 160 MB of floats, and 40 of levels: they do not fit in what is left beside torch."""
    assert whole[1] <= 4 * TENSOR + 300_000_000


def test_killed_and_gone_on_with(index: Path, whole: tuple[bytes, int]) -> None:
    out = index.parent / "killed.sws"
    work = index.parent / "killed.sws.unfinished"
    assert process(index, "-o", out, *ARGUMENTS, program=KILLED + PROGRAM).wait() == -signal.SIGKILL
    assert len(list(work.glob("step-*/*.safetensors"))) == 3
    assert not out.exists()
    assert work.is_dir()
    assert process(index, "-o", out, *ARGUMENTS, "--resume").wait() == 0
    assert out.read_bytes() == whole[0]
    assert not work.exists()


def test_on_a_cluster(index: Path, whole: tuple[bytes, int]) -> None:
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    out = index.parent / "cluster.sws"
    with (
        dask.config.set({"distributed.scheduler.worker-ttl": None, "distributed.comm.timeouts.connect": "60s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
    ):
        result = run("quantize", index, "-o", out, *ARGUMENTS, "--dask", cluster.scheduler_address)
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == whole[0]
