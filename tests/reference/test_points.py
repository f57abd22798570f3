"""A digitised curve is read from a CSV file beside its table; what is wrong with it is told with file and line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.errors import TableError
from repro.reference import load_table
from repro.reference.points import PointsFile, at_multiples, parsed, read_points
from repro.reference.schema import Record
from repro.verdict import Measured, Measurement, Verdict, judge

TABLE = """\
paper: mine
records:
  loss_curve:
    kind: curve
    label: loss while training
    group: Figure 3
    metric: loss
    split: validation
    direction: lower
    where: Figure 3, blue line
    confirmed: confirmed
    tolerance: {value: 0.1, reason: "ours: the width of the line is 0.02, our seeds differ by 0.03"}
    points: POINTS
"""
FROM_FILE = "{file: curves/figure_3.csv, step: epoch, value: loss, updates: 100, every: 100}"
CSV = "epoch, loss\n0.5, 2.0\n1.5, 1.0\n3, 0.7\n"


def table(folder: Path, csv: str | None = CSV, points: str = FROM_FILE) -> Path:
    if csv is not None:
        (folder / "curves").mkdir(exist_ok=True)
        (folder / "curves" / "figure_3.csv").write_text(csv, encoding="utf-8")
    path = folder / "mine.yaml"
    path.write_text(TABLE.replace("POINTS", points), encoding="utf-8")
    return path


def curve(path: Path) -> Record:
    return load_table(path).record("loss_curve")


def faults(path: Path) -> list[str]:
    with pytest.raises(TableError) as error:
        load_table(path)
    return str(error.value).splitlines()[1:]


def test_a_curve_is_read_off_where_the_run_evaluates(tmp_path: Path) -> None:
    # 50, 150 and 300 updates; at 100 half-way between 2.0 and 1.0, at 200 a third of the way from 1.0 to 0.7
    assert curve(table(tmp_path)).points == ((100, 1.5), (200, pytest.approx(0.9)), (300, 0.7))


def test_without_every_the_points_stay_where_they_are(tmp_path: Path) -> None:
    path = table(tmp_path, points="{file: curves/figure_3.csv, step: epoch, value: loss, updates: 100}")
    assert curve(path).points == ((50, 2), (150, 1), (300, 0.7))


def test_a_column_may_hold_a_tolerance_of_each_point(tmp_path: Path) -> None:
    csv = "\ufeffepoch,loss,width\n1,2.0,0.4\n\n3,1.0,0.2\n"  # with the mark that spreadsheets put first
    points = "{file: curves/figure_3.csv, step: epoch, value: loss, tolerance: width, every: 1}"
    found = curve(table(tmp_path, csv, points)).course
    assert found == {1: (2.0, 0.4), 2: (1.5, pytest.approx(0.3)), 3: (1.0, 0.2)}


def test_a_file_is_the_same_table_as_its_points_written_out(tmp_path: Path) -> None:
    written = table(tmp_path, None, "[[100, 1.5], [200, 1.0], [300, 0.5]]")
    expected = load_table(written).hash
    assert load_table(table(tmp_path, "epoch,loss\n1,1.5\n3,0.5\n")).hash == expected
    assert load_table(table(tmp_path, "epoch,loss\n1,1.5\n3,0.6\n")).hash != expected


def test_a_run_is_judged_by_it(tmp_path: Path) -> None:
    def verdict(offset: float) -> Verdict:
        course = {100.0: 1.5, 200.0: 0.9, 300.0: 0.7}
        courses = {seed: {at: v + offset + 0.01 * seed for at, v in course.items()} for seed in range(3)}
        runs = [Measurement(seed, "validation", "last", {"loss": 0.7}) for seed in range(3)]
        measured = Measured(runs=runs, trajectories={"": {("loss", "validation"): courses}})
        (row,) = judge(load_table(table(tmp_path)), measured)
        return row.verdict

    assert verdict(0.0) is Verdict.MATCH
    assert verdict(0.5) is Verdict.MISMATCH_WORSE


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        ("", "is empty; need a line that names the columns epoch, loss"),
        ("epoch,loss\n", "has no points below the line that names its columns"),
        ("epoch,los\n1,2\n", "has no column 'loss'; its first line has epoch, los"),
        ("epoch,loss,loss\n1,2,3\n", "has two columns 'loss'"),
        ("epoch,loss\n1,2\n2,nan\n", "line 3, column loss: got 'nan', need a finite number"),
        ("epoch,loss\n1,2\n2,1e999\n", "line 3, column loss: got '1e999', need a finite number"),
        ("epoch,loss\n1,2\n\n2,\n", "line 4, column loss: got '', need a finite number"),
        ("epoch,loss\n1,2\n2\n", "line 3: got 1 cell, need the 2 of the first line"),
        ("epoch,loss\n1,2\n3,2\n2,1\n", "line 4, column epoch: got 2 after 3, need increasing steps"),
        ("epoch,loss\n1,2\n1,1\n", "line 3, column epoch: got 1 after 1, need increasing steps"),
        ("epoch,loss\n1.1,2\n1.9,1\n", "goes from update 110 to 190, where no multiple of every=100 lies"),
    ],
)
def test_each_fault_names_file_and_line(tmp_path: Path, csv: str, says: str) -> None:
    (fault,) = faults(table(tmp_path, csv))
    assert fault.startswith("  line 13  loss_curve.points: curves/figure_3.csv ")
    assert says in fault


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ("{file: curves/none.csv, step: a, value: b}", "none.csv cannot be read: No such file or directory; the path"),
        ("{file: /etc/hosts, step: a, value: b}", "need a path relative to the table's folder"),
        ("{file: curves, step: a, value: b}", "cannot be read: Is a directory"),
        ("{file: curves/figure_3.csv, step: epoch}", "points.value: missing"),
        ("{file: curves/figure_3.csv, steps: epoch, value: loss}", "did you mean step?"),
        ("{file: curves/figure_3.csv, step: epoch, value: loss, updates: 0}", "points.updates: got '0'"),
        ("{file: curves/figure_3.csv, step: epoch, value: loss, every: 1.5}", "points.every: got '1.5'"),
        ("curves/figure_3.csv", "need a list of [step, value], or {file:"),
        ("[]", "a curve needs points"),
        ("[[100, 1], [100, 2]]", "loss_curve.points[1]: got step 100 after 100, need increasing steps"),
    ],
)
def test_each_fault_of_the_record(tmp_path: Path, points: str, says: str) -> None:
    assert any(says in fault for fault in faults(table(tmp_path, points=points)))


def test_a_file_that_is_no_table_of_numbers_tells_a_few_faults(tmp_path: Path) -> None:
    found = faults(table(tmp_path, "epoch,loss\n" + "a,b\n" * 100))
    assert len(found) == 6 and "has 195 more faults" in found[-1]


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"epoch,loss\n1,\xff\n")
    points, found = read_points(PointsFile("x.csv", "epoch", "loss"), tmp_path)
    assert points == () and "is not UTF-8 text: byte 13" in found[0]


FINITE = st.floats(min_value=-1e9, max_value=1e9)
STEPS = st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True).map(sorted)


@given(STEPS, st.data())
def test_what_was_written_is_read(steps: list[int], data: st.DataObject) -> None:
    values = [data.draw(FINITE) for _ in steps]
    text = "step,value\n" + "".join(f"{step},{value!r}\n" for step, value in zip(steps, values, strict=True))
    points, found = parsed(PointsFile("x.csv", "step", "value"), text)
    assert found == []
    assert points == list(zip(map(float, steps), values, strict=True))


@given(STEPS, st.integers(1, 10**5), st.data())
def test_read_off_values_lie_between_their_neighbours(steps: list[int], every: int, data: st.DataObject) -> None:
    points = [(float(step), data.draw(FINITE)) for step in steps]
    found = dict(at_multiples(points, every))
    assert list(found) == [float(at) for at in range(every, steps[-1] + 1, every) if at >= steps[0]]
    for at, value in found.items():
        if at in steps:
            assert value == dict(points)[at]
            continue
        (left,) = [pair for pair in pairwise(points) if pair[0][0] < at < pair[1][0]]
        low, high = sorted((left[0][1], left[1][1]))
        margin = 1e-12 * max(abs(low), abs(high))
        assert low - margin <= value <= high + margin


@given(st.text(max_size=200))
def test_no_text_brings_it_down(text: str) -> None:
    points, found = parsed(PointsFile("x.csv", "a", "b"), text)
    assert found or points
