from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repro.errors import ReproError
from repro.report import tree, words
from repro.report.collect import collect, commands
from repro.report.collecting.phases import tricky
from repro.report.collecting.trajectories import axis_of, panels, thin
from repro.report.plots import trajectory, value_scale
from repro.tracking.run_folder import RunFolder
from repro.tracking.store import ProcessStore
from tests.report import folders
from tests.report.test_html import measured


def test_the_transformer_on_a_laptop(transformer: Path) -> None:
    report = collect(transformer)
    assert report.sentences[0] == "None of 24 printed results tested."
    assert (len(report.results), len(report.facts), len(report.analogues), len(report.context)) == (24, 7, 3, 2)
    assert tree.tally(report.results)["not_run"] == 24
    assert [panel.metric for panel in report.panels[:3]] == ["exact_match", "perplexity", "total"]
    assert all(len(panel.curves) == 3 for panel in report.panels)
    loss = report.panels[2]
    assert [len(curve.points) for curve in loss.curves] == [120] * 3 and loss.curves[0].recorded == 200
    assert (loss.curves[0].points[0][0], loss.curves[0].points[-1][0]) == (10, 2000)
    assert report.rates is not None and len(report.rates.trials) == 9
    assert [trial.rate for trial in report.rates.trials if trial.value is None] == [0.1]
    assert (report.rates.usable, report.rates.paper) == ((3.16e-4, 3.16e-2), 6.99e-4)
    assert (report.rates.updates, report.rates.full_updates) == (60, 2000)
    assert report.seeds == (0, 1, 2)
    assert len(report.phases) == 8 and not report.left_out
    assert "96 P100-hours" in report.commands[1].gives


def test_no_command_gives_a_number_of_another_system() -> None:
    ours, theirs = measured((), label="CNN", command="run"), measured((), label="human", command="other", own=False)
    assert [(one.command, one.gives) for one in commands({}, (ours, theirs))] == [("run", "CNN")]


def test_effects_come_from_the_study_the_claimed_metric_first(transformer: Path) -> None:
    effects = collect(transformer).effects
    assert {effect.metric for effect in effects} == {"exact_match", "training_loss"}
    names = ["no_positional_encoding", "no_warmup", "no_label_smoothing"]
    assert [effect.name for effect in effects if effect.metric == "exact_match"] == names
    first = effects[0]
    assert first.mean == pytest.approx(sum(first.differences) / 3) and first.interval is not None
    assert first.says == "order must come from somewhere" and first.changes == "model.positions=none"


def test_the_mean_leaves_out_a_diverged_seed_and_keeps_its_curve(gallery: Path) -> None:
    loss = next(panel for panel in collect(gallery).panels if panel.metric == "total")
    assert len(loss.curves) == 11 and loss.mean[-1][0] == 6000
    diverged = next(curve for curve in loss.curves if curve.seed == 10)
    assert diverged.status == "diverged" and math.isnan(diverged.points[-1][1])
    [left] = [line for line in collect(gallery).left_out if line.what == "seed-10"]
    assert "loss is NaN at update 400" in left.why


def test_all_seven_verdicts_are_in_the_gallery(gallery: Path) -> None:
    assert all(tree.tally(collect(gallery).results).values())


def test_the_threads_are_those_of_the_full_training_not_of_a_trial(tmp_path: Path) -> None:
    run = folders.begin(tmp_path / "mine" / "abc", "mine", "Mine")
    folders.process(run, "ablation-baseline-seed-0", "ablation", [], {}, threads=1)
    assert collect(run.root).header.threads == 1
    folders.process(run, "seed-0", "reproduction", [], {}, threads=2)
    assert collect(run.root).header.threads == 2


def test_a_run_that_stopped_at_once_has_a_report(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "mine", "abc", {"title": "Mine"}, "paper: {name: mine}\n")
    report = collect(tmp_path / "mine" / "abc")
    assert words.first_sentence(report) == "No phase has run yet."
    assert words.next_command(report) == "python -m repro status"


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ReproError, match=r"run\.json is missing"):
        collect(tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "mine", "abc", {}, "a: 1\n")
    folder = tmp_path / "mine" / "abc"
    (folder / "verdict.json").write_text('{"rows": [', "utf-8")
    with pytest.raises(ReproError, match=r"verdict\.json"):
        collect(folder)
    (folder / "verdict.json").unlink()
    (folder / "config.yaml").write_text("a: [", "utf-8")
    with pytest.raises(ReproError, match=r"config\.yaml"):
        collect(folder)


