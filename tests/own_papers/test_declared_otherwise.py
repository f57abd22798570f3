"""What a paper may do once its config says so: hold nothing out, give one batch a pass, sum its loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.checks.registry import run_check
from repro.commands import main
from repro.configuration.compose import compose
from repro.configuration.folders import add_to_path
from repro.contract.bench import Bench
from repro.contract.paper import Paper
from repro.findings import Finding, Outcome
from tests.own_paper import config, replace, whole_paper

QUIET = ["tracking.wandb=disabled", "threads=1"]
MEAN = "((prediction - target) ** 2).mean()"


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(name: str, check: str) -> list[Finding]:
    add_to_path()
    paper = Paper.from_config(compose([f"paper={name}"]).config)
    options = next((p.options for p in paper.properties if p.name == check), {})
    return run_check(check, Bench(paper), options)


def add(name: str, text: str) -> int:
    return replace(config(name), "\nstages: {}\n", f"\n{text}\nstages: {{}}\n") + 1


def nothing_held_out() -> str:
    name = whole_paper()
    replace(Path(name, "data.py"), '{"train": 64, "validation": 32, "test": 31}', '{"train": 64}')
    replace(Path(name, "data.py"), "whole = self.splits[split]", 'whole = self.splits["train"]')
    return name


def test_splits_that_are_the_same_examples_overlap_unless_nothing_is_held_out() -> None:
    name = nothing_held_out()
    first = found(name, "splits_disjoint")[0]
    assert first.outcome is Outcome.FAILED and "splits: {by: none, reason: …}" in first.likely[-1]
    add(name, 'splits: {by: none, reason: "Fig. 1: all are trained on"}')
    (finding,) = found(name, "splits_disjoint")
    assert finding.outcome is Outcome.NOT_RUN and "Fig. 1: all are trained on" in finding.reason


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ("{by: none}", "splits.reason: got None, need why nothing is held out"),
        ("{by: chance}", "splits.by: got 'chance'"),
    ],
)
def test_splits_that_say_too_little(splits: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = whole_paper()
    line = add(name, f"splits: {splits}")
    assert main(["check", f"paper={name}", *QUIET]) == 2
    err = capsys.readouterr().err
    assert said in err and (f"{name}.yaml line {line}" in err or "reason" in said)


def test_one_batch_that_holds_everything_has_no_order() -> None:
    name = whole_paper()
    replace(Path(name, "data.py"), "torch.randperm(64, generator=self.generator)", "torch.arange(64)")
    assert found(name, "train_shuffled")[0].outcome is Outcome.FAILED
    replace(config(name), "batch_size: 32", "batch_size: 64")
    (finding,) = found(name, "train_shuffled")
    assert finding.outcome is Outcome.NOT_RUN and "an update sees no order" in finding.reason


def test_a_summed_loss_is_what_is_declared() -> None:
    name = whole_paper()
    replace(Path(name, "loss.py"), MEAN, MEAN.replace("mean", "sum"))
    (undeclared,) = found(name, "loss_batch_size")
    assert undeclared.outcome is Outcome.FAILED and "reduction: sum" in undeclared.likely[-1]
    replace(
        config(name),
        "  - {property: deterministic",
        "  - {property: loss_batch_size, reduction: sum, source: eq. 3}\n  - {property: deterministic",
    )
    assert found(name, "loss_batch_size")[0].outcome is Outcome.PASSED


def test_a_mean_where_a_sum_is_declared_is_caught() -> None:
    name = whole_paper()
    replace(
        config(name),
        "  - {property: deterministic",
        "  - {property: loss_batch_size, reduction: sum, source: eq. 3}\n  - {property: deterministic",
    )
    (finding,) = found(name, "loss_batch_size")
    assert finding.outcome is Outcome.FAILED and "mean in place of the sum" in finding.likely[0]
    assert "eq. 3" in finding.expected


@pytest.mark.parametrize(
    ("layer", "outcome"),
    [("nn.Identity()", Outcome.WARNED), ("nn.Dropout(0.5)", Outcome.FAILED), ("nn.BatchNorm1d(8)", Outcome.FAILED)],
)
def test_train_mode_in_evaluation_matters_where_the_model_has_one(layer: str, outcome: Outcome) -> None:
    name = whole_paper()
    replace(Path(name, "evaluation.py"), "    model.eval()\n", "")
    replace(Path(name, "model.py"), "        self.linear = ", f"        self.more = {layer}\n        self.linear = ")
    replace(Path(name, "model.py"), "self.linear(input)", "self.linear(self.more(input))")
    (finding,) = found(name, "evaluation_mode")
    assert finding.outcome is outcome


@pytest.mark.parametrize(("layer", "outcome"), [("nn.Identity()", Outcome.WARNED), ("nn.Dropout(0.5)", Outcome.FAILED)])
def test_train_mode_in_an_update_matters_where_the_model_has_one(layer: str, outcome: Outcome) -> None:
    name = whole_paper()
    replace(Path(name, "training.py"), "        self.model.train()\n", "")
    replace(Path(name, "model.py"), "        self.linear = ", f"        self.more = {layer}\n        self.linear = ")
    replace(Path(name, "model.py"), "self.linear(input)", "self.linear(self.more(input))")
    (finding,) = found(name, "train_mode")
    assert finding.outcome is outcome


def test_an_update_that_logs_no_loss_is_told_at_the_training_gate() -> None:
    name = whole_paper()
    replace(Path(name, "training.py"), '{"loss": terms', '{"error": terms')
    (finding,) = found(name, "update_returns")
    assert finding.outcome is Outcome.WARNED and "nothing named total or loss" in finding.summary


@pytest.mark.slow
def test_a_run_without_a_loss_or_a_rate_to_vary_leaves_the_sweep_out(capsys: pytest.CaptureFixture[str]) -> None:
    name = whole_paper()
    run = ["run", f"paper={name}", "scale=smoke", *QUIET, "phases=[training,gauntlet]"]
    replace(Path(name, "training.py"), '{"loss": terms', '{"error": terms')
    assert main(run) == 0
    out = capsys.readouterr().out
    assert "return the minimised loss too" in out or "1 not run" in out
    assert main([*run, "gauntlet.learning_rate.parameter=null"]) == 0


@pytest.mark.slow
def test_a_row_of_the_training_split_is_tested_where_nothing_is_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    name = nothing_held_out()
    add(name, 'splits: {by: none, reason: "Fig. 1: all are trained on"}')
    replace(Path("reference_numbers", f"{name}.yaml"), "split: test", "split: train")
    main(["run", f"paper={name}", "scale=smoke", *QUIET, "phases=[reproduction]"])
    assert "1 of 1 printed result tested" in capsys.readouterr().out
