"""Rows of the verdict with what was edited since they were registered, and what may explain their gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from repro.report import tree
from repro.report.collecting.values import number, pair


def row(entry: Mapping[str, Any]) -> tree.Row:
    """A row of verdict.json; keys that a newer harness adds are ignored."""
    known = {one.name for one in fields(tree.Row)}
    values = {key: value for key, value in entry.items() if key in known and value is not None}
    for key in ("paper", "tolerance", "ours", "confidence", "difference", "p_one_distribution"):
        values[key] = number(entry.get(key))
    values["values"] = tuple(one for one in map(number, entry.get("values") or ()) if one is not None)
    values["interval"] = pair(entry.get("interval"))
    values["notes"] = tuple(map(str, entry.get("notes") or ()))
    values["edits"] = edits_of(entry)
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


def edits_of(entry: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """What was changed after the first seed, as the verdict, or a row of it, noted: (key, registered, now)."""
    return tuple((str(name), str(before), str(now)) for name, before, now in entry.get("edits") or ())


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
