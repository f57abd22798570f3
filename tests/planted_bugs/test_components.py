"""Every bug of data, model and loss stops the gate of its phase and is named; no correct variant is ever stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repro.contract.paper import Paper

from .catalogue import BUGS, DECLARED, VARIANTS
from .planting import failures, gate_of, plant, settings_of
from .suite import ELSEWHERE, not_planted

#: Bugs beyond the list are slow tests: the list alone keeps the fast suite fast.
LISTED = [pytest.param(n, marks=() if re.fullmatch(r"[A-Z]\d\d.*", n) else pytest.mark.slow) for n in BUGS]


@pytest.mark.parametrize("name", LISTED)
def test_a_bug_stops_its_gate(name: str, tmp_path: Path) -> None:
    bug = BUGS[name]
    paper = plant(bug, tmp_path)
    found = failures(gate_of(paper, bug.phase))
    assert found, f"{name} was not caught"
    known = {bug.phase, *paper.tensors, *paper.pieces, *bug.components}
    stages = tuple(glob.partition(".*")[0] for glob in paper.stages)
    assert found[0].component in known or found[0].component.startswith(stages), found[0].component
    assert f"{bug.patches[0].file}.py" in found[0].location or found[0].component in paper.pieces
    likely = [text for finding in found[:1] for text in finding.likely[:3]]
    assert any(bug.likely in text for text in likely), f"{name}: {found[0].check} suspects {likely}"


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_stops_no_gate(name: str, tmp_path: Path) -> None:
    paper = plant(VARIANTS[name], tmp_path)
    files = {patch.file for patch in VARIANTS[name].patches}
    for phase in ("data",) if "data" in files else ("model", "loss", *({"training"} & files)):
        stopped = failures(gate_of(paper, phase))
        assert not stopped, f"{name}: {[(f.check, f.summary, f.observed) for f in stopped]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_deviation_stops_no_gate(name: str) -> None:
    paper = Paper.from_config(settings_of(*DECLARED[name]))
    for phase in ("model", "loss"):
        stopped = failures(gate_of(paper, phase))
        assert not stopped, f"{name}: {[(f.check, f.summary, f.observed) for f in stopped]}"


@pytest.mark.parametrize("paper", ELSEWHERE)
def test_every_listed_bug_that_is_not_planted_into_a_paper_has_a_reason(paper: str) -> None:
    assert not {name for name, reason in not_planted(paper).items() if reason == "no reason is given"}
