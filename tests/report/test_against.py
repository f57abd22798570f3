"""Two runs side by side: differences with intervals, where trajectories part, what was configured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from repro.phases.verdict import judge_run
from repro.report import tree
from repro.report.against import compare, difference_interval, render, row_difference
from repro.tracking.run_folder import RunFolder
from tests.phases.made_runs import judged_from, make, settings


def test_rows_courses_and_settings(tmp_path: Path) -> None:
    a = make(tmp_path, "aaa", {0: 90.0, 1: 90.2, 2: 89.8}, losses=dict.fromkeys(range(3), (3.0, 2.5, 1.0)))
    b = make(tmp_path / "b", "bbb", {0: 94.0, 1: 94.3, 2: 93.7}, settings(loss__smoothing=0.0), source="other")
    for folder in (a, b):
        folder.write_verdict(judge_run(judged_from(folder)).to_json())
    found = compare(a.root, b.root)
    (row,) = found.rows
    assert row.difference == pytest.approx(-4.0) and row.how == "paired by seed"
    assert row.interval is not None and row.interval[0] < -4 < row.interval[1]
    (course,) = found.courses
    assert (course.update, course.a, course.b, course.farthest, course.distance) == (30, 1.0, 1.0, 20, 0.5)
    assert found.settings == (("loss.smoothing", "0.1", "0.0"),)
    assert "the paper's code differs: a81f0c22d9e4 and other" in found.notes
    text = render(found)
    assert "What differs is written B → A." in text  # else "1 → 2" could be read either way
    assert "loss.smoothing: 0.0 → 0.1" in text and "paired by seed" in text and max(map(len, text.splitlines())) < 140


def test_intervals_of_differences() -> None:
    # Welch by hand: equal spreads 1, n = 2 each: error √(0.5 + 0.5) = 1, 2 degrees of freedom
    root = 0.5**0.5
    interval, how = difference_interval((-root, root), (-root, root), (0, 1), (2, 3), 0.95)
    assert how == "2 and 2 seeds" and interval == (
        pytest.approx(-4.302653, rel=1e-5),
        pytest.approx(4.302653, rel=1e-5),
    )
    assert difference_interval((1.0,), (1.0, 2.0), (0,), (0, 1), 0.95)[0] is None
    assert difference_interval((1.0, 1.0), (2.0, 2.0), (0, 1), (2, 3), 0.95) == (
        (-1.0, -1.0),
        "no spread on either side",
    )


def test_runs_without_a_verdict(tmp_path: Path) -> None:
    a, b = make(tmp_path, "aaa", {}), make(tmp_path, "bbb", {})
    assert "No row was measured in either run." in render(compare(a.root, b.root))


def test_facts_are_exact_and_have_no_interval() -> None:
    one = tree.Row("parameters", "parameters", "match", kind="fact", ours=64.0, values=(64.0,), n=1)
    found = row_difference(one, replace(one, ours=65.0, values=(65.0,)), (), ())
    assert (found.difference, found.interval, found.how) == (-1.0, None, "exact: no seeds")


def test_a_run_that_trained_nothing_is_said_once(tmp_path: Path) -> None:
    a = RunFolder.create(tmp_path, "small", "aaa", {"title": "Small"}, "model: {}\n")
    b = make(tmp_path, "bbb", {0: 94.0})
    assert compare(a.root, b.root).notes == ("A has trained nothing yet",)
