"""The paper as declared: its table, its questions, and every system through the gates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from repro.checks.registry import run_check
from repro.configuration.compose import compose
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Outcome
from repro.phases.facts import parameters
from repro.phases.systems import systems_of
from repro.questions import load_questions
from repro.reference import audit, load_table
from repro.verdict import Measured, Verdict, judge

TABLE = Path(__file__).parents[3] / "reference_numbers" / "mnist1d.yaml"


def test_eight_cells_and_eight_systems() -> None:
    table = load_table(TABLE)
    cells = [record for record in table.records if record.system]
    settings = Paper.from_config(compose(["paper=mnist1d"]).config).settings
    assert [cell.system for cell in cells] == [system.name for system in systems_of(settings)]
    assert [cell.printed.text for cell in cells if cell.printed] == ["32", "68", "94", "91", "32", "68", "56", "57"]
    assert all(cell.statistic == "best" and cell.readings == ("last",) for cell in cells)
    # rounding, and 1.96 standard errors of three runs
    for cell in cells:
        assert cell.spread is not None and cell.tolerance is not None
        assert cell.tolerance.value == pytest.approx(0.5 + 1.96 * cell.spread.value / 3**0.5, abs=0.05)


def test_the_audit_derives_the_sizes_and_finds_one_number_between_32_and_33() -> None:
    results = {result.record: result for result in audit(load_table(TABLE))}
    assert results["parameters_gru"].derived == 5134 and results["parameters_gru"].holds
    assert results["logistic"].holds and "32 in Table 1" in results["logistic"].arithmetic


@pytest.mark.parametrize("architecture, size", [("logistic", 410), ("mlp", 15210), ("cnn", 5210), ("gru", 5134)])
def test_measured_sizes(architecture: str, size: int) -> None:
    composed = compose(["paper=mnist1d"]).with_changes({"architecture": architecture})
    assert parameters(Paper.from_config(composed.config)) == size


def test_what_is_not_built_has_no_command() -> None:
    rows = {row.id: row for row in judge(load_table(TABLE), Measured(data="mnist1d"))}
    assert rows["self_supervised"].verdict is Verdict.NOT_RUN and rows["self_supervised"].command == ""
    assert rows["self_supervised"].reason == "not built here: SimCLR on MNIST-1D"
    assert "reproduction.updates=6000" in rows["cnn"].command


def test_every_tricky_part_that_names_a_question_has_it() -> None:
    paper = Paper.from_config(compose(["paper=mnist1d"]).config)
    questions = {question.id for question in load_questions(paper)}
    assert len(questions) >= 12
    asked = {part.guard for part in paper.tricky_parts if "-" in part.guard}
    assert asked and asked <= questions


@pytest.mark.slow
def test_every_system_passes_every_gate(tmp_path: Path) -> None:
    from repro.commands import main

    command = ["check", "paper=mnist1d", "scale=smoke", f"runs_folder={tmp_path}", "tracking.wandb=disabled"]
    assert main(command) == 0
    evidence = {p.stem: json.loads(p.read_text()) for p in tmp_path.glob("mnist1d/*/evidence/*.json")}
    assert {name: e["outcome"] for name, e in evidence.items()} == dict.fromkeys(evidence, "passed")
    for phase in ("model", "loss", "training", "evaluation"):
        checked = {finding["details"].get("system") for finding in evidence[phase]["findings"]}
        assert checked == {"logistic", "mlp", "cnn", "gru"}
    assert {f["details"].get("system") for f in evidence["data"]["findings"]} == {"logistic", "logistic_shuffled"}


def findings_of(check: str, changes: dict[str, object]) -> list[Outcome]:
    """Outcomes of a declared property, with the paper changed as a person's slip would."""
    paper = Paper.from_config(compose(["paper=mnist1d"]).with_changes(changes).config)
    options = next(declared.options for declared in paper.properties if declared.name == check)
    return [finding.outcome for finding in run_check(check, Bench(paper), options)]


@pytest.mark.parametrize(
    "check, changes, outcome",
    [
        ("residual", {"architecture": "mlp"}, Outcome.PASSED),
        ("residual", {"architecture": "mlp", "architectures.mlp.model.residual": False}, Outcome.FAILED),
        ("parameter_count", {"architecture": "gru"}, Outcome.PASSED),
        ("train_shuffled", {}, Outcome.PASSED),
        ("train_shuffled", {"data.order": "shuffled"}, Outcome.PASSED),
        ("standardised", {"data.positions": "shuffled"}, Outcome.PASSED),
    ],
)
def test_declared_properties_tell_right_from_wrong(check: str, changes: dict[str, object], outcome: Outcome) -> None:
    assert set(findings_of(check, changes)) == {outcome}


@pytest.mark.parametrize("declared, real", [("fixed", "shuffled"), ("shuffled", "fixed")])
def test_another_order_than_declared_is_caught(declared: str, real: str) -> None:
    paper = Paper.from_config(compose(["paper=mnist1d", f"data.order={real}"]).config)
    found = run_check("train_shuffled", Bench(paper), {"order": declared})
    assert [finding.outcome for finding in found] == [Outcome.FAILED]


def test_a_fixed_order_class_by_class_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.papers.mnist1d.data import MNIST1D

    whole = MNIST1D.batches

    def sorted_by_digit(self: MNIST1D, split: str) -> Iterator[dict[str, Tensor]]:
        signals, digits = self.splits[split]
        order = digits.argsort(stable=True)
        self.splits = {**self.splits, split: (signals[order], digits[order])}
        return whole(self, split)

    monkeypatch.setattr(MNIST1D, "batches", sorted_by_digit)
    paper = Paper.from_config(compose(["paper=mnist1d"]).config)
    found = run_check("train_shuffled", Bench(paper), {"order": "fixed"})
    assert [finding.summary for finding in found] == ["training comes sorted by digit"]
