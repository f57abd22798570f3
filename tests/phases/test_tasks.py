"""Runs of several tasks of a paper, put side by side: what fits, what is left out by name, what every output says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repro.commands.report import main
from repro.errors import ConfigError, ExitCode, ReproError
from repro.phases.several import together
from repro.report import build
from repro.report.collect import collect
from repro.tracking.run_folder import RunFolder, find_run, list_runs
from tests.phases.made_runs import SOURCE, TABLE, make, settings

# a random policy loses 10 in task "a" and 4 in task "b"; what is documented is 0 and 2
TASKS = """
tasks:
  metric: loss
  split: validation
  direction: lower
  scores:
    a: {low: {value: "10", source: a random policy}, high: {value: "0", source: Table 9}}
    b: {low: {value: "4", source: a random policy}, high: {value: "2", source: Table 9}}
    flat: {low: {value: "3", source: a random policy}, high: {value: "3", source: Table 9}}
"""


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reference_numbers").mkdir()
    (tmp_path / "reference_numbers" / "small.yaml").write_text(TABLE + TASKS)
    monkeypatch.chdir(tmp_path)


def run_of(task: str, run: str, ends: dict[int, float], folder: Path = Path("runs"), **changes: Any) -> RunFolder:
    """A run of the task whose validation loss ends at this value, by seed; 100 environment steps an update."""
    steps = {"unit": "environment steps", "per_update": "actors * 25", "names": {"actors": 4}}
    declared = {"by": "data.environment", "settings": ["dataset"]}
    config = settings(paper__tasks=declared, paper__steps=steps, data__environment=task, dataset__name=task)
    for key, value in changes.pop("config", {}).items():
        *path, last = key.split(".")
        at = config
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    losses = {seed: (9.0, 5.0, end) for seed, end in ends.items()}
    return make(folder, run, dict.fromkeys(ends, 94.0), config, losses=losses, **changes)


def test_tasks_are_put_side_by_side_with_the_mean_of_normalised_scores(tmp_path: Path) -> None:
    a = run_of("a", "aaa", {0: 2.0, 1: 4.0})  # normalised 0.8 and 0.6
    b = run_of("b", "bbb", {0: 3.0, 1: 2.0})  # 0.5 and 1
    other = run_of("c", "ccc", {0: 1.0, 1: 1.0})
    folder, judged, excluded = together([a, b, other], tmp_path / "runs")
    assert excluded == () and folder.run_id.startswith("tasks-")
    found = collect(folder.root).tasks
    assert found is not None and [one.name for one in found.tasks] == ["a", "b", "c"]
    first, second, third = found.tasks
    assert first.values == (2.0, 4.0) and first.mean == 3.0
    # t(1, 0.975) = 12.706 standard errors of 1
    assert first.interval == pytest.approx((3 - 12.706, 3 + 12.706), abs=1e-3)
    assert first.normalised == pytest.approx((0.8, 0.6)) and second.normalised == pytest.approx((0.5, 1.0))
    # the middle half of 0.5, 0.6, 0.8, 1
    assert found.value == pytest.approx(0.7) and (found.counted, found.seeds) == (2, 2)
    assert found.interval is not None and 0.5 <= found.interval[0] <= 0.7 <= found.interval[1] <= 1.0
    assert any("too narrow" in note for note in found.notes)
    assert third.why_not == "the reference table gives no scale for it" and third.mean == 1.0
    assert "2 tasks side by side: interquartile mean of normalised scores 0.70" in judged.sentences[1]
    assert judged.sentences[1].endswith("without c.")
    # trajectories are drawn over environment steps, with the documented result as a line
    assert first.panel is not None and (first.panel.unit, first.panel.per_update) == ("environment steps", 100.0)
    assert first.panel.printed == (("Table 9", 0.0, None),)
    assert together([other, b, a], tmp_path / "runs")[0].root == folder.root
    # the latest run of a paper stays one that trained
    assert find_run("small").run_id == "ccc" and list_runs("runs")[-1].root.name == folder.run_id


def test_every_output_has_the_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # whatever the terminal of the tests
    run_of("a", "aaa", {0: 2.0, 1: 4.0})
    run_of("flat", "fff", {0: 3.0, 1: 3.5})
    run_of("b", "bbb", {0: 3.0, 1: 2.0})
    assert main(["paper=small", "runs=[aaa,fff,bbb]"]) in (ExitCode.OK, ExitCode.UNDECIDED)
    out = capsys.readouterr().out
    assert "Tasks side by side, loss, validation:" in out
    (line,) = [line for line in out.splitlines() if line.startswith("    a ")]
    assert line.split()[:3] == ["a", "2", "3.000"] and line.split()[-3:] == ["10.00", "0", "0.700"]
    assert "a random policy and the documented result score the same" in out
    (folder,) = Path("runs/small").glob("tasks-*")
    markdown, page = ((folder / f"report.{ending}").read_text() for ending in ("md", "html"))
    assert "**Tasks side by side.**" in markdown and "| a | 2 | 3.000 |" in markdown
    assert "Tasks side by side" in page and page.count("environment steps</p>") == 3
    report = json.loads((folder / "report.json").read_text())
    assert report["tasks"]["value"] == pytest.approx(0.7) and len(report["tasks"]["tasks"]) == 3
    again = {path.name: path.read_bytes() for path in folder.glob("report.*")}
    build(folder)
    assert {path.name: path.read_bytes() for path in folder.glob("report.*")} == again


def test_a_documented_result_that_was_tested_says_how_it_came_out(tmp_path: Path) -> None:
    record = """
  loss_of_b:
    {kind: value, label: loss, group: Table 9, value: "2.0", direction: lower, metric: loss, split: validation,
     where: row b, confirmed: confirmed, tolerance: {value: 9, reason: a test}, requires: {data: b}}
