"""Bugs and variants of our own, on papers in the package and outside of it: stopped and named, or not stopped."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.findings import Outcome

from .planting import OUTSIDE, Planted, planted_settings, settings_of
from .suite import Case, gates, meet, written

#: Papers that take longer than a few seconds.
LONG = ("mlm", "rnnlm", "rope", "translate", "unet")
PAPERS = [
    pytest.param(folder.name, marks=[pytest.mark.slow] if folder.name in LONG else [])
    for folder in sorted(OUTSIDE.iterdir())
    if (folder / "conf").is_dir()
]


def parameters(cases: list[Case]) -> list[Any]:
    """Each case under its id; one that is known to be missed is expected to fail, and shows where it is caught."""
    return [
        pytest.param(
            case,
            id=f"{case.planted.paper} {case.name.split()[0]}",
            marks=[pytest.mark.xfail(reason=case.missed, strict=False)] if case.missed else [],
        )
        for case in cases
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")  # some of the bugs do just that
@pytest.mark.parametrize("case", parameters(written("*_bugs.yaml")))
def test_a_bug_is_stopped_and_named(case: Case) -> None:
    met = meet(case)
    assert met.finding is not None, "every gate opened"
    assert met.right_phase, (met.phase, met.finding)
    assert met.right_component, met.finding
    assert met.right_class is not False, met.finding.likely


@pytest.mark.slow
# a step by hand leaves a scheduler without the optimiser's step that it looks for; it drives the rate all the same
@pytest.mark.filterwarnings("ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("case", parameters(written("*_variants.yaml")))
def test_a_variant_is_not_stopped(case: Case) -> None:
    met = meet(case)
    assert met.phase is None, met.finding


@pytest.mark.parametrize("paper", PAPERS)
def test_a_correct_paper_outside_passes_every_gate(paper: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        for evidence in gates(planted_settings(Planted((), paper=paper), Path(place)), Path(place)):
            assert not [f for f in evidence.findings if f.outcome in (Outcome.FAILED, Outcome.ERROR)], evidence


@pytest.mark.parametrize(
    ("formula", "says"),
    [("rate * steps", "uses steps"), ("rate *", "not an arithmetic expression"), ("open('x')", "contains")],
)
def test_a_schedule_that_cannot_be_read_is_said_before_anything_runs(formula: str, says: str) -> None:
    settings = settings_of(paper="shapes")
    with pytest.raises(ConfigError, match=r"schedule\.learning_rate") as fault:
        Paper.from_config({**settings, "schedule": {"learning_rate": formula, "names": {"rate": 0.1}}})
    assert says in str(fault.value)
