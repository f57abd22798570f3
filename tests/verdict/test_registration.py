"""Edits after the first seed are found with both values; wording alone is no edit."""

from __future__ import annotations

from repro.verdict.registration import budget_edits, removed, row_edits, sentence

TOLERANCE = {"value": 0.5, "kind": "absolute", "reason": "x"}
RECORD = {"id": "a", "label": "a", "printed": {"text": "27.3"}, "tolerance": TOLERANCE}


def registered(*records: dict) -> dict:
    return {"records": list(records), "reproduction": {"seeds": 3, "max_seeds": 3, "confidence": 0.95}}


def test_value_tolerance_and_reason() -> None:
    wider = {**RECORD, "tolerance": {"value": 2.0, "kind": "absolute", "reason": "x"}, "printed": {"text": "28.4"}}
    assert row_edits(registered(RECORD), [wider]) == {
        "a": (("printed value", "27.3", "28.4"), ("tolerance", "±0.5", "±2"))
    }
    reasoned = {**RECORD, "tolerance": {"value": 0.5, "kind": "absolute", "reason": "y"}}
    assert row_edits(registered(RECORD), [reasoned]) == {"a": (("reason of the tolerance", "x", "y"),)}
    relative = {**RECORD, "tolerance": {"value": 0.02, "kind": "relative", "reason": "x"}}
    assert row_edits(registered(RECORD), [relative])["a"] == (("tolerance", "±0.5", "±2 %"),)


def test_added_removed_and_reworded() -> None:
    other = {**RECORD, "id": "b"}
    assert row_edits(registered(RECORD), [RECORD, other]) == {
        "b": (("record", "absent", "added after the first seed"),)
    }
    assert removed(registered(RECORD, other), [RECORD]) == (("record b", "27.3", "removed"),)
    assert row_edits(registered(RECORD), [{**RECORD, "label": "better words"}]) == {}
    assert row_edits({}, [RECORD]) == {}


def test_budget() -> None:
    edits = budget_edits(registered(), {"seeds": 3, "max_seeds": 9, "confidence": 0.9, "updates": 5})
    assert edits == (("reproduction.max_seeds", "3", "9"), ("reproduction.confidence", "0.95", "0.9"))
    assert sentence({"a": edits}, edits[:1]) == "Edited after results were seen: 1 row, reproduction.max_seeds 3 → 9."
    assert sentence({}, ()) == ""
