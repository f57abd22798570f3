"""Declared differences from the paper that can be undone: `paper.deviations` entries with `changes`, as named runs.

    deviations:
      - {what: smoothing, paper: 0.1, ours: 0, why: …, changes: {loss.smoothing: 0.1}}   # changes lead to the paper

They stand beside the ablations in an ablation study, under names that begin with `as_paper_`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREFIX = "as_paper_"


def declared(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name → changes, says, label and note of every deviation that declares changes.

    >>> list(declared({"paper": {"deviations": [{"what": "Label smoothing", "changes": {"loss.smoothing": 0.1}}]}}))
    ['as_paper_label_smoothing']
    """
    found: dict[str, dict[str, Any]] = {}
    for entry in (settings.get("paper") or {}).get("deviations") or ():
        if not entry.get("changes"):
            continue
        what = str(entry.get("what", ""))
        name = PREFIX + (re.sub(r"[^a-z0-9]+", "_", what.lower()).strip("_") or "deviation")
        while name in found:
            name += "_"
        found[name] = {
            "changes": dict(entry["changes"]),
            "says": spoken(entry),
            "label": f"{what} as in the paper",
            "note": spoken(entry),
        }
    return found


def spoken(entry: Mapping[str, Any]) -> str:
    """ "paper: 0.1 · ours: 0"."""
    return " · ".join(f"{side}: {entry[side]}" for side in ("paper", "ours") if side in entry)


def switches(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Ablations and deviations together: everything that an ablation study can switch alone."""
    return {**(settings.get("ablations") or {}), **declared(settings)}


def edited_since(study: Mapping[str, Any], settings: Mapping[str, Any]) -> frozenset[str]:
    """Runs of an ablation study's record whose declaration has other changes now: what they measured is not it."""
    known = switches(settings)
    return frozenset(
        run["name"]
        for run in study.get("runs") or ()
        if run["name"] in known and dict(known[run["name"]]["changes"]) != run["changes"]
    )
