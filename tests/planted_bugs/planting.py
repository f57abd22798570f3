"""Plant a bug or a variant: a copy of a paper with some lines of its source replaced, judged by a phase's gate."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from omegaconf import OmegaConf

from repro.checks.evidence import weigh
from repro.checks.registry import run_check
from repro.configuration.compose import Composed, compose
from repro.configuration.folders import add_to_path
from repro.contract.bench import Bench
from repro.contract.paper import Paper, to_plain
from repro.findings import Finding
from repro.phases.fingerprints import module_file
from repro.phases.gate import planned_checks

#: Papers that a person could write outside of the package, each in its folder: conf/paper/, a package, a table.
OUTSIDE = Path(__file__).parent / "outside"
COUNT = count()
#: Modules of a paper whose copies would build again what takes seconds.
KEPT = {"transformer": {"data", "evaluation"}, "mnist1d": {"data", "signals", "evaluation"}}


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
    paper: str = "transformer"


def is_outside(paper: str) -> bool:
    return (OUTSIDE / paper).is_dir()


def package_name(paper: str) -> str:
    """The package whose files are patched: "repro.papers.transformer", or "babble" of a paper outside."""
    return paper if is_outside(paper) else f"repro.papers.{paper}"


def source_of(paper: str) -> Path:
    """The folder of the paper's source."""
    if is_outside(paper):
        return OUTSIDE / paper / paper
    return Path(importlib.import_module(package_name(paper)).__path__[0])


@lru_cache
def composed_of(paper: str, *overrides: str) -> Composed:
    """The settings of a paper at scale smoke, composed where a person would stand."""
    stand = contextlib.chdir(OUTSIDE / paper) if is_outside(paper) else contextlib.nullcontext()
    with stand:
        if is_outside(paper):
            add_to_path()
        return compose([f"paper={paper}", "scale=smoke", *overrides])


@lru_cache
def settings_of(*overrides: str, paper: str = "transformer") -> dict[str, Any]:
    return to_plain(composed_of(paper, *overrides).config)


def plant(planted: Planted, folder: Path, overrides: tuple[str, ...] = ()) -> Paper:
    """The paper with the patches made, as a package of another name on sys.path. A text not found is an error."""
    return Paper.from_config(planted_settings(planted, folder, overrides).config)


def planted_settings(planted: Planted, folder: Path, overrides: tuple[str, ...] = ()) -> Composed:
    """The paper's settings with its targets in a patched copy of its package, systems included."""
    name = package_of(planted, folder)
    real_name = package_name(planted.paper)
    files = {patch.file for patch in planted.patches}
    small: tuple[str, ...] = ()
    # what is slow to build keeps its caches unless it, or what it reads, is patched
    moved = {file.stem for file in source_of(planted.paper).glob("*.py")} - KEPT.get(planted.paper, set()) | files
    if "signals" in files:
        moved |= {"data"}
    if "data" in files and planted.paper == "transformer":
        small = ("data.train=2000", "data.held_out=100")
        if not planted.spoils:  # learn the pieces once for all copies
            copied, real = (importlib.import_module(f"{package}.data") for package in (name, real_name))
            vars(copied).update(number_pieces=real.number_pieces, number_words=real.number_words)
    composed = composed_of(planted.paper, *small, *overrides)
    settings = OmegaConf.to_container(composed.unresolved, resolve=False)
    unresolved = OmegaConf.create(renamed(settings, real_name, name, moved))
    for key, value in planted.settings.items():
        OmegaConf.update(unresolved, key, value, merge=False, force_add=True)
    return replace(composed, unresolved=unresolved).with_changes({})


def planted_bench(
    folder: Path,
    component: str = "",
    replacements: list[tuple[str, str]] | None = None,
    settings: dict[str, Any] | None = None,
) -> Bench:
    """A bench of the Transformer with `replacements` made in the file of one component, and `settings` changed."""
    patches = tuple(Patch(component, before, after) for before, after in replacements or [])
    return Bench(plant(Planted(patches, settings=settings or {}), folder))


def package_of(planted: Planted, folder: Path) -> str:
    """The name of a new package in `folder`, now on sys.path: a copy of the paper with the patches made."""
    name = f"planted_paper_{next(COUNT)}"
    target = folder / name
    shutil.copytree(source_of(planted.paper), target, ignore=shutil.ignore_patterns("__pycache__"))
    for patch in planted.patches:
        file = target / f"{patch.file}.py"
        text = file.read_text(encoding="utf-8")
        assert text.count(patch.before) == patch.times, (
            f"{patch.before!r}: {text.count(patch.before)} times in {patch.file}.py"
        )
        file.write_text(text.replace(patch.before, patch.after), encoding="utf-8")
    package = package_name(planted.paper)
    for file in target.glob("*.py"):
        file.write_text(file.read_text(encoding="utf-8").replace(f"from {package}", f"from {name}"), encoding="utf-8")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    module_file.cache_clear()
    return name


def renamed(node: Any, package: str, name: str, modules: set[str]) -> Any:
    """The settings with every target in one of the modules of `package` pointing into package `name`."""
    if isinstance(node, dict):
        return {key: renamed(value, package, name, modules) for key, value in node.items()}
    if isinstance(node, list):
        return [renamed(value, package, name, modules) for value in node]
    if isinstance(node, str):
        for module in modules:
            if node.startswith(f"{package}.{module}."):
                return node.replace(package, name, 1)
    return node


#: Checks that no bug of the catalogue needs and that take most of the time of a gate.
SLOW = ("from_scratch", "model_finite_differences")


def gate_of(
    paper: Paper, phase: str, seed: int = 0, dtype: Any = None, without: tuple[str, ...] = SLOW, stop: bool = False
) -> list[Finding]:
    """Findings of the checks that gate a phase, as the phase itself plans and weighs them.

    `stop` ends after the first check that keeps the gate shut, which spares the later ones' time.
    """
    context: Any = SimpleNamespace(settings=paper.settings, paper=paper)
    bench = Bench(paper, seed=seed) if dtype is None else Bench(paper, dtype=dtype, seed=seed)
    findings: list[Finding] = []
    for name, options in planned_checks(phase, context):
        if name in without:
            continue
        findings += run_check(name, bench, options)
        if stop and failures(findings):
            break
    return weigh(findings)


def failures(findings: list[Finding]) -> list[Finding]:
    """What keeps the gate shut, in the order in which the gate shows it."""
    return [f for f in findings if f.blocks]
