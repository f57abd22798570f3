from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from repro.commands import main
from repro.commands.progress import gotchas, lines, mark_explained, progress
from repro.errors import ConfigError
from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases import CHECKED
from repro.tracking.files import write_json
from repro.tracking.run_folder import RunFolder

ABOUT = {"title": "Mine", "sources": ["mine/model.py"], "questions": ["a", "b"], "own_variations": ["wider"]}


def a_run(run: str, **about: object) -> RunFolder:
    return RunFolder.create("runs", "mine", run, {**ABOUT, **about}, f"run: {run}\n")


def seen(outcome: Outcome, created: str) -> Evidence:
    gate = Gate.FAILED if outcome is Outcome.FAILED else Gate.PASSED
    return Evidence("model", gate, "", findings=(Finding("causal", "m", outcome, "leaks"),), created=created)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    path = Path("mine/model.py")
    path.write_text("a = 1\nmask = triu(0)\n")
    return path


def test_a_gotcha_says_when_and_what_changed(model: Path) -> None:
    run = a_run("aaaaaaaaaaaa")
    run.write_evidence(seen(Outcome.FAILED, "2026-01-01T10:00:00"), [model])
    assert gotchas([run]) == []
    model.write_text("a = 1\nmask = triu(1)\n")
    run.write_evidence(seen(Outcome.PASSED, "2026-01-02T10:00:00"), [model])
    run.write_evidence(seen(Outcome.PASSED, "2026-01-03T10:00:00"), [model])
    (gotcha,) = gotchas([run])
    assert (gotcha["check"], gotcha["passed"][:10]) == ("causal", "2026-01-02")
    assert gotcha["changed"] == ["mine/model.py:2: mask = triu(0) → mask = triu(1)"]


def test_one_fault_that_many_checks_saw_is_one_gotcha(model: Path) -> None:
    run = a_run("aaaaaaaaaaaa")

    def both(outcome: Outcome, created: str) -> Evidence:
        alone = seen(outcome, created)
        return replace(alone, findings=(*alone.findings, Finding("deterministic", "m", outcome, "differs")))

    run.write_evidence(both(Outcome.FAILED, "2026-01-01T10:00:00"), [model])
    run.write_evidence(both(Outcome.PASSED, "2026-01-02T10:00:00"), [model])
    (gotcha,) = gotchas([run])
    assert sorted([gotcha["check"], *gotcha["others"]]) == ["causal", "deterministic"]
    assert any(
        f"gotcha: model/{gotcha['check']} and 1 more failed" in line for line in lines(progress([run]), "mine", True)
    )


def test_a_mended_configuration_is_a_gotcha_too_but_another_scale_is_none(model: Path) -> None:
    first, mended, smoke = a_run("a" * 12), a_run("b" * 12), a_run("c" * 12, overrides=["scale=smoke"])
    first.write_evidence(seen(Outcome.FAILED, "2026-01-01T10:00:00"), [model])
    smoke.write_evidence(seen(Outcome.PASSED, "2026-01-02T10:00:00"), [model])
    assert gotchas([smoke, first]) == []
    mended.write_evidence(seen(Outcome.PASSED, "2026-01-03T10:00:00"), [model])
    (gotcha,) = gotchas([mended, smoke, first])
    assert gotcha["changed"] == [f"config:1: run: {'a' * 12} → run: {'b' * 12}"]


def test_evidence_of_one_second_is_read_in_the_order_in_which_it_was_written(model: Path) -> None:
    first, later = a_run("a" * 12), a_run("b" * 12)
    second = "2026-01-01T10:00:00"
    first.write_evidence(seen(Outcome.FAILED, "2026-01-01T09:00:00"), [model])
    model.write_text("a = 1\nmask = triu(1)\n")
    first.write_evidence(seen(Outcome.PASSED, second), [model])
    later.write_evidence(seen(Outcome.PASSED, second), [model])
    for order in ([first, later], [later, first]):
        (gotcha,) = gotchas(order)
        assert gotcha["changed"] == ["mine/model.py:2: mask = triu(0) → mask = triu(1)"]


def test_an_edit_clears_the_mark_of_a_file(model: Path) -> None:
    run = a_run("aaaaaaaaaaaa")
    assert progress([run])["explained"]["files"] == {"explained": 0, "total": 1}
    assert mark_explained(run, ["model.py"]) == ["mine/model.py"]
    assert progress([run])["explained"]["files"] == {"explained": 1, "total": 1}
    model.write_text("a = 2\n")
    assert progress([run])["explained"]["files"] == {"explained": 0, "total": 1}
    with pytest.raises(ConfigError, match="no source file of mine"):
        mark_explained(run, ["loss.py"])


def test_the_four_criteria(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run("aaaaaaaaaaaa")
    assert set(progress([run])["done"].values()) == {False}
    rows = [{"kind": "value", "setting": "paper", "own": True, "verdict": "match"}]
    rows += [{"kind": "fact", "setting": "paper", "own": True, "verdict": "mismatch_worse"}]
    rows += [{"kind": "claim", "setting": "analogue", "own": True, "verdict": "match"}]
    run.write_verdict({"sentence": "1 of 1.", "rows": rows})
    write_json(Path("runs/mine/questions.json"), {"a": {"judged": "right"}, "b": {"judged": "right"}})
    mark_explained(run, ["model.py"])
    run.write_evidence(seen(Outcome.FAILED, "2026-01-01T10:00:00"))
    run.write_evidence(seen(Outcome.PASSED, "2026-01-02T10:00:00"))
    variation = a_run("b" * 12, variation="wider", overrides=["model.width=9"])
    for phase in CHECKED:
        variation.write_evidence(Evidence(phase, Gate.PASSED, ""))
    assert main(["status", "paper=mine"]) == 0
    out = capsys.readouterr().out
    assert (
        "done 4 of 4:  ✓ numbers match 1/1   ✓ explained 1/1 files, questions 2/2   "
        "✓ gotchas found 1   ✓ own variation wider" in out
    )
    assert (
        "claims: 1 of 1 tested, 1 hold" in out
        and "gotcha: model/causal failed 2026-01-01 10:00, passed 2026-01-02 10:00" in out
    )
    variation.write_evidence(Evidence("model", Gate.FAILED, ""))
    assert not progress([variation, run])["done"]["could modify it"]


def test_marking_needs_a_paper(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--explained", "model.py"]) == 2
    assert "it needs paper=" in capsys.readouterr().err
