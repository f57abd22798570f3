"""What a run ran on: versions, platform, processor and the state of the code, found without importing torch."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from repro.sweeps.cores import available_cores

#: The packages whose version can change a number.
PACKAGES = ("torch", "numpy", "scipy", "lightning", "sacrebleu", "optuna", "hydra-core", "wandb", "repro")


@functools.cache
def cpu_model() -> str:
    """The processor's own name, such as "AMD EPYC 7B13": floating-point sums may differ between kinds."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the platform module knows what can be known
    return platform.processor() or platform.machine()


def version(package: str) -> str | None:
    """The installed version, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of the tree that holds `folder` and whether it has edits; None outside a repository or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {
            "commit": commit,
            "edited": bool(_git(folder, "status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def environment(threads: int | None = None, folder: Path | None = None) -> dict[str, Any]:
    """The content of environment.json; `folder` is where the paper's code lies."""
    packages = {name: found for name in PACKAGES if (found := version(name))}
    return {
        "python": platform.python_version(),
        "torch": packages.get("torch"),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": available_cores(),
        "threads": threads,
        "git": git_state(folder or Path(__file__).parent),
        "packages": packages,
    }
