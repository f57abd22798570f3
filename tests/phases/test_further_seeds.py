"""Which systems get further seeds, and in which order they are trained."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from repro.phases import reproduction
from repro.phases.reproduction import longest_first, most_seeds, undecided_systems
from repro.phases.systems import System
from repro.verdict.outcome import Verdict

SETTINGS = {"seeds": 6, "max_seeds": 48, "max_seeds_of": {"gru": 18, "many": 90, "few": 2}}
SYSTEMS = [System(name, {}) for name in ("logistic", "cnn", "gru", "mlp")]


def test_a_system_gets_its_own_seeds_within_the_budget() -> None:
    assert {name: most_seeds(SETTINGS, name) for name in ("cnn", "gru", "many", "few")} == {
        "cnn": 48,
        "gru": 18,
        "many": 48,
        "few": 6,
    }
    assert most_seeds({"seeds": 3, "max_seeds": 5}, "cnn") == 5


def row(system: str, verdict: Verdict, more: int | None) -> SimpleNamespace:
    return SimpleNamespace(system=system, verdict=verdict, more_seeds=more)


def test_only_open_rows_that_seeds_can_decide_within_their_budget_get_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row("logistic", Verdict.MATCH, None),
        row("cnn", Verdict.INCONCLUSIVE, 4),
        row("gru", Verdict.INCONCLUSIVE, 2),
        row("mlp", Verdict.INCONCLUSIVE, None),  # not expected to be decided
    ]
    monkeypatch.setattr(reproduction, "judge_run", lambda context, whole: SimpleNamespace(rows=rows))
    context = SimpleNamespace(settings={"reproduction": SETTINGS})
    assert [system.name for system in undecided_systems(context, SYSTEMS, 12)] == ["cnn", "gru"]
    assert [system.name for system in undecided_systems(context, SYSTEMS, 18)] == ["cnn"]


def test_the_longest_training_begins_first() -> None:
    order = longest_first(SYSTEMS, {"logistic": 2.0, "cnn": 12.0, "gru": 35.0})
    assert [system.name for system in order] == ["gru", "cnn", "logistic", "mlp"]
    assert longest_first(SYSTEMS, {}) == SYSTEMS
