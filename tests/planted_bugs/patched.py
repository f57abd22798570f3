"""The real paper with a few lines of one component replaced, as a bench: how a bug or a variant gets in."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import sys
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from repro.checks.registry import CHECKS, load_all, run_check
from repro.configuration.compose import compose
from repro.contract.bench import Bench
from repro.contract.paper import Paper, to_plain
from repro.findings import Finding

NUMBER = count()


@lru_cache
def settings_of(*overrides: str) -> dict[str, Any]:
    return to_plain(compose(["paper=transformer", "scale=smoke", *overrides]).config)


def patched_bench(
    folder: Path,
    component: str = "",
    replacements: list[tuple[str, str]] | None = None,
    settings: dict[str, Any] | None = None,
    seed: int = 0,
) -> Bench:
    """A bench of the Transformer whose `component` comes from a copy of its file with `replacements` made.

    `settings` maps dotted keys to other values. A text that is not found once is an error: the paper has changed.
    """
    config = copy.deepcopy(settings_of())
    for key, value in (settings or {}).items():
        node = config
        *path, last = key.split(".")
        for part in path:
            node = node[part]
        node[last] = value
    if component:
        module_name, _, attribute = config[component]["_target_"].rpartition(".")
        source = inspect.getsource(importlib.import_module(module_name))
        for before, after in replacements or []:
            assert source.count(before) == 1, f"{before!r} occurs {source.count(before)} times in {module_name}"
            source = source.replace(before, after)
        name = f"planted_{component}_{next(NUMBER)}"
        path_of = folder / f"{name}.py"
        path_of.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path_of)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        config[component]["_target_"] = f"{name}.{attribute}"
    return Bench(Paper.from_config(config), seed=seed)


def planned(phase: str) -> list[str]:
    """The checks that gate a phase of the Transformer, those of these files only."""
    load_all()
    kinds = settings_of()["type"]
    names = [*kinds["generic"][phase], *kinds["checks"][phase]]
    plain = [name if isinstance(name, str) else name["check"] for name in names]
    return [name for name in plain if name in CHECKS]


def gate(phase: str, bench: Bench, stop: bool = True, without: tuple[str, ...] = ()) -> list[Finding]:
    """Findings of a phase's checks, up to the first check that keeps the gate shut."""
    findings: list[Finding] = []
    for name in planned(phase):
        if name in without:
            continue
        findings += run_check(name, bench)
        if stop and any(f.blocks for f in findings):
            break
    return findings


def blocking(findings: list[Finding]) -> list[Finding]:
    return [f for f in findings if f.blocks]