def test_older_code_is_named_and_not_mixed(tmp_path: Path) -> None:
    folder = folders.begin(tmp_path / "r", "mine", "Mine").root
    run = RunFolder(folder)
    folders.process(run, "seed-0", "reproduction", [(10, "train", {"total": 1.0})], None)
    run.use_code("b" * 12, {})
    folders.process(run, "seed-1", "reproduction", [(10, "train", {"total": 2.0})], None, seed=1)
    report = collect(folder)
    assert report.source == "b" * 12 and report.seeds == (1,)
    assert [line.what for line in report.left_out] == [f"code {folders.SOURCE}"]


def test_what_a_resume_superseded_is_gone(tmp_path: Path) -> None:
    run = folders.begin(tmp_path / "r", "mine", "Mine")
    store = run.process("seed-0")
    store.begin({"process": "seed-0", "kind": "reproduction", "seed": 0})
    for update in (10, 20, 30):
        store.append(update, "train", {"total": 9.0})
    store.supersede_after(10)
    store.append(20, "train", {"total": 1.0})
    store.end("finished")
    [panel] = collect(run.root).panels
    assert panel.curves[0].points == ((10, 9.0), (20, 1.0))


def test_thinning_keeps_the_ends_and_is_even() -> None:
    kept = thin(list(range(0, 1001)), 11)
    assert kept == list(range(0, 1001, 100))
    assert thin([1, 2, 3], 11) == [1, 2, 3]


def test_reading_and_drawing_need_no_torch_and_little_time(transformer: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\nfrom repro.report import build\n"
        f"build(Path({str(transformer)!r}))\n"
        "print(time.process_time())\n"  # of this process: a busy machine does not count
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'lightning') if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    seconds, loaded = answer.splitlines()
    assert loaded == "[]" and float(seconds) < 3
    assert json.loads((transformer / "report.json").read_text("utf-8"))["format"] == 1


def test_trajectories_of_what_the_paper_prints_of_training_have_its_line_and_the_axis_of_steps(tmp_path: Path) -> None:
    (process,) = [{"folder": tmp_path / "seed-0", "seed": 0, "status": "finished"}]
    with ProcessStore(process["folder"]) as store:
        store.begin({"process": "seed-0"})
        for update, value in ((16, 20.0), (32, 480.0)):
            store.append(update, "train", {"last_100_episodes": value, "total": 1.0})
            store.append(update, "validation", {"episode_return": value})
    row = tree.Row("cartpole", "CartPole-v1", "match", metric="last_100_episodes", split="train", paper=490.0,
                   tolerance=18.6, n=3, where="ppo.py", direction="higher")  # fmt: skip
    steps = {"unit": "environment steps", "per_update": "actors * 8", "names": {"actors": 4}}
    found = {(one.split, one.metric): one for one in panels([process], (row,), steps)}
    # what the paper reports comes before the losses, with its line; the panel of another split has none
    assert list(found) == [("train", "last_100_episodes"), ("validation", "episode_return"), ("train", "total")]
    first = found["train", "last_100_episodes"]
    assert first.printed == (("ppo.py", 490.0, 18.6),) and (first.unit, first.per_update) == ("environment steps", 32.0)
    assert panels([process], (replace(row, split="test"),), steps)[0].printed == ()
    # 20 and 480 are 24-fold apart, but more of a return is better: no decades
    y = value_scale([first])
    assert not y.log and y.high >= 490
    drawn = trajectory(first, "a label", y)
    assert ">1,000</text>" in drawn and "paperline" in drawn  # 32 updates are 1,024 steps


def test_without_a_declared_axis_updates_are_drawn() -> None:
    assert axis_of({}) == ("updates", 1.0)


def test_a_guard_that_did_not_run_is_said_to_guard_nothing() -> None:
    checks = (tree.Check("causal", "m", "passed", ""), tree.Check("resume", "t", "not_run", ""))
    config = {
        "paper": {"tricky_parts": [{"part": "a", "guard": ["causal", "resume"]}, {"part": "b", "guard": "asked"}]}
    }
    guards = [guard for _, _, guard in tricky(config, [tree.Phase("model", "passed", "", checks, 1, "")])]
    assert guards == ["causal, resume (did not run)", "asked"]
