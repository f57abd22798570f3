"""What `watch` shows: what is right, the first thing that is wrong, and as many hints as were asked for. Pure text."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repro.commands.words import MARKS
from repro.findings import UNFINISHED, Gate

KEYS = "h hint · r again · q quit"


@dataclass
class State:
    """What is known of the latest look; `hints` counts how many the person asked for."""

    title: str = ""
    name: str = ""
    gates: list[tuple[str, str, str]] = field(default_factory=list)  # phase, outcome, summary
    working: str = ""
    end: Mapping[str, Any] | None = None
    hints: int = 0
    seconds: float | None = None
    printed: Sequence[str] = ()

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in what the fork told."""
        kind = event["event"]
        if kind == "paper":
            self.title, self.name = str(event["title"]), str(event["name"])
        elif kind == "started":
            self.working = f"{event['phase']} …"
        elif kind == "progress":
            self.working = f"{event['phase']}: {event['text']}"
        elif kind == "gate":
            self.gates.append((str(event["phase"]), str(event["outcome"]), str(event["text"])))
        elif kind in ("syntax", "error", "failed", "stopped", "held"):
            self.end, self.working = event, ""


def lines(state: State, width: int = 100, height: int = 1000) -> list[str]:
    """The whole screen. Where it is too low for all, the gates that hold share a line; then the beginning is shown."""
    time = "" if state.seconds is None else f" · answered in {state.seconds:.1f} s"
    head = cut(state.title or "looking for the paper …", width - len(time)) + time
    gates = [cut(f" {MARKS[Gate(outcome)]} {phase:<11} {text}", width) for phase, outcome, text in state.gates]
    below: list[str] = []
    if state.working:
        below.append(cut(f" ◐ {state.working}", width))
    if state.end is not None:
        below += ["", *END[str(state.end["event"])](state, width)]
    if state.printed:
        below += ["", "   Your code printed:", *(cut(f"   {line}", width) for line in state.printed)]
    hold = [phase for phase, outcome, _ in state.gates if outcome == Gate.PASSED]
    if len(hold) > 1 and len(gates) + len(below) > height - 4:
        gates = [cut(f" {MARKS[Gate.PASSED]} {', '.join(hold)}", width), *gates[len(hold) :]]
    shown = [head, "", *gates, *below]
    if len(shown) > height - 2:
        shown = [*shown[: height - 3], "   …"]
    return [*shown, "", f" {KEYS}"]


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def wrapped(text: str, width: int, indent: str = "   ") -> list[str]:
    return [
        line
        for part in text.splitlines()
        for line in textwrap.wrap(part, max(30, width), initial_indent=indent, subsequent_indent=indent) or [""]
    ]


def of_syntax(state: State, width: int) -> list[str]:
    end = state.end or {}
    place = f"{os.path.relpath(str(end['file']))}:{end['line']}"
    text = str(end["text"])
    blank = len(text) - len(text.lstrip())
    caret = max(0, int(end["column"]) - 1 - blank)
    code = text.strip()
    start = max(0, caret - (width - 8))  # of a long line the end that the caret points to
    shown = ("…" if start else "") + cut(code[start:], width - 4)
    return [
        *wrapped(f"✎ {place} is not Python yet: {end['why']}", width, " "),
        "",
        f"   {shown}",
        f"   {' ' * (caret - start + bool(start))}^",
    ]


def of_error(state: State, width: int) -> list[str]:
    first, *rest = wrapped(str((state.end or {})["text"]), width)
    return [f" ✗ {first.strip()}", *rest]


def of_failed(state: State, width: int) -> list[str]:
    end = state.end or {}
    told = str(end.get("traceback", "")).splitlines()
    return [" ✗ the harness itself failed, not your code:", *wrapped(str(end["text"]), width), *told[-6:]]


def of_held(state: State, width: int) -> list[str]:
    return [" ✓ every step holds.", f"   Next: python -m repro run paper={state.name}"]


def of_stopped(state: State, width: int) -> list[str]:
    end = state.end or {}
    shown: list[str] = []
    if end["held"]:
        shown += [*wrapped("Right: " + ", ".join(end["held"]), width), ""]
    first = end["first"]
    if first is None:
        return shown + wrapped(str(end["summary"]), width)
    mark = "◌ to do" if end["to_do"] else "✗"
    shown += wrapped(f"{mark} {first['component']} · {first['check']}: {first['summary']}", width, " ")
    for label in ("expected", "observed", "threshold", "reason"):
        if first[label] and first[label] not in ("exact", UNFINISHED):
            shown += wrapped(f"{label.capitalize()}: {first[label]}", width)
    if first["location"] and first["location"] not in first["summary"]:
        shown += wrapped(f"Where: {first['location']}", width)
    if end["same"]:
        shown += wrapped(f"The same ends {len(end['same'])} more: {', '.join(end['same'])}", width)
    if end["more"]:
        shown.append(f"   and {end['more']} more after it")
    return shown + helped(end, state.hints, width)


def helped(end: Mapping[str, Any], asked: int, width: int) -> list[str]:
    """The hints that were asked for, then the question; says when there is no more."""
    hints = list(end["hints"])
    if end["question"]:
        asks = end["question"]
        hints.append(f"Question ({asks['id']}): {asks['question']}")
    if not asked:
        return []
    shown = [""]
    for number, hint in enumerate(hints[:asked], 1):
        shown += wrapped(f"{number}. {hint}", width)
    if asked > len(hints):
        shown.append("   That was all that the checks know." if hints else "   The checks know no hint for this.")
    return shown


END = {"syntax": of_syntax, "error": of_error, "failed": of_failed, "held": of_held, "stopped": of_stopped}