"""
    # the row needs what the second run trained, and is judged by its seeds
    text = (
        (TABLE + TASKS)
        .replace("\nconsistency:", f"{record}\nconsistency:")
        .replace(
            'b: {low: {value: "4", source: a random policy}, high: {value: "2", source: Table 9}}',
            'b: {low: {value: "4", source: a random policy}, high: {record: loss_of_b}}',
        )
    )
    Path("reference_numbers/small.yaml").write_text(text)
    a, b = run_of("a", "aaa", {0: 2.0, 1: 4.0}), run_of("b", "bbb", {0: 3.0, 1: 3.1})
    folder, judged, _ = together([a, b], tmp_path / "runs")
    (row,) = [row for row in judged.rows if row.id == "loss_of_b"]
    assert row.values == (3.0, 3.1) and row.verdict == "match"
    found = collect(folder.root).tasks
    assert found is not None and [one.verdict for one in found.tasks] == ["", "match"]
    assert found.tasks[1].high_source == "Table 9, row b"
    # a row that no run can decide says what the nearest lacks, which is not its task
    Path("reference_numbers/small.yaml").write_text(
        text.replace("requires: {data: b}", "requires: {data: b, settings: [reproduction.updates=99]}")
    )
    (row,) = [row for row in together([a, b], tmp_path / "runs")[1].rows if row.id == "loss_of_b"]
    assert (row.verdict, row.reason) == ("not_run", "needs reproduction.updates=99, this run has 30")


def test_what_does_not_fit_is_named_and_never_mixed(tmp_path: Path) -> None:
    a = run_of("a", "aaa", {0: 2.0, 1: 4.0})
    newer = run_of("b", "bbb", {0: 3.0}, source="other")
    wide = run_of("c", "ccc", {0: 3.0}, config={"model.width": 16})
    cut = run_of("d", "ddd", {0: 3.0, 1: 3.0}, statuses={0: "running", 1: "interrupted"})
    folder, judged, excluded = together([a, newer, wide, cut], tmp_path / "runs")
    assert [(one.what.rpartition("/")[2], one.why) for one in excluded] == [
        ("bbb", f"another version of the code: other instead of {SOURCE}"),
        ("ccc", "another configuration: model.width=16 instead of 8"),
        ("ddd", "no seed is finished: 1 interrupted, 1 running"),
    ]
    assert judged.sentences[1] == "Nothing was put together: only a is left."
    report = collect(folder.root)
    assert report.tasks is not None and report.tasks.value is None and len(report.left_out) == 3
    with pytest.raises(ReproError, match="Nothing was put together: every run is left out"):
        together([cut, newer], tmp_path / "runs")


def test_seeds_that_did_not_end_and_seeds_that_diverged(tmp_path: Path) -> None:
    a = run_of("a", "aaa", {0: 2.0, 1: 4.0, 2: 9.0}, statuses={2: "interrupted"})
    b = run_of("b", "bbb", {0: 3.0, 1: 2.0}, statuses={1: "diverged"})
    folder, judged, excluded = together([a, b], tmp_path / "runs")
    assert [(one.what, one.why) for one in excluded] == [("a, seed-2", "it is interrupted")]
    found = collect(folder.root).tasks
    assert found is not None and found.tasks[0].seeds == (0, 1)
    assert found.tasks[1].mean is None and "seed 1 diverged" in found.tasks[1].why_not
    assert found.value is None and "only a can be normalised" in judged.sentences[1]


def test_two_runs_of_a_task_add_their_seeds(tmp_path: Path) -> None:
    a = run_of("a", "aaa", {0: 2.0, 1: 4.0})
    more = run_of("a", "more", {1: 7.0, 2: 6.0}, tmp_path / "elsewhere", config={"reproduction.first_seed": 1})
    b = run_of("b", "bbb", {0: 3.0, 1: 2.0, 2: 2.5})
    folder, _, excluded = together([a, more, b], tmp_path / "runs")
    assert [one.what for one in excluded] == [f"seed-1 of {more.root}"]
    found = collect(folder.root).tasks
    assert found is not None and found.tasks[0].values == (2.0, 4.0, 6.0) and found.seeds == 3


def test_one_seed_a_task_has_no_interval(tmp_path: Path) -> None:
    folder, _, _ = together([run_of("a", "aaa", {0: 2.0}), run_of("b", "bbb", {0: 3.0})], tmp_path / "runs")
    found = collect(folder.root).tasks
    assert found is not None and found.value == pytest.approx(0.65) and found.interval is None
    assert found.tasks[0].interval is None and "one seed a task has no spread" in found.notes[0]


def test_a_scale_edited_after_the_first_seed_is_told(tmp_path: Path) -> None:
    from dataclasses import asdict

    from repro.reference import parse_table

    a, b = run_of("a", "aaa", {0: 2.0}), run_of("b", "bbb", {0: 3.0})
    before = parse_table(TABLE + TASKS.replace('high: {value: "0"', 'high: {value: "1"'))
    assert before.tasks is not None
    a.register_table({"records": [], "tasks": asdict(before.tasks)})
    _, judged, _ = together([a, b], tmp_path / "runs")
    assert ("high of a", "1", "0") in judged.other_edits


def test_a_paper_whose_table_has_no_tasks_says_what_to_write(tmp_path: Path) -> None:
    Path("reference_numbers/small.yaml").write_text(TABLE)
    with pytest.raises(ConfigError, match="does not say in which metric tasks are compared"):
        together([run_of("a", "aaa", {0: 2.0}), run_of("b", "bbb", {0: 3.0})], tmp_path / "runs")
