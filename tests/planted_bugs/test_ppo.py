"""Every bug of PPO stops a gate, the one of its phase first, and is named; no correct variant is ever stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from repro.contract.paper import Paper
from repro.findings import Finding

from .of_ppo import BUGS, ELSEWHERE, VARIANTS, plant
from .planting import SLOW, failures, gate_of

PHASES = ("data", "model", "loss", "training", "evaluation")
#: Seconds where the others take a second or two.
LONG = {name for name, planted in {**BUGS, **VARIANTS}.items() if planted.phase == "training"}


def first_failure(paper: Paper, phases: tuple[str, ...]) -> tuple[str, Finding] | None:
    """The first gate of these that stays shut, with its first finding."""
    for phase in phases:
        found = failures(gate_of(paper, phase, without=(*SLOW, "overfit_one_batch")))
        if found:
            return phase, found[0]
    return None


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in LONG else []) for n in BUGS])
def test_a_bug_stops_its_gate_first(name: str, tmp_path: Path) -> None:
    bug = BUGS[name]
    paper = plant(bug, tmp_path)
    met = first_failure(paper, PHASES[: PHASES.index(bug.phase) + 1])
    assert met is not None, f"{name} was not caught"
    phase, finding = met
    assert phase == bug.phase, f"{finding.check}: {finding.summary}"
    file = bug.patches[0].file
    known = {"data" if file == "environments" else file, bug.phase, *paper.tensors, *paper.pieces, *bug.components}
    stages = tuple(glob.partition(".*")[0] for glob in paper.stages)
    assert finding.component in known or finding.component.startswith(stages), finding.component
    assert any(bug.likely in text for text in finding.likely[:3]), f"{name}: {finding.check} suspects {finding.likely}"


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "C14" else [pytest.mark.slow]) for n in VARIANTS])
def test_a_variant_stops_no_gate(name: str, tmp_path: Path) -> None:
    met = first_failure(plant(VARIANTS[name], tmp_path), PHASES)
    assert met is None, f"{name}: {met}"


def test_every_listed_bug_is_planted_or_has_a_reason() -> None:
    listed = yaml.safe_load((Path(__file__).parent / "planted_bugs.yaml").read_text(encoding="utf-8"))
    wanted = {entry["id"] for entry in listed if entry["type"] in ("reinforcement_learning", "generic")}
    planted = {name.split()[0] for name in BUGS}
    assert wanted - planted == set(ELSEWHERE)
