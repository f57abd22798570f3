"""Checks that the config takes out: said to be switched off, with the reason, and never passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.commands import main
from repro.configuration import compose
from repro.contract.paper import Paper
from repro.phases.fingerprints import phase_fingerprint

DATA = ["check", "paper=resnet", "scale=smoke", "phases=[data]"]
TAKEN_OUT = '+check.without.statistics_of_training="the mean is printed"'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_check_that_is_taken_out_is_not_run_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    main([*DATA, TAKEN_OUT])
    out = capsys.readouterr().out
    assert "statistics_of_training: switched off in the config: the mean is printed" in out
    (evidence,) = Path("runs/resnet").glob("*/evidence/data.json")
    findings = json.loads(evidence.read_text())["findings"]
    (finding,) = [f for f in findings if f["check"] == "statistics_of_training"]
    assert finding["outcome"] == "not_run"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("+check.without.statistics_of_trainin=no", "Near: statistics_of_training"),
        ("+check.without.statistics_of_training=null", "need the reason"),
        ("check.without=statistics_of_training", "need a mapping"),
    ],
)
def test_what_cannot_be_taken_out_is_said(word: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DATA, word]) == 2
    assert says in capsys.readouterr().err


def test_evidence_with_a_check_and_without_are_two() -> None:
    with_it, without = (
        Paper.from_config(compose(["paper=resnet", "scale=smoke", *words]).config) for words in ([], [TAKEN_OUT])
    )
    assert phase_fingerprint("data", with_it) != phase_fingerprint("data", without)
