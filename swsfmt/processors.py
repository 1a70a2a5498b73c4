"""How many processors this process may use: fewer than there are, on most machines that are shared."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path, PurePosixPath


def processors() -> int:
    """At least 1; those that taskset, cpusets, a batch system or the quota of a container leave."""
    # Not every system tells.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return max(1, allowed if quota is None else min(allowed, quota))


@lru_cache
def cgroup_quota(root: Path = Path("/")) -> int | None:
    """Processors that the control groups of this process may keep busy, rounded up; None where nothing is said.

    Those of both versions are asked, up to the top: the least counts. root : of the file system, for tests.
    """
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = (
            [root / "sys/fs/cgroup"]
            if not controllers
            else [root / "sys/fs/cgroup" / name for name in ("cpu", "cpu,cpuacct", "cpuacct,cpu")]
        )
        # Within a container the path may be that of the host, where nothing is; the top is the container's then.
        group = PurePosixPath(path).relative_to("/") if path.startswith("/") else PurePosixPath()
        if ".." in group.parts:
            group = PurePosixPath()
        for mount in mounts:
            for folder in [group, *group.parents]:
                quotas += _quota(mount / folder)
    return min(quotas, default=None)


def _quota(folder: Path) -> list[int]:
    """Of one control group: none, or one."""
    of_both = _read(folder / "cpu.max").split() or [
        *_read(folder / "cpu.cfs_quota_us").split(),
        *_read(folder / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = (int(number) for number in of_both)
    except ValueError:
        # There is no file, or it says "max".
        return []
    return [-(-quota // period)] if quota > 0 and period > 0 else []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
