"""What `session` and `quiz` share: the paper and run folder of some overrides, and the step that is meant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from repro.configuration import folders, secrets
from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.phases import ORDER

if TYPE_CHECKING:
    from repro.configuration.compose import Composed


def opened(overrides: Sequence[str], command: str) -> tuple[str, Paper, Composed, Path]:
    """(step or "", paper, config, its run folder, which need not exist) of `paper=x step=model scale=smoke`."""
    folders.add_to_path()
    secrets.remember_overrides(overrides)
    if added := folders.added():
        print(added, file=sys.stderr)
    step = step_of(overrides, command)
    from repro.commands.composing import run_folder
    from repro.configuration.compose import compose

    composed = compose([override for override in overrides if not override.startswith("step=")])
    return step, Paper.from_config(composed.config), composed, run_folder(composed)


def step_of(overrides: Sequence[str], command: str) -> str:
    """The step named by `step=…`, or "". Raises `ConfigError` for one that does not exist."""
    steps = [override.partition("=")[2] for override in overrides if override.startswith("step=")]
    if not steps:
        return ""
    if steps[-1] not in ORDER:
        near = get_close_matches(steps[-1], ORDER, n=1, cutoff=0.5)
        raise ConfigError(
            f"{command}: there is no step {steps[-1]!r}.",
            (f"Near: {near[0]}. " if near else "") + f"The steps: {', '.join(ORDER)}.",
        )
    return steps[-1]
