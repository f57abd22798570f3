"""Plant a bug or a variant: a copy of the paper with some lines of its source replaced, judged by a phase's gate."""

from __future__ import annotations

import copy
import importlib
import shutil
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from repro.checks.evidence import weigh
from repro.checks.registry import run_check
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Finding
from repro.phases.fingerprints import module_file
from repro.phases.gate import planned_checks

from .patched import settings_of

PACKAGE = "repro.papers.transformer"
COUNT = count()


@dataclass(frozen=True)
class Patch:
    """Replace `before` by `after` in one file of the paper; `times` says how often it stands there."""

    file: str
    before: str
    after: str
    times: int = 1


@dataclass(frozen=True)
class Planted:
    """`phase` is the gate that must stop it, `likely` a text that one of the first three likely bugs holds."""

    patches: tuple[Patch, ...]
    phase: str = "model"
    likely: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    components: tuple[str, ...] = ()  # names that a finding may blame beside the component itself and its pieces
    spoils: bool = False  # changes what all data objects of a process share, so it gets its own


def plant(planted: Planted, folder: Path, overrides: tuple[str, ...] = ()) -> Paper:
    """The Transformer with the patches made, as a package of another name on sys.path. A text not found is an error."""
    name = package_of(planted, folder)
    files = {patch.file for patch in planted.patches}
    if "data" in files and not planted.spoils:  # learn the pieces once for all copies
        copied, real = (importlib.import_module(f"{package}.data") for package in (name, PACKAGE))
        vars(copied).update(number_pieces=real.number_pieces, number_words=real.number_words)
    # data and evaluation keep their caches unless they are patched
    moved = {"model", "loss", "pieces", "training"} | files
    small = ("data.train=2000", "data.held_out=100") if "data" in files else ()
    settings = renamed(copy.deepcopy(settings_of(*small, *overrides)), name, moved)
    for key, value in planted.settings.items():
        node = settings
        *path, last = key.split(".")
        for part in path:
            node = node[int(part) if isinstance(node, list) else part]
        node[last] = value
    return Paper.from_config(settings)


def package_of(planted: Planted, folder: Path, package: str = PACKAGE) -> str:
    """The name of a new package in `folder`, now on sys.path: a copy of the paper with the patches made."""
    name = f"planted_paper_{next(COUNT)}"
    target = folder / name
    source = Path(importlib.import_module(package).__path__[0])
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    for patch in planted.patches:
        file = target / f"{patch.file}.py"
        text = file.read_text(encoding="utf-8")
        assert text.count(patch.before) == patch.times, (
            f"{patch.before!r}: {text.count(patch.before)} times in {patch.file}.py"
        )
        file.write_text(text.replace(patch.before, patch.after), encoding="utf-8")
    for file in target.glob("*.py"):
        file.write_text(file.read_text(encoding="utf-8").replace(f"from {package}", f"from {name}"), encoding="utf-8")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    module_file.cache_clear()
    return name


def renamed(node: Any, name: str, modules: set[str], package: str = PACKAGE) -> Any:
    if isinstance(node, dict):
        return {key: renamed(value, name, modules, package) for key, value in node.items()}
    if isinstance(node, list):
        return [renamed(value, name, modules, package) for value in node]
    if isinstance(node, str):
        for module in modules:
            if node.startswith(f"{package}.{module}."):
                return node.replace(package, name, 1)
    return node


#: Checks that no bug of the catalogue needs and that take most of the time of a gate.
SLOW = ("from_scratch", "model_finite_differences")


def gate_of(
    paper: Paper, phase: str, seed: int = 0, dtype: Any = None, without: tuple[str, ...] = SLOW
) -> list[Finding]:
    """Findings of the checks that gate a phase, as the phase itself plans and weighs them."""
    context: Any = SimpleNamespace(settings=paper.settings, paper=paper)
    bench = Bench(paper, seed=seed) if dtype is None else Bench(paper, dtype=dtype, seed=seed)
    findings: list[Finding] = []
    for name, options in planned_checks(phase, context):
        if name not in without:
            findings += run_check(name, bench, options)
    return weigh(findings)


def failures(findings: list[Finding]) -> list[Finding]:
    """What keeps the gate shut, in the order in which the gate shows it."""
    return [f for f in findings if f.blocks]
