"""Statistics of a course, and other readings of a record's statistic beside its verdict."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from repro.reference import parse_table
from repro.verdict import Measured, Measurement, Verdict, judge
from repro.verdict.statistic import statistic_of

NAN = math.nan


def test_by_hand() -> None:
    course = {500.0: 91.0, 250.0: 60.0, 750.0: 90.0}
    assert statistic_of(course, "last", "higher") == 90.0
    assert statistic_of(course, "best", "higher") == 91.0
    assert statistic_of(course, "best", "lower") == 60.0


def test_what_the_course_cannot_say() -> None:
    assert statistic_of({}, "best", "higher") is None
    assert statistic_of({1: 2.0}, "best", "none") is None
    assert statistic_of({1: 2.0}, "mean_of_last_100", "higher") is None
    assert statistic_of({1: 2.0}, "last_5_checkpoints_averaged", "higher") is None


def test_not_finite_values() -> None:
    assert statistic_of({1: NAN, 2: 0.5}, "best", "higher") == 0.5
    assert math.isnan(statistic_of({1: NAN, 2: NAN}, "best", "higher") or 0.0)
    assert math.isnan(statistic_of({1: 0.5, 2: NAN}, "last", "higher") or 0.0)


@given(st.dictionaries(st.integers(1, 99), st.floats(0, 1), min_size=1))
def test_best_bounds_every_value(course: dict[float, float]) -> None:
    assert statistic_of(course, "best", "higher") == max(course.values())
    assert statistic_of(course, "best", "lower") == min(course.values())


TABLE = """\
paper: mine
records:
  score:
    kind: value
    label: score
    group: Table 1
    value: "10.0"
    direction: higher
    metric: score
    split: test
    statistic: best
    readings: [last]
    where: Table 1
    confirmed: confirmed
    tolerance: {value: 0.5, reason: one run}
"""


def runs(statistic: str, values: list[float]) -> list[Measurement]:
    return [Measurement(seed=seed, statistic=statistic, metrics={"score": value}) for seed, value in enumerate(values)]


def test_the_other_reading_stands_beside_and_decides_nothing() -> None:
    best, last = [10.0, 10.01, 9.99, 10.02], [8.0, 8.01, 7.99, 8.02]
    row = judge(parse_table(TABLE), Measured(runs=[*runs("best", best), *runs("last", last)]))[0]
    assert row.verdict is Verdict.MATCH and row.values == tuple(best)
    assert any(note.startswith("read as last instead of best: 8.005, mismatch_worse") for note in row.notes)


def test_a_reading_that_was_not_measured_says_so() -> None:
    row = judge(parse_table(TABLE), Measured(runs=runs("best", [10.0, 10.01, 9.99])))[0]
    assert "read as last instead of best: the record's statistic is last, measured was best" in row.notes
