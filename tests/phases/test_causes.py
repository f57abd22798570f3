"""Causes are gathered from studies and from other runs, and every gap names what to try next."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from repro.findings import Evidence, Finding, Gate, Outcome
from repro.phases.causes import gaps_of, main_sentence, refresh
from repro.phases.measured import ablations_of
from repro.phases.verdict import judge_run, with_typed
from repro.tracking.files import write_json
from repro.tracking.run_folder import RunFolder
from repro.verdict.outcome import Verdict
from repro.verdict.rows import FULL
from tests.phases.made_runs import judged_from, make, settings, study

LOW = {0: 90.0, 1: 90.2, 2: 89.8}


def gap_of(folder: RunFolder, config: dict | None = None) -> dict:
    judged = judge_run(judged_from(folder, config))
    (gap,) = judged.to_json()["gaps"]
    assert json.loads(json.dumps(gap)) is not None
    return dict(gap)


def test_a_part_that_is_already_missing(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", LOW)
    same = {seed: {"score": 50.0 + seed, "loss": 1.0} for seed in range(3)}
    write_json(folder.study_path("ablation"), study({"baseline": same, "no_positions": same}))
    gap = gap_of(folder)
    assert gap["causes"][0]["label"] == "no positions" and gap["causes"][0]["stands"] == "missing"
    assert "measured after 20 updates, the row after 30" in gap["causes"][0]["note"]
    said = judge_run(judged_from(folder)).sentences
    assert said[1].startswith("score <b>ü</b>, Table 1 lies 4 below the paper: no positions: leaving it out changes")


def test_another_run_measures_what_an_override_does(tmp_path: Path) -> None:
    broken = settings(loss__smoothing=0.0)
    folder = make(tmp_path, "aaa", LOW, broken, overrides=("paper=small", "loss.smoothing=0.0"))
    gap = gap_of(folder, broken)
    assert not gap["explained"] and gap["next"] == "python -m repro run paper=small"
    assert [c["label"] for c in gap["causes"] if "smoothing" in c["label"]] == ["without loss.smoothing=0.0"]
    make(tmp_path, "bbb", {0: 94.0, 1: 94.1, 2: 93.9})
    gap = gap_of(folder, broken)
    first = gap["causes"][0]
    assert gap["explained"] and first["label"] == "loss.smoothing: 0.0 → 0.1" and first["detail"] == "run bbb"
    assert [round(value, 6) for value in first["values"]] == [4.0, 3.9, 4.1]


def test_a_run_of_other_code_or_other_length_measures_nothing(tmp_path: Path) -> None:
    broken = settings(loss__smoothing=0.0)
    folder = make(tmp_path, "aaa", LOW, broken)
    make(tmp_path, "bbb", {0: 94.0, 1: 94.1, 2: 93.9}, source="other")
    make(tmp_path, "ccc", {0: 94.0, 1: 94.1, 2: 93.9}, settings(reproduction__updates=300))
    gap = gap_of(folder, broken)
    (other,) = [cause for cause in gap["causes"] if cause["detail"].startswith("run ")]
    assert other["stands"] == "unmeasured" and "another version of the code" in other["note"]


def test_deviations_the_learning_rate_and_checks_are_listed(tmp_path: Path) -> None:
    config = settings()
    config["paper"]["deviations"] = [
        {"what": "Label smoothing", "paper": 0.1, "ours": 0, "changes": {"loss.smoothing": 0.2}},
        {"what": "decoding", "paper": "beam", "ours": "greedy"},
    ]
    folder = make(tmp_path, "aaa", LOW, config)
    silent = Finding(check="attention", component="model", outcome=Outcome.NOT_RUN, summary="", reason="declare it")
    warned = Finding(check="norm", component="model", outcome=Outcome.WARNED, summary="unusual")
    systems = [replace(silent, component=f"model ({name})", details={"system": name}) for name in ("cnn", "mlp")]
    folder.write_evidence(Evidence(phase="model", outcome=Gate.PASSED, summary="", findings=(*systems, warned)))
    write_json(
        folder.study_path("learning_rate"),
        {"kind": "learning_rate", "best_rate": 0.01, "paper_value": 0.1, "paper_inside": False},
    )
    gap = gap_of(folder, config)
    labels = [cause["label"] for cause in gap["causes"]]
    assert "Label smoothing as in the paper" in labels and "decoding" in labels
    assert "learning rate 0.01, the sweep’s best" in labels and labels[-1] == "Not checked"
    assert gap["causes"][-1]["note"] == "did not run: model/attention (declare it); only warned: model/norm (unusual)"
    # 3 seeds of 30 updates cost less than 3 pairs of an ablation's 20
    assert gap["next"] == "python -m repro run paper=small training.rate=0.01"


def test_a_best_rate_near_the_papers_is_no_other_setting(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", LOW)
    rates = {"kind": "learning_rate", "paper_value": 0.1, "paper_inside": True}
    for best, named in ((0.06, False), (0.19, False), (0.04, True), (0.3, True)):
        write_json(folder.study_path("learning_rate"), {**rates, "best_rate": best})
        labels = [cause["label"] for cause in gap_of(folder)["causes"]]
        assert (f"learning rate {best:.3g}, the sweep’s best" in labels) == named, best
        assert any("learning rate" in label for label in labels) == named, "what was swept is not asked for again"


def test_a_row_that_matches_has_no_gap_and_refresh_finds_a_later_study(tmp_path: Path) -> None:
    assert judge_run(judged_from(make(tmp_path, "fine", {0: 94.0, 1: 94.05, 2: 93.95}))).gaps == ()
    folder = make(tmp_path / "other", "aaa", LOW)
    context = judged_from(folder)
    folder.write_verdict(judge_run(context).to_json())
    before = folder.verdict
    refresh(context)
    assert folder.verdict == before
    base = {seed: {"score": 50.0 + seed, "loss": 1.0} for seed in range(3)}
    better = {seed: {"score": 54.0 + seed + 0.1 * (seed - 1), "loss": 0.9} for seed in range(3)}
    write_json(folder.study_path("ablation"), study({"baseline": base, "no_positions": better}))
    refresh(context)
    after = folder.verdict
    assert after["gaps"][0]["explained"] and after["rows"] == before["rows"]
    assert len(after["sentences"]) == len(before["sentences"]) and "no positions explains" in after["sentences"][1]


def test_an_ablation_sweep_of_the_same_length_counts_for_the_claims(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", LOW)
    context = judged_from(folder)
    first = {"baseline": {0: {"score": 90.0}}, "no_positions": {0: {"score": 80.0}}}
    write_json(folder.study_path("ablation"), study(first))
    more = {"baseline": {0: {"score": 90.0}, 1: {"score": 91.0}}, "no_warmup": {0: {"score": 70.0}, 1: {"score": 71.0}}}
    write_json(folder.study_path("ablation-34a1"), study(more))
    write_json(folder.study_path("ablation-9c2e"), study({"no_positions": {7: {"score": 1.0}}}, updates=999))
    before = study({"no_positions": {8: {"score": 1.0}}})
    before["runs"] = [{"name": "no_positions", "changes": {"model.positions": "learned"}}]  # declared so at the time
    write_json(folder.study_path("ablation-b77d"), before)
    found = ablations_of(context)
    assert {name: sorted(seeds) for name, seeds in found.items()} == {
        FULL: [0, 1],
        "no_positions": [0],  # the longer study, and that of another declaration, are other experiments
        "no_warmup": [0, 1],
    }


def test_the_main_sentence_is_of_a_row_that_mismatches(tmp_path: Path) -> None:
    judged = judge_run(judged_from(make(tmp_path, "aaa", LOW)))
    gaps = gaps_of(judged_from(make(tmp_path, "aaa", LOW)), judged.rows)
    assert main_sentence(gaps, judged.rows) == judged.gap_sentence != ""
    undecided = [replace(row, verdict=Verdict.INCONCLUSIVE) for row in judged.rows]
    assert main_sentence(gaps, undecided) == "" and gaps, "its candidates are still listed"


def test_the_experiment_that_decides_a_claim_repeats_what_was_typed(tmp_path: Path) -> None:
    typed = (
        "paper=small",
        "data=real words",
        "phases=[reproduction]",
        "keep_going=true",
        "sweep=ablation",
        "sweep.seeds=2",
    )
    folder = make(tmp_path, "typed", {0: 94.0}, overrides=typed)
    rows = [replace(row, kind="claim") for row in judge_run(judged_from(folder)).rows if row.setting == "analogue"]
    (row,) = with_typed(judged_from(folder), [replace(rows[0], command="python -m repro sweep ablation paper=small")])
    assert row.command == "python -m repro sweep ablation paper=small 'data=real words'"


def test_a_switch_to_another_system_explains_nothing(tmp_path: Path) -> None:
    ablations = {
        "no_positions": {"changes": {"model.positions": "none"}, "says": ""},
        "wide": {"changes": {"model.width": 64}, "says": ""},
    }
    folder = make(tmp_path, "one", LOW)
    config = settings() | {"ablations": ablations}
    assert {cause["label"] for cause in gap_of(folder, config)["causes"]} >= {"no positions", "wide"}
    # the row is of a system that sets the width itself
    config["systems"] = {"": {"changes": {"model.width": 8}}}
    labels = {cause["label"] for cause in gap_of(folder, config)["causes"]}
    assert "no positions" in labels and "wide" not in labels
