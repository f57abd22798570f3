"""The run folder and the reference table of a run, from its configuration."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from repro import __version__
from repro.configuration.deltas import leaves_of
from repro.contract.components import relative
from repro.contract.paper import Paper
from repro.phases.fingerprints import paper_sources
from repro.questions import load_questions
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
        # what `status` needs without composing the configuration anew or importing a component
        "sources": sorted(relative(str(path)) for path in paper_sources(paper)),
        "questions": [question.id for question in load_questions(paper)],
        "own_variations": [name for name, ablation in paper.ablations.items() if ablation.own],
        "variation": variation_of(composed, paper),
    }
    config = OmegaConf.to_yaml(masked(composed.config))
    return RunFolder.create(paper.settings["runs_folder"], paper.name, run_id(composed.config), description, config)


def variation_of(composed: Composed, paper: Paper) -> str:
    """The person's own variation that this run is: every change of it was typed, and holds; "" for none."""
    from omegaconf import OmegaConf

    typed = {override.partition("=")[0].lstrip("+") for override in composed.overrides}
    for name, ablation in paper.ablations.items():
        changes = leaves_of(ablation.changes)
        holds = all(OmegaConf.select(composed.config, key) == value for key, value in changes.items())
        if ablation.own and set(changes) <= typed and holds:
            return name
    return ""


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
