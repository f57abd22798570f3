"""Rows of the verdict, what was edited since they were registered, and what may explain their gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from repro.report import tree
from repro.report.collecting.values import number, pair, section


def row(entry: Mapping[str, Any]) -> tree.Row:
    """A row of verdict.json; keys that a newer harness adds are ignored."""
    known = {one.name for one in fields(tree.Row)}
    values = {key: value for key, value in entry.items() if key in known and value is not None}
    for key in ("paper", "tolerance", "ours", "confidence", "difference", "p_one_distribution"):
        values[key] = number(entry.get(key))
    values["values"] = tuple(one for one in map(number, entry.get("values") or ()) if one is not None)
    values["interval"] = pair(entry.get("interval"))
    values["notes"] = tuple(map(str, entry.get("notes") or ()))
    values["edits"] = tuple(tuple(map(str, edit)) for edit in entry.get("edits") or ())
    values["points"] = tuple((float(a), float(b), float(c)) for a, b, c in entry.get("points") or ())
    values["n"] = int(entry.get("n") or 0)
    values["stricter"] = entry.get("stricter") is True
    values["own"] = entry.get("own") is not False
    for one in fields(tree.Row):
        if one.type == "str" and one.name in values:
            values[one.name] = str(values[one.name])
    values.setdefault("id", "")
    values["label"] = values.get("label") or values["id"]
    values.setdefault("verdict", "not_run")
    return tree.Row(**values)


def edited(rows: tuple[tree.Row, ...], registered: Mapping[str, Any]) -> tuple[tree.Row, ...]:
    """Each row with what was changed in it since the table was registered with the first seed."""

    before = {str(record.get("id")): record for record in registered.get("records", ()) if isinstance(record, Mapping)}
    if not before:
        return rows
    result = []
    for one in rows:
        record = before.get(one.id)
        if record is None:
            if any(edit[0] == "record" for edit in one.edits):
                result.append(one)
                continue
            result.append(replace(one, edits=(*one.edits, ("record", "absent", "added after the first seed"))))
            continue
        edits = []
        said = record.get("printed") or record.get("value") or ""
        printed = str(said.get("text", "")) if isinstance(said, Mapping) else str(said)
        if printed and one.printed and printed != one.printed:
            edits.append(("printed value", printed, one.printed))
        for name in ("unit", "direction", "setting", "kind", "metric"):
            before_it, now_it = record.get(name), getattr(one, name)
            if before_it is not None and now_it and str(before_it) != now_it:
                edits.append((name, str(before_it), now_it))
        tolerance = record.get("tolerance")
        if isinstance(tolerance, Mapping):
            kind, size = str(tolerance.get("kind") or "absolute"), number(tolerance.get("value"))
            if kind == "relative" and size is not None and one.paper is not None:
                size *= abs(one.paper)
            if size is not None and one.tolerance is not None and not math.isclose(size, one.tolerance, rel_tol=1e-6):
                edits.append(("tolerance", f"±{size:g}", f"±{one.tolerance:g}"))
        known = {edit[0] for edit in one.edits}
        result.append(replace(one, edits=(*one.edits, *(edit for edit in edits if edit[0] not in known))))
    return tuple(result)


def budget_edits(config: Mapping[str, Any], registered: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """What was changed in the budget of seeds and the confidence since the first seed."""
    from repro.verdict import registration

    yield from registration.budget_edits(registered, section(config, "reproduction"))


def changed(
    config: Mapping[str, Any], registered: Mapping[str, Any], verdict: Mapping[str, Any]
) -> Iterable[tuple[str, str, str]]:
    """Edits that belong to no row: those that the verdict noted, and a budget that was changed since."""
    noted = [tuple(map(str, edit)) for edit in verdict.get("edits") or ()]
    yield from ((edit[0], edit[1], edit[2]) for edit in noted)
    yield from (edit for edit in budget_edits(config, registered) if edit[0] not in {one[0] for one in noted})


def gap(entry: Mapping[str, Any]) -> tree.Gap:
    """What may explain the gap of one row, in the order of verdict.json: the likeliest first."""
    causes = tuple(
        tree.Cause(
            label=str(cause.get("label", "")),
            detail=str(cause.get("detail") or ""),
            effect=number(cause.get("effect")),
            interval=pair(cause.get("interval")),
            values=tuple(one for one in map(number, cause.get("values") or ()) if one is not None),
            share=str(cause.get("share") or ""),
            note=str(cause.get("note") or ""),
        )
        for cause in entry.get("causes", ())
    )
    return tree.Gap(
        row=str(entry.get("row", "")),
        gap=number(entry.get("gap")),
        interval=pair(entry.get("interval")),
        sentence=str(entry.get("sentence") or ""),
        causes=causes,
        next=str(entry.get("next") or ""),
    )
