"""The paper as declared: its table, what decides the shortcut, its questions, and every gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.checks.registry import run_check
from repro.configuration.compose import compose
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Outcome
from repro.phases.facts import parameters
from repro.questions import load_questions
from repro.reference import audit, load_table
from repro.verdict import Measured, Verdict, judge

TABLE = Path(__file__).parents[3] / "reference_numbers" / "resnet.yaml"
DEPTHS = (20, 32, 44, 56, 110, 1202)


def test_every_depth_of_table_6_has_an_error_and_a_size() -> None:
    table = load_table(TABLE)
    errors = [table.record(f"error_{depth}") for depth in DEPTHS]
    sizes = [table.record(f"parameters_{depth}") for depth in DEPTHS]
    assert [r.printed.text for r in errors if r.printed] == ["8.75", "7.51", "7.17", "6.97", "6.61", "7.93"]
    assert [r.printed.text for r in sizes if r.printed] == ["0.27", "0.46", "0.66", "0.85", "1.7", "19.4"]
    for record in errors:
        assert record.tolerance is not None
        # rounding, and 1.96 of one run's spread, or t of five runs
        wanted = 0.005 + (2.776 * 0.16 / 5**0.5 if record.id == "error_110" else 1.96 * 0.16)
        assert record.tolerance.value == pytest.approx(wanted, abs=0.006)


def test_the_audit_says_which_rows_decide_the_shortcut() -> None:
    results = {result.record: result for result in audit(load_table(TABLE))}
    for depth in DEPTHS:
        found = results[f"parameters_{depth}"]
        assert found.holds
        decides = depth in (32, 56)
        assert ("does not round to the printed" in found.assumption) == decides, found.assumption
        assert "(option B)" in found.assumption
    assert "0.4669 million parameters, which does not round to the printed 0.46" in results["parameters_32"].assumption


@pytest.mark.parametrize("record", ["parameters_20", "parameters_1202"])
def test_measured_sizes(record: str) -> None:
    found = load_table(TABLE).record(record)
    assert found.fact is not None and found.printed is not None
    paper = Paper.from_config(compose(["paper=resnet", *found.fact.overrides]).config)
    assert found.printed.agrees(parameters(paper) / 1e6)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_row_that_is_not_run_gives_a_command_that_is_the_row(depth: int) -> None:
    row = next(r for r in judge(load_table(TABLE), Measured(data="digits")) if r.id == f"error_{depth}")
    assert row.verdict is Verdict.NOT_RUN and "FLOPs" in row.compute
    words = [word.strip("'") for word in row.command.split()[4:]]
    composed = compose(words)
    settings = Paper.from_config(composed.config).settings
    assert settings["model"]["layers"] == depth and settings["model"]["filters"] == 16
    assert settings["reproduction"]["updates"] == 64_000 and settings["data"]["_target_"].endswith("cifar10")
    assert (settings["training"]["warmup"] == "until_learning") == (depth >= 110)
    # the row's own settings are those of its command
    record = load_table(TABLE).record(f"error_{depth}")
    overridden = {override.partition("=")[0] for override in record.requires.overrides}
    for setting in record.requires.settings:
        key, _, value = setting.partition("=")
        section, name = key.split(".")
        if key not in overridden:
            assert str(settings[section][name]).lower() == {"1.0e-4": "0.0001"}.get(value, value).lower(), key


def test_every_tricky_part_that_names_a_question_has_it() -> None:
    paper = Paper.from_config(compose(["paper=resnet"]).config)
    questions = load_questions(paper)
    own = [question for question in questions if question.id in (TABLE.parents[1] / QUESTIONS).read_text("utf-8")]
    assert len(own) >= 12 and {question.kind for question in own} == {"understanding", "implementation", "debugging"}
    asked = {part.guard for part in paper.tricky_parts if "-" in part.guard}
    assert asked and asked <= {question.id for question in questions}


QUESTIONS = "repro/papers/resnet/questions.yaml"


def findings_of(check: str, changes: dict[str, object]) -> set[Outcome]:
    """Outcomes of a declared property that ran, with the paper changed as a person's slip would."""
    paper = Paper.from_config(compose(["paper=resnet", "model.layers=8"]).with_changes(changes).config)
    options = next(declared.options for declared in paper.properties if declared.name == check)
    found = run_check(check, Bench(paper), options)
    return {finding.outcome for finding in found} - {Outcome.NOT_RUN}


@pytest.mark.parametrize(
    "check, changes, outcome",
    [
        ("residual", {}, Outcome.PASSED),
        ("residual", {"model.shortcut": "none"}, Outcome.FAILED),
        ("parameter_count", {"model.shortcut": "B"}, Outcome.PASSED),
        ("parameter_count", {"model.norm": False}, Outcome.PASSED),
        ("augmented", {}, Outcome.PASSED),
        ("augmented", {"data.padding": 0}, Outcome.FAILED),
        ("standardised", {}, Outcome.PASSED),
    ],
)
def test_declared_properties_tell_right_from_wrong(check: str, changes: dict[str, object], outcome: Outcome) -> None:
    assert findings_of(check, changes) == {outcome}


@pytest.mark.slow
def test_every_gate_opens_and_every_size_is_decided(tmp_path: Path) -> None:
    from repro.commands import main

    command = ["check", "paper=resnet", "scale=smoke", f"runs_folder={tmp_path}", "tracking.wandb=disabled"]
    assert main(command) == 0
    evidence = {p.stem: json.loads(p.read_text()) for p in tmp_path.glob("resnet/*/evidence/*.json")}
    assert {name: e["outcome"] for name, e in evidence.items()} == dict.fromkeys(evidence, "passed")
    facts = evidence["model"]["data"]["facts"]
    assert len(facts) == 6 and all("value" in fact for fact in facts.values())
