"""What was changed in a reference table after its first seed was trained: every edit, with both values.

Pure: records as plain JSON in, (field, registered, now) out. Wording alone (label, group, note, compute) is no edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repro.reference.schema import changed_fields

WORDING = frozenset({"label", "group", "note", "compute"})
#: Settings of the reproduction that decide how much evidence a verdict rests on.
BUDGET = (
    *("seeds", "first_seed", "max_seeds", "max_seeds_of", "seed_batch", "confidence", "updates", "evaluate_every"),
    *("evaluation_split", "require"),
)

Edit = tuple[str, str, str]


def record_edits(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Edit, ...]:
    """The fields of one record that differ, as a person reads them."""
    edits: list[Edit] = []
    for name, (old, new) in changed_fields(before, after).items():
        if name in WORDING:
            continue
        if name == "tolerance" and isinstance(old, Mapping) and isinstance(new, Mapping):
            size = ("value", "kind")
            if [old.get(key) for key in size] == [new.get(key) for key in size]:
                edits.append(("reason of the tolerance", shown(old.get("reason")), shown(new.get("reason"))))
                continue
        edits.append(("printed value" if name == "printed" else name, spoken(name, old), spoken(name, new)))
    return tuple(edits)


def spoken(name: str, value: Any) -> str:
    if value in (None, "", [], {}):
        return "absent"
    if name == "printed" and isinstance(value, Mapping):
        return str(value.get("text", value))
    if name == "tolerance" and isinstance(value, Mapping):
        relative = value.get("kind") == "relative"
        return f"±{100 * value['value']:g} %" if relative else f"±{value['value']:g}"
    return shown(value)


def shown(value: Any, most: int = 80) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def row_edits(registered: Mapping[str, Any], now: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Edit, ...]]:
    """Edits by record id; a record that was not registered is said to be added. {} before a table was registered."""
    if not registered.get("records"):
        return {}
    before = {str(record["id"]): record for record in registered["records"]}
    found: dict[str, tuple[Edit, ...]] = {}
    for record in now:
        name = str(record["id"])
        edits = (
            record_edits(before[name], record)
            if name in before
            else (("record", "absent", "added after the first seed"),)
        )
        if edits:
            found[name] = edits
    return found


def removed(registered: Mapping[str, Any], now: Iterable[Mapping[str, Any]]) -> tuple[Edit, ...]:
    """Records that were registered and are no longer in the table."""
    have = {str(record["id"]) for record in now}
    return tuple(
        (f"record {record['id']}", spoken("printed", record.get("printed")), "removed")
        for record in registered.get("records") or ()
        if str(record["id"]) not in have
    )


def budget_edits(registered: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[Edit, ...]:
    """What was changed in the budget of seeds, and in the confidence, since the first seed."""
    before = registered.get("reproduction") or {}
    return tuple(
        (f"reproduction.{name}", shown(before[name]), shown(settings[name]))
        for name in BUDGET
        if name in before and name in settings and before[name] != settings[name]
    )


def scale_edits(registered: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Edit, ...]:
    """Ends of the scales of tasks that were changed since the first seed; `now` is the table's `tasks` as JSON."""
    before = {one["name"]: one for one in (registered.get("tasks") or {}).get("scores") or ()}
    return tuple(
        (f"{end} of {one['name']}", spoken("printed", was["printed"]), spoken("printed", one[end]["printed"]))
        for one in now.get("scores") or ()
        for end in ("low", "high")
        if (was := (before.get(one["name"]) or {}).get(end)) and was["printed"] != one[end]["printed"]
    )


def sentence(edits: Mapping[str, Sequence[Edit]], others: Sequence[Edit]) -> str:
    """One sentence that counts the edits; "" if there are none."""
    if not edits and not others:
        return ""
    parts = [f"{len(edits)} row{'s' if len(edits) != 1 else ''}"] if edits else []
    parts += [f"{name} {before} → {now}" for name, before, now in others]
    return f"Edited after results were seen: {', '.join(parts)}."
