"""The looks of a reproduction are fixed with its first seed, kept, and added to openly."""

from __future__ import annotations

from pathlib import Path

from repro.phases import looks
from repro.phases.verdict import judge_run
from repro.verdict.sequential import chance_with_added, levels
from tests.phases.made_runs import judged_from, make, settings


def test_a_resume_with_other_workers_keeps_the_plan(tmp_path: Path) -> None:
    first = looks.register(tmp_path, 3, 2, 7)
    assert first.planned == (3, 5, 7) and looks.register(tmp_path, 3, 4, 7) == first
    looks.judge(tmp_path, 3)
    looks.judge(tmp_path, 3)
    again = looks.register(tmp_path, 3, 8, 7)
    assert again.judged == (3,) and again.after(3, 7) == 5 and again.after(7, 7) == 7


def test_a_budget_may_change_until_something_was_judged(tmp_path: Path) -> None:
    looks.register(tmp_path, 3, 2, 3)
    assert looks.register(tmp_path, 3, 2, 7).planned == (3, 5, 7)
    looks.judge(tmp_path, 3)
    grown = looks.register(tmp_path, 3, 2, 11)
    assert grown.planned == (3, 5, 7) and grown.added == (9, 11) and grown.all == (3, 5, 7, 9, 11)
    assert looks.register(tmp_path, 3, 2, 11) == grown


def test_added_looks_cost_what_they_cost_and_the_rows_say_so(tmp_path: Path) -> None:
    chance = chance_with_added((3,), (5,), 0.05)
    assert 0.05 < chance < 0.10 and chance > levels((3, 5), 0.05)[0]
    folder = make(tmp_path, "aaa", {seed: 94.0 + 0.1 * seed for seed in range(5)})
    looks.register(folder.code(), 3, 2, 3)
    looks.judge(folder.code(), 3)
    looks.register(folder.code(), 3, 2, 5)
    row = judge_run(judged_from(folder)).rows[0]
    assert any("added after results were seen" in note and "instead of 5 %" in note for note in row.notes)


def test_the_verdict_uses_the_looks_that_were_registered(tmp_path: Path) -> None:
    folder = make(tmp_path, "aaa", {0: 94.0, 1: 94.2, 2: 93.9})
    looks.register(folder.code(), 3, 2, 9)
    config = settings(reproduction__max_seeds=9)
    planned = judge_run(judged_from(folder, config)).rows[0]
    assert planned.confidence is not None and planned.confidence > 0.95
    # the file, not the machine that reads it, says how many looks there are
    assert judge_run(judged_from(folder)).rows[0].confidence == planned.confidence


def test_a_system_with_fewer_seeds_has_looks_of_its_own(tmp_path: Path) -> None:
    found = looks.register(tmp_path, 6, 6, 24, {"gru": 15})
    assert found.planned == (6, 12, 15, 18, 24) and found.of("cnn") == found
    assert found.of("gru").all == (6, 12, 15) and found.of("gru").note(0.95) == ""
    assert looks.register(tmp_path, 6, 6, 24, {"gru": 12}).of("gru").all == (6, 12)  # nothing was judged yet
    looks.judge(tmp_path, 6)
    assert looks.register(tmp_path, 6, 6, 24, {"gru": 6}).of("gru").planned == (6, 12)  # a plan is not cut short
    raised = looks.register(tmp_path, 6, 6, 24)
    assert raised.of("gru").planned == (6, 12) and raised.of("gru").added == (18, 24) and raised.added == ()
    assert "added after results were seen" in raised.of("gru").note(0.95) and raised.of("cnn").note(0.95) == ""


def test_its_rows_are_judged_at_its_own_looks(tmp_path: Path) -> None:
    confidences = []
    for number, ends in enumerate(({}, {"": 6})):
        folder = make(tmp_path / str(number), "aaa", {seed: 94.0 + 0.1 * seed for seed in range(3)})
        looks.register(folder.code(), 3, 3, 24, ends)
        confidences.append(judge_run(judged_from(folder)).rows[0].confidence)
    # two looks share the level instead of eight
    assert confidences == [1 - 2 * levels(tuple(range(3, 25, 3)), 0.05)[0], 1 - 2 * levels((3, 6), 0.05)[0]]


def test_one_seed_has_no_look(tmp_path: Path) -> None:
    found = looks.register(tmp_path, 1, 4, 1)
    assert found.planned == (1,) and found.all == () and found.note(0.95) == ""
