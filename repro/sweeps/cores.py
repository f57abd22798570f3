"""How many cores there are for us, and how workers and threads share them."""

from __future__ import annotations

import math
import os
from pathlib import Path

from repro.errors import ConfigError

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its container where one is set."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_LIMIT.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def share_cores(workers: int | None, threads: int | None, cores: int | None = None) -> tuple[int, int]:
    """(workers, threads of each) so that workers × threads fill `cores`; what is given is kept.

    Neither given: one single-threaded worker for each core, which wastes least on small models.
    """
    cores = available_cores() if cores is None else cores
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}: got {value}, need at least 1, or null to share the {cores} cores.")
    if workers is None:
        workers = max(1, cores // (threads or 1))
    return workers, threads if threads is not None else max(1, cores // workers)
