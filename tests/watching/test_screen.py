"""The screen of `watch` as text: nothing is wider than the terminal, and in a low one the fault stays in sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.watching.saved import changed, stamps
from repro.watching.screen import State, lines

RAISED = {
    "event": "stopped",
    "to_do": False,
    "summary": "",
    "held": ["weights_differ"],
    "first": {
        "check": "stages",
        "component": "model",
        "outcome": "error",
        "summary": "model.forward raised:\n  mine/model.py:3 in forward\n  NameError: name 'x' is not defined",
        "expected": "",
        "observed": "",
        "threshold": "",
        "reason": "the check did not finish, so nothing is known about what it decides",
        "location": "mine/model.py:3 in forward",
    },
    "same": ["model/deterministic", "model/outputs_declared"],
    "more": 0,
    "hints": [],
    "question": None,
}


def state(end: dict) -> State:
    gates = [(phase, "passed", "9 checks") for phase in ("analysis", "data")] + [("model", "failed", "7 checks")]
    return State(title="A Title That Is Rather Long for a Paper of This Size", gates=gates, end=end, seconds=0.5)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    typed = "    value = function(" + "argument, " * 20 + "x"
    syntax = {"event": "syntax", "file": "mine/model.py", "line": 3, "column": len(typed), "text": typed, "why": "odd"}
    for end in (RAISED, syntax):
        shown = lines(state(end), width)
        assert max(map(len, shown)) <= width
        assert shown[0].endswith("· answered in 0.5 s")
    caret = next(place for place, line in enumerate(shown) if line.strip() == "^")
    assert shown[caret].index("^") == len(shown[caret - 1]) - 1, "the caret points to the end of what is shown"


def test_what_was_raised_is_said_once_with_all_that_it_ended() -> None:
    text = "\n".join(lines(state(RAISED), 100))
    assert text.count("mine/model.py:3") == 1 and "did not finish" not in text
    assert "The same ends 2 more: model/deterministic, model/outputs_declared" in text


def test_in_a_low_terminal_what_holds_shares_a_line() -> None:
    shown = lines(state(RAISED), 80, 13)
    assert len(shown) <= 13 and " ✓ analysis, data" in shown and shown[-1] == " h hint · r again · q quit"
    assert any("NameError" in line for line in shown)
    assert len(lines(state(RAISED), 80, 9)) == 9


def test_a_digitised_curve_counts_as_saved_and_what_code_writes_in_its_package_does_not(tmp_path: Path) -> None:
    curve, cache = tmp_path / "reference_numbers/curves/figure_3.csv", tmp_path / "mine/cache.csv"
    for path in (curve, cache):
        path.parent.mkdir(parents=True)
        path.write_text("1,2\n")
    places = [str(tmp_path / "reference_numbers"), str(tmp_path / "mine")]
    before = stamps(places)
    for path in (curve, cache):
        path.write_text("1,2\n2,3\n")
    assert changed(before, stamps(places)) == [str(curve)]
