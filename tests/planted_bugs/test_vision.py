"""Bugs of the two vision papers stop the gate of their phase and are named; variants and seeds stop none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from repro.contract.paper import Paper
from repro.findings import Finding

from .planting import Planted, failures, gate_of
from .suite import records
from .vision import BUGS, ELSEWHERE, VARIANTS, overrides_of, plant

#: What needs a check that the Transformer has no use for; the others are slow tests.
QUICK = {"V01", "V03", "V15", "X03", "X20", "X32", "X33"}
#: Phases whose gates see a change of a file, the one that a person meets first and those that come after it.
SEEN_BY = {
    "data": ("data", "evaluation"),
    "signals": ("data", "evaluation"),
    "model": ("model", "loss", "training", "evaluation"),
    "loss": ("loss", "training"),
    "training": ("training",),
    "evaluation": ("evaluation",),
}


def marked(cases: dict[tuple[str, str], Planted]) -> list[object]:
    quick = {("resnet", name) for name in QUICK}
    return [pytest.param(*key, id=" ".join(key), marks=() if key in quick else pytest.mark.slow) for key in cases]


def described(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.check, f.summary, f.observed) for f in findings]


def test_every_listed_bug_is_planted_or_has_its_reason() -> None:
    listed = {record["id"] for record in records().values() if record["type"] in ("vision", "generic")}
    planted = {name.split()[0] for _, name in BUGS}
    assert listed == planted | {name for name in ELSEWHERE if " " not in name}
    assert not planted & {name for name in ELSEWHERE if " " not in name}


@pytest.mark.parametrize("paper_name, name", marked(BUGS))
def test_a_bug_stops_its_gate(paper_name: str, name: str, tmp_path: Path) -> None:
    bug = BUGS[paper_name, name]
    paper = plant(paper_name, bug, tmp_path, *overrides_of(paper_name, name))
    found = failures(gate_of(paper, bug.phase))
    assert found, f"{name} was not caught"
    file = bug.patches[0].file
    known = {bug.phase, file, *paper.tensors, *paper.pieces, *bug.components}
    stages = tuple(glob.partition(".*")[0] for glob in paper.stages)
    assert found[0].component in known or found[0].component.startswith(stages), found[0].component
    assert found[0].likely and found[0].location


@pytest.mark.slow
@pytest.mark.parametrize("paper_name, name", VARIANTS)
def test_a_variant_stops_no_gate(paper_name: str, name: str, tmp_path: Path) -> None:
    variant = VARIANTS[paper_name, name]
    paper = plant(paper_name, variant, tmp_path)
    for phase in dict.fromkeys(phase for patch in variant.patches for phase in SEEN_BY[patch.file]):
        assert not described(failures(gate_of(paper, phase)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("paper_name", ["resnet", "mnist1d"])
def test_no_seed_is_stopped(paper_name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    paper: Paper = plant(paper_name, Planted(()), tmp_path)
    for seed in range(3):
        for phase in ("model", "loss"):
            assert not described(failures(gate_of(paper, phase, seed=seed, dtype=dtype)))
