"""The early warning is said once, at the step, and never for a run that the curve is not for."""

from __future__ import annotations

from pathlib import Path

from repro.phases.off_course import Course
from repro.reference import parse_table
from tests.phases.made_runs import TABLE, make, settings

NAMES = {"seed-0": "", "seed-1": "", "seed-2": ""}


def warnings(tmp_path: Path, losses: dict[int, list[float]], table: str = TABLE) -> list[str]:
    folder = make(tmp_path, "aaa", dict.fromkeys(losses, 94.0), losses=losses)
    said: list[str] = []
    course = Course(parse_table(table), settings(), folder.code(), 0.95, said.append)
    for seed in losses:
        for update in (5, 10, 15, 20, 25, 30, 30):
            course.look(f"seed-{seed}", update, {name: "" for name in NAMES if int(name[-1]) in losses})
    return said


def test_on_course_says_nothing(tmp_path: Path) -> None:
    assert warnings(tmp_path, {0: [3.1, 2.1, 1.0], 1: [2.9, 1.9, 1.1]}) == []


def test_one_seed_may_be_off_course(tmp_path: Path) -> None:
    (said,) = warnings(tmp_path, {0: [3.0, 2.9, 2.8]})
    assert said == (
        "   ! seed-0 may be off course at step 20: loss on validation 2.9, the reference has 2 ± 0.5 (course)"
    )


def test_a_seed_below_the_curve_is_off_course_as_well(tmp_path: Path) -> None:
    (said,) = warnings(tmp_path, {0: [3.0, 1.4, 1.0]})
    assert "seed-0 may be off course at step 20: loss on validation 1.4" in said


def test_a_step_with_a_tolerance_of_its_own_is_held_to_it(tmp_path: Path) -> None:
    import re

    points = re.compile(r"points: .*")
    tight = points.sub("points: [[10, 3.0], [20, 2.0], [30, 1.0, 0.01]]", TABLE)
    (said,) = warnings(tmp_path, {0: [3.0, 2.1, 1.1]}, tight)
    assert "off course at step 30: loss on validation 1.1, the reference has 1 ± 0.01" in said


def test_several_seeds_are_off_course(tmp_path: Path) -> None:
    said = warnings(tmp_path, {0: [3.0, 2.9, 2.8], 1: [3.0, 2.92, 2.8], 2: [3.0, 2.91, 2.8]})
    assert len(said) == 1 and "3 seeds are off course at step 20" in said[0] and "on average" in said[0]


def test_not_finite(tmp_path: Path) -> None:
    (said,) = warnings(tmp_path, {0: [3.0, float("nan"), float("nan")]})
    assert "seed-0 is off course at step 20: loss is not finite" in said


def test_a_curve_of_another_setting_is_not_followed(tmp_path: Path) -> None:
    other = TABLE.replace("    points:", "    requires: {scale: paper}\n    points:")
    assert warnings(tmp_path, {0: [9.0, 9.0, 9.0]}, other) == []


def test_an_evaluation_that_is_written_after_the_progress_is_still_seen(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", {0: 94.0}, losses={0: [3.0]})
    said: list[str] = []
    course = Course(parse_table(TABLE), settings(), folder.code(), 0.95, said.append)
    course.look("seed-0", 20, {"seed-0": ""})
    store = folder.process("seed-0")
    with store:
        store.begin({})
        store.append(20, "validation", {"loss": 9.0})
    course.look("seed-0", 21, {"seed-0": ""})
    assert len(said) == 1
