"""Which systems a phase checks: those that it can tell apart, each under its own name and with its own overrides."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from repro.configuration.compose import compose
from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.findings import Finding, Outcome
from repro.phases.fingerprints import every_target, phase_fingerprint
from repro.phases.gate import of_system
from repro.phases.systems import System, distinct, systems_of


def context_of(*overrides: str) -> Any:
    composed = compose(["paper=mnist1d", *overrides])
    paper = Paper.from_config(composed.config)
    return SimpleNamespace(composed=composed, paper=paper, settings=paper.settings)


def test_systems_are_told_apart_by_what_a_phase_looks_at() -> None:
    context = context_of()
    names = {phase: [system.name for system, _ in distinct(phase, context)] for phase in ("analysis", "data", "model")}
    assert names == {
        "analysis": [""],
        "data": ["logistic", "logistic_shuffled"],
        "model": ["logistic", "mlp", "cnn", "gru"],
    }


def test_each_system_brings_its_own_paper() -> None:
    sizes = {system.name: paper.settings["model"].get("hidden") for system, paper in distinct("model", context_of())}
    assert sizes == {"logistic": None, "mlp": 100, "cnn": None, "gru": 6}


def test_fewer_systems_where_fewer_are_asked_for() -> None:
    context = context_of("reproduction.systems=[gru,gru_shuffled]")
    assert [system.name for system, _ in distinct("training", context)] == ["gru"]


def test_a_paper_without_systems_has_one() -> None:
    assert systems_of({}) == [System("", {})]
    with pytest.raises(ConfigError, match=r"reproduction\.systems: got lstm"):
        systems_of({"systems": {"gru": {}}, "reproduction": {"systems": ["lstm"]}})


def test_a_finding_names_its_system_and_repeats_under_it() -> None:
    finding = Finding(
        check="residual",
        component="second",
        outcome=Outcome.FAILED,
        summary="",
        alone='from repro.checks import residual\nresidual.show("mnist1d", blocks="second")',
    )
    found = of_system(finding, System("mlp", {"architecture": "mlp"}), "mnist1d")
    assert found.component == "second (mlp)" and found.details == {"system": "mlp"}
    assert found.alone.endswith('residual.show("mnist1d", "architecture=mlp", blocks="second")')


def test_evidence_depends_on_every_system() -> None:
    plain, changed = context_of().paper, context_of("architectures.gru.model.hidden=7").paper
    assert "architectures.gru.model" in every_target(plain)
    assert phase_fingerprint("model", plain) != phase_fingerprint("model", changed)
    assert phase_fingerprint("model", plain) == phase_fingerprint("model", context_of("workers=3").paper)
