"""A check that raises, hangs or cannot run is reported as such by the gate, and never opens it as passed."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.checks import registry
from repro.checks.registry import check, not_run, passed
from repro.configuration.compose import compose
from repro.contract.paper import Paper
from repro.findings import Evidence, Gate, Outcome
from repro.phases.context import PhaseContext
from repro.phases.gate import planned_checks, run_gate
from repro.tracking.run_folder import RunFolder

from ..planted_bugs.suite import Silent

DOC = """Decides nothing.

Broken: looks broken.
Likely: a bug.
"""


@pytest.fixture(autouse=True)
def keep_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(registry.load_all())
    monkeypatch.setattr(registry, "run_check", functools.partial(registry.run_check, limit_seconds=0.2))
    yield
    registry.CHECKS.clear()
    registry.CHECKS.update(before)


def registered(name: str, does: Any) -> None:
    def function(bench: Any) -> Any:
        return does()

    function.__name__, function.__doc__ = name, DOC
    check(phase="loss", family="trace", component="loss")(function)


def gate_of(tmp_path: Path, *names: str) -> Evidence:
    """The evidence of a loss gate whose only checks are these."""
    composed = compose(["paper=transformer", "scale=smoke"])
    composed.config.type.generic.loss = []
    composed.config.type.checks.loss = []
    composed.config.properties = []
    composed.config.phase.loss.checks = list(names)
    paper = Paper.from_config(composed.config)
    return run_gate("loss", PhaseContext(composed, paper, RunFolder(tmp_path / "transformer" / "run"), Silent()))


def hang() -> Any:
    time.sleep(20)
    return passed("never reached")


def raise_it() -> Any:
    raise ZeroDivisionError("odd")


def test_a_check_that_raises_or_hangs_keeps_the_gate_shut(tmp_path: Path) -> None:
    registered("fine", lambda: passed("fine"))
    registered("raising", raise_it)
    registered("hanging", hang)
    evidence = gate_of(tmp_path, "fine", "raising", "hanging")
    outcomes = {f.check: f.outcome for f in evidence.findings}
    assert outcomes == {"fine": Outcome.PASSED, "raising": Outcome.ERROR, "hanging": Outcome.ERROR}
    assert evidence.outcome is Gate.FAILED
    assert "2 raised" in evidence.summary
    summaries = {f.check: f.summary for f in evidence.findings}
    assert "ZeroDivisionError" in summaries["raising"] and "longer than 0.2 s" in summaries["hanging"]
    assert all("nothing is known" in f.reason for f in evidence.findings if f.check != "fine")


def test_a_check_that_cannot_run_is_counted_apart(tmp_path: Path) -> None:
    registered("fine", lambda: passed("fine"))
    registered("unable", lambda: not_run("declare more to get it"))
    evidence = gate_of(tmp_path, "fine", "unable")
    assert evidence.outcome is Gate.PASSED  # nothing failed, and what did not run is said
    assert "1 check, 1 not run" in evidence.summary
    assert evidence.count(Outcome.PASSED) == 1


def test_a_declared_property_takes_the_place_of_its_types_bare_check(tmp_path: Path) -> None:
    composed = compose(["paper=transformer", "scale=smoke"])
    paper = Paper.from_config(composed.config)
    context = PhaseContext(composed, paper, RunFolder(tmp_path / "transformer" / "run"), Silent())
    planned = planned_checks("model", context)
    declared = [one for one in paper.properties if registry.find(one.name).phase == "model" and one.options]
    assert declared
    for one in declared:
        assert (one.name, one.options) in planned and (one.name, {}) not in planned
    composed.config.phase.model.checks = [*composed.config.phase.model.checks, declared[0].name]
    bare = PhaseContext(composed, Paper.from_config(composed.config), context.folder, Silent())
    assert planned_checks("model", bare) == planned, "listed by the phase as well, it is still run as declared alone"
