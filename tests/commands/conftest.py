from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import repro
from repro.commands import failures
from repro.configuration import secrets
from repro.errors import ExitCode

PAPER = """\
# @package _global_
defaults:
  - override /type: own
  - override /data: dots
  - _self_
paper: {name: tiny, title: A tiny paper, arxiv: "0000.00001", version: v1, type: own, reference: tiny}
model: {_target_: tiny.Model, width: 8}
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret remembered, no run folder, no leftover of sys.path."""
    monkeypatch.setattr(secrets, "_values", set())
    monkeypatch.setattr(secrets, "_keys", set())
    monkeypatch.setattr(failures, "_run_folder", None)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's own folder with the paper `tiny`, entered."""
    for group in ("paper", "data", "type"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf/paper/tiny.yaml").write_text(PAPER)
    (tmp_path / "conf/type/own.yaml").write_text("name: own\n")
    (tmp_path / "conf/data/dots.yaml").write_text(
        "# @package _global_\ndata: {_target_: tiny.dots}\ndataset: {name: dots, papers: [tiny]}\n"
    )
    (tmp_path / "reference_numbers").mkdir()
    (tmp_path / "reference_numbers/tiny.yaml").write_text("records: {one: {}, two: {}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


Runner = Callable[..., ExitCode]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Runner], list[dict[str, Any]]]]:
    """Puts a function in the place of the phases; returns the list of the calls it gets."""
    import repro.phases

    def install(behaviour: Runner) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def run_phases(composed: Any, **rest: Any) -> ExitCode:
            calls.append({"composed": composed, **rest})
            return behaviour(composed, **rest)

        fake = ModuleType("repro.phases.runner")
        fake.run_phases = run_phases  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "repro.phases.runner", fake)
        monkeypatch.setattr(repro.phases, "runner", fake, raising=False)
        return calls

    yield install


@pytest.fixture(scope="session")
def tree() -> Path:
    """The source tree under test."""
    return Path(repro.__file__).resolve().parent.parent
