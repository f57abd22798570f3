"""From a run's files to every output: each edge a row can meet is shown as what it is."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from repro.phases.verdict import judge_run
from repro.report import build
from repro.report.collect import collect
from repro.report.terminal import render
from repro.report.tree import Row
from repro.tracking.run_folder import RunFolder
from repro.verdict.outcome import Verdict
from tests.phases.made_runs import TABLE, judged_from, make, settings

NAME = "score <b>ü</b>"


def outputs(folder: RunFolder, table: str = TABLE) -> tuple[Row, dict[str, str]]:
    """The score's row, and the text of every output."""
    folder.write_verdict(judge_run(judged_from(folder, settings(), table)).to_json())
    texts = {ending: path.read_text("utf-8") for ending, path in build(folder.root).items()}
    report = collect(folder.root)
    # inside a fence Markdown takes nothing for markup
    texts["md"] = re.sub(r"(?s)```.*?```", "", texts["md"])
    texts["terminal"] = render(report, folder.root, width=100)
    return next(row for row in report.rows if row.id == "score"), texts


def shown(folder: RunFolder) -> Row:
    row, texts = outputs(folder)
    # one line a row, markup escaped, letters kept
    (line,) = [line for line in texts["terminal"].splitlines() if line.startswith(f"  {NAME}")]
    assert len(line) <= 100 and row.word in line
    assert "<b>ü</b>" not in texts["html"] and "score &lt;b&gt;ü&lt;/b&gt;" in texts["html"]
    assert "<b>ü" not in texts["md"] and NAME in texts["json"]
    return row


def test_not_run(tmp_path: Path) -> None:
    row = shown(make(tmp_path, "aaa", {}))
    assert row.verdict == "not_run" and row.n == 0 and row.reason == "no seed was trained yet"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    row = shown(make(tmp_path, "aaa", {0: 94.0, 1: value, 2: 94.1}))
    assert row.verdict == "not_testable" and "1 of 3 seeds gave a value that is not finite" in row.reason
    assert len(row.values) == 3 and sum(map(math.isfinite, row.values)) == 2


def test_a_diverged_seed_takes_row_and_curve_with_it(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", {0: 94.0, 1: None, 2: 94.1}, statuses={1: "diverged"}, losses={1: (3.0,)})
    row = shown(folder)
    assert row.verdict == "not_testable" and "seed 1 diverged" in row.reason
    course = next(row for row in collect(folder.root).rows if row.id == "course")
    assert course.verdict == "not_testable" and "seed 1 diverged" in course.reason


def test_a_missing_run_is_left_out_by_name(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", {0: 94.0, 1: None, 2: 94.02, 3: 93.98}, statuses={1: "interrupted"})
    row = shown(folder)
    assert row.verdict == "match" and row.n == 3 and any("seed 1 left out" in note for note in row.notes)
    assert any(one.what == "seed-1" for one in collect(folder.root).left_out)


def test_zero_spread_and_ties(tmp_path: Path) -> None:
    row = shown(make(tmp_path, "aaa", {0: 94.0, 1: 94.0, 2: 94.0}))
    assert row.verdict == "match" and row.interval == (94.0, 94.0)
    assert any("is the seed used?" in note for note in row.notes)
    # two of three tie, all dots are drawn
    tied, texts = outputs(make(tmp_path, "bbb", {0: 94.1, 1: 94.1, 2: 94.0}))
    assert tied.verdict == "match" and len(tied.values) == 3 and texts["html"]
    # exactly on the edge of the tolerance: 94.5 is not clearly inside, and not outside
    edge = shown(make(tmp_path, "ccc", {0: 94.4, 1: 94.5, 2: 94.6}))
    assert edge.verdict == "inconclusive"
    # equal values on the edge are within ±tolerance or undecided, never a mismatch
    assert not shown(make(tmp_path, "ddd", dict.fromkeys(range(3), 94.5))).verdict.startswith("mismatch")


def test_one_seed(tmp_path: Path) -> None:
    row = shown(make(tmp_path, "aaa", {0: 94.0}))
    assert row.verdict == "inconclusive" and row.n == 1 and row.interval is None and row.more_seeds == 2


def test_a_thousand_seeds() -> None:
    from repro.report.html_results import drawable, strip
    from repro.verdict.value import decide_value

    values = [94.0 + 0.3 * math.sin(seed) for seed in range(1000)]
    result = decide_value(values, 94.0, 0.5, "higher", looks=(3, 1000))
    assert result.verdict is Verdict.MATCH and result.n == 1000 and result.interval[1] - result.interval[0] < 0.05
    low, high = result.interval
    row = Row(
        "a", "a", "match", paper=94.0, printed="94.0", values=tuple(values), ours=94.0, interval=(low, high), n=1000
    )
    from repro.report.html_results import axis_of

    assert drawable(row) and len(str(strip(row, axis_of([row])))) < 200_000


def test_names_from_all_over(tmp_path: Path) -> None:
    label = "精度 ‮evil‬ 🙂 <script>alert(1)</script> & | `x` \\\\"
    table = TABLE.replace(NAME, label)
    row, texts = outputs(make(tmp_path, "aaa", {0: 90.0, 1: 90.1, 2: 90.2}), table)
    assert "<script>" not in texts["html"] and "<script>" not in texts["md"]
    assert "精度" in texts["html"] and "🙂" in texts["md"] and row.verdict == "mismatch_worse"


def test_edits_are_beside_the_verdict_everywhere(tmp_path: Path) -> None:
    from repro.reference import parse_table
    from repro.reference.schema import record_json

    folder = make(tmp_path, "aaa", {0: 94.0, 1: 94.02, 2: 93.98})
    records = [record_json(record) for record in parse_table(TABLE).records]
    budget = settings()["reproduction"] | {"max_seeds": 2}
    folder.register_table({"hash": "x", "records": records, "reproduction": budget})
    row, texts = outputs(folder, TABLE.replace("value: 0.5, reason: one run", "value: 2.0, reason: one run"))
    assert row.edits == (("tolerance", "±0.5", "±2"),)
    assert "edited: tolerance ±0.5 → ±2" in texts["html"] and "tolerance ±0.5 → ±2" in texts["md"]
    assert f"edited after results were seen: {NAME}: tolerance ±0.5 → ±2" in texts["terminal"]
    for text in texts.values():
        assert "reproduction.max_seeds" in text.replace("\\_", "_")
    assert "Edited after results were seen: 1 row, reproduction.max_seeds 2 → 3." in texts["terminal"]
