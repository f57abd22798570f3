"""The run folder and the reference table of a run, from its configuration."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from repro import __version__
from repro.contract.paper import Paper
from repro.reference import Table, load_table
from repro.tracking.run_folder import RunFolder

if TYPE_CHECKING:
    from repro.configuration.compose import Composed


def open_folder(composed: Composed, paper: Paper, command: str) -> RunFolder:
    """Make or reopen the folder of this configuration's run. Raises `RunFolderError` when it cannot be written."""
    from omegaconf import OmegaConf

    from repro.configuration.identity import run_id
    from repro.configuration.secrets import masked

    about = paper.settings.get("paper") or {}
    description = {
        "title": paper.title,
        "arxiv": about.get("arxiv", ""),
        "scale": (paper.settings.get("scale") or {}).get("name", ""),
        "data": (paper.settings.get("dataset") or {}).get("name", ""),
        "command": command_of(command, composed.typed),
        "overrides": composed.typed,
        "harness_version": __version__,
    }
    config = OmegaConf.to_yaml(masked(composed.config))
    return RunFolder.create(paper.settings["runs_folder"], paper.name, run_id(composed.config), description, config)


def command_of(command: str, typed: list[str]) -> str:
    """The command line as it can be typed again, its secrets masked."""
    return shlex.join(["python", "-m", "repro", command, *typed])


def table_path(paper: Paper) -> Path | None:
    """reference_numbers/<name>.yaml of the paper; None when the paper names no table."""
    from repro.configuration.folders import reference_table

    name = (paper.settings.get("paper") or {}).get("reference")
    return reference_table(str(name)) if name else None


def read_table(paper: Paper) -> Table | None:
    """The paper's reference table. Raises `TableError` with all its faults."""
    path = table_path(paper)
    return load_table(path) if path is not None else None
