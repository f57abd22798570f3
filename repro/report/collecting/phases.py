"""What the phases left: their checks, tables, the audit of the paper, and the guards of its tricky parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from repro.report import tree
from repro.report.collecting.values import number, section
from repro.report.numbers import significant


def phase_of(entry: Mapping[str, Any]) -> tree.Phase:
    known = {one.name for one in fields(tree.Check)}
    checks = []
    for finding in entry.get("findings", ()):
        values = {key: value for key, value in finding.items() if key in known and value is not None}
        values["likely"] = tuple(map(str, values.get("likely", ())))
        checks.append(tree.Check(**values))
    questions = entry.get("questions") or {}
    return tree.Phase(
        name=str(entry.get("phase", "")),
        outcome=str(entry.get("outcome", "not_run")),
        summary=str(entry.get("summary", "")),
        checks=tuple(checks),
        seconds=number(entry.get("seconds")) or 0.0,
        created=str(entry.get("created", "")),
        answered=int(questions.get("answered", 0)),
        questions=int(questions.get("total", 0)),
    )


def tables(phases: Iterable[Mapping[str, Any]]) -> Iterable[tree.Table]:
    """Every list of flat objects that a phase left in its data, as a table; the audit has its own place."""
    for phase in phases:
        for name, value in section(phase, "data").items():
            if name == "audit" or not isinstance(value, list) or not value:
                continue
            if not all(isinstance(entry, Mapping) for entry in value):
                continue
            columns = tuple(dict.fromkeys(key for entry in value for key in entry))
            rows = tuple(tuple(entry.get(column) for column in columns) for entry in value)
            yield tree.Table(str(phase.get("phase", "")), name, columns, rows)


def audit(phases: Iterable[Mapping[str, Any]], rows: tuple[tree.Row, ...]) -> tuple[tree.AuditLine, ...]:
    """What analysis re-derived; where it left no table, the rows that carry arithmetic."""
    labels = {one.id: one for one in rows}
    for phase in phases:
        if phase.get("phase") == "analysis" and isinstance(found := section(phase, "data").get("audit"), list):
            return tuple(audit_line(entry, labels) for entry in found)
    return tuple(
        tree.AuditLine(
            one.id,
            f"{one.label}, {one.group}" if one.group else one.label,
            one.printed,
            "" if one.ours is None else significant(one.ours, 4),
            one.verdict if one.verdict == "paper_inconsistent" else "agrees",
            one.arithmetic,
            one.assumption,
        )
        for one in rows
        if one.arithmetic
    )


def audit_line(entry: Mapping[str, Any], labels: Mapping[str, tree.Row]) -> tree.AuditLine:
    record = str(entry.get("record") or entry.get("id") or "")
    known = labels.get(record)
    derived = entry.get("derived")
    verdict = str(entry.get("verdict") or ("agrees" if entry.get("holds") else "paper_inconsistent"))
    return tree.AuditLine(
        record=record,
        label=f"{known.label}, {known.group}" if known and known.group else known.label if known else record,
        printed=str(entry.get("printed") or (known.printed if known else "")),
        derived=""
        if derived is None
        else significant(derived, 4)
        if isinstance(derived, (int, float))
        else str(derived),
        verdict=verdict,
        arithmetic=str(entry.get("arithmetic") or ""),
        assumption=str(entry.get("assumption") or ""),
        needs=str(entry.get("needs") or ""),
    )


def tricky(config: Mapping[str, Any], phases: Iterable[tree.Phase]) -> Iterable[tuple[str, str, str]]:
    """(part, where the paper hides it, what guards it); a check that could not run guards nothing, and that is said."""
    outcomes: dict[str, set[str]] = {}
    for check in (check for phase in phases for check in phase.checks):
        outcomes.setdefault(check.check, set()).add(check.outcome)
    for entry in section(config, "paper").get("tricky_parts") or ():
        if isinstance(entry, Mapping):
            guard = entry.get("guard", "")
            names = map(str, guard if isinstance(guard, list) else [guard])
            guards = ", ".join(f"{name} (did not run)" if outcomes.get(name) == {"not_run"} else name for name in names)
            yield str(entry.get("part", "")), str(entry.get("hidden_in", "")), guards
