"""Fingerprints: what a phase's evidence and a training's results depend on, so that only what changed is redone.

Nothing is imported or run: sources are found and their imports read as text, so this costs milliseconds.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from repro.configuration.identity import scientific
from repro.contract.components import HARNESS_FOLDER
from repro.contract.paper import Paper

#: The part of the harness that decides what a check says; a change in it makes old evidence stale.
DECIDING = ("checks", "oracles", "contract", "phases")

#: Sections of the configuration, components and earlier phase that each phase's evidence depends on.
SECTIONS: dict[str, tuple[str, ...]] = {
    "analysis": ("paper", "ablations", "scale"),
    "data": ("data", "dataset", "tensors", "splits", "properties"),
    "model": ("model", "stages", "properties", "initialisation", "pieces"),
    "loss": ("loss", "properties", "pieces"),
    "training": ("training", "schedule", "optimiser"),
    "evaluation": ("evaluation",),
    "gauntlet": ("gauntlet", "ablations"),
    "reproduction": ("reproduction",),
}
COMPONENT: dict[str, tuple[str, ...]] = {
    "analysis": (),
    "data": ("data",),
    "model": ("model", "pieces"),
    "loss": ("loss",),
    "training": ("training",),
    "evaluation": ("evaluation",),
    "gauntlet": (),
    "reproduction": (),
}
#: Pieces that checks of the data phase call; all others are called by later phases.
DATA_PIECES = ("collect", "flatten_rollout", "preprocess", "per_pixel_mean", "augment")
#: What a model that acts for its data, and the checks of what it did, depend on.
ACTING = ("model", "loss", "training")
BEFORE = {
    "model": "data",
    "loss": "model",
    "training": "loss",
    "evaluation": "training",
    "gauntlet": "evaluation",
    "reproduction": "gauntlet",
}


def digest(value: Any) -> str:
    """12 hex digits of a JSON-able value or of bytes."""
    raw = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True, default=str).encode()
    return hashlib.sha256(raw).hexdigest()[:12]


def source_files(target: str) -> frozenset[Path]:
    """The file of a dotted path's module and the files beside or below it that it imports, directly or not."""
    module = target.rpartition(".")[0]
    start = module_file(module)
    if start is None:
        return frozenset()
    folder = start.parent
    found: set[Path] = set()
    waiting = [(module, start)]
    while waiting:
        name, path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for imported in imported_modules(path, name):
            if not may_lie_below(folder, imported.partition(".")[0], module.partition(".")[0]):
                continue
            file = module_file(imported)
            if file is not None and folder in file.parents:
                waiting.append((imported, file))
    return frozenset(found)


def may_lie_below(folder: Path, package: str, own: str) -> bool:
    """Whether modules of a top-level package can be files of the paper; to look for `torch.nn` would import torch."""
    if package == own:
        return True
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec is not None else []
    return any(place is not None and folder in Path(place).resolve().parents for place in places)


@cache
def module_file(name: str) -> Path | None:
    """The source file of a module, without importing the module itself; None when there is none."""
    parent = module_file(name.rpartition(".")[0]) if "." in name else None
    if parent is not None and parent.name != "__init__.py":
        return None  # a name inside a module: looking for it would import the module
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).resolve()


def imported_modules(path: Path, module: str) -> list[str]:
    """Dotted names that a file imports; `from a import b` gives both a and a.b, since b may be a module."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, OSError):
        return []  # the phase that imports it reports this, with the line
    package = module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            names.append(base)
            names += [f"{base}.{alias.name}" for alias in node.names]
    return [name for name in names if name]


def digest_of_files(files: Iterable[Path]) -> str:
    """12 hex digits of the contents; the place of a file does not matter, its name does."""
    parts = sorted((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
    return digest(parts)


@cache
def deciding_code() -> str:
    """Fingerprint of the harness code that decides findings."""
    files = [path for name in DECIDING for path in (HARNESS_FOLDER / name).rglob("*.py")]
    return digest_of_files(files)


def every_target(paper: Paper) -> dict[str, str]:
    """Dotted paths by config key: of the components and pieces, and of those that only another system has."""
    found = paper.targets()
    if not paper.settings.get("systems"):
        return found

    def walk(node: Any, path: str) -> None:
        if isinstance(node, Mapping):
            if isinstance(node.get("_target_"), str):
                found.setdefault(path, node["_target_"])
            for key, value in node.items():
                walk(value, f"{path}.{key}")

    for key, value in paper.settings.items():
        if key not in ("launcher", "sweep", "tracking", "pieces"):
            walk(value, str(key))
    return found


def paper_sources(paper: Paper) -> set[Path]:
    """Every source file of the paper's components and pieces."""
    return {path for target in every_target(paper).values() for path in source_files(target)}


def source_fingerprint(paper: Paper) -> str:
    """Fingerprint of all the person's files that training and evaluation can touch."""
    files: set[Path] = set()
    for key, target in every_target(paper).items():
        if not key.startswith("pieces."):  # adapters to oracles are not part of training
            files |= source_files(target)
    return digest_of_files(files | (extension_files(paper) if paper.settings.get("metrics") else set()))


def extension_files(paper: Paper) -> set[Path]:
    """The files of the modules that the config names under `extensions`."""
    return {path for name in paper.settings.get("extensions") or () for path in source_files(f"{name}.registered")}


def acts(paper: Paper) -> bool:
    """Whether the data come from acting: their `batches` asks for the model."""
    target = paper.targets().get("data", "")
    for path in source_files(target):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, OSError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or node.name != "batches":
                continue
            if "model" in {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}:
                return True
    return False


def phase_fingerprint(phase: str, paper: Paper, table_digest: str = "") -> str:
    """Fingerprint of everything that the evidence of `phase` depends on, earlier phases included."""
    acting = ACTING if phase == "data" and acts(paper) else ()
    sections = {name: paper.settings.get(name) for name in (*SECTIONS[phase], *acting)}
    if phase in ("analysis", "reproduction"):
        sections["table"] = table_digest
    files: set[Path] = set()
    systems = bool(paper.settings.get("systems"))
    if systems:
        # a system may change anything, so the evidence on all systems depends on everything that is not mere display
        sections["everything"] = scientific(paper.settings)
    for key, target in every_target(paper).items():
        of_data = phase == "data" and key.removeprefix("pieces.") in DATA_PIECES
        component = key.partition(".")[0]
        if systems or of_data or component in COMPONENT[phase] or (acting and component in (*acting, "pieces")):
            files |= source_files(target)
    return digest(
        {
            "phase": phase,
            "sections": sections,
            "checks": entries_of(phase, paper.settings),
            "without": (paper.settings.get("check") or {}).get("without") or {},
            "sources": digest_of_files(files | extension_files(paper)),
            "harness": deciding_code(),
            "before": phase_fingerprint(BEFORE[phase], paper) if phase in BEFORE else "",
        }
    )


def entries_of(phase: str, settings: Mapping[str, Any]) -> list[Any]:
    """What the phase's and the type's configuration list as checks of this phase."""
    of_phase = ((settings.get("phase") or {}).get(phase) or {}).get("checks") or []
    kind = settings.get("type") or {}
    of_all = (kind.get("generic") or {}).get(phase) or []
    of_type = (kind.get("checks") or {}).get(phase) or []
    return [*of_phase, *of_all, *of_type]
