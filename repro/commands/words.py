"""How times, counts and failed findings read in a terminal."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import IO, Any

from repro.findings import UNFINISHED, Evidence, Finding, Gate, Outcome

MARKS = {Gate.PASSED: "✓", Gate.FAILED: "✗", Gate.TO_DO: "◌", Gate.NOT_RUN: "–"}
#: Findings that are spelled out at a gate; the report has all.
MOST_FINDINGS = 5
#: Columns of a phase's line that its summary needs beside the time.
LEAST_SUMMARY = 24


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `2:28`, `1:02:05`."""
    if value < 9.95:
        return f"{value:.1f} s" if value < 0.95 else f"{value:.0f} s"
    whole = round(value)
    if whole < 100:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def ago(value: float) -> str:
    """`just now`, `12 min ago`, `3 h ago`, `5 days ago`, of a number of seconds."""
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        count = int(value // size)
        if count >= 1:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"


def phase_line(evidence: Evidence, reused: bool, width: int) -> str:
    """` ✓ model         14 checks · 0.95 M parameters      6 s`, at most `width` wide where the text allows."""
    time = "unchanged" if reused else seconds(evidence.seconds)
    head = f" {MARKS[evidence.outcome]} {evidence.phase:<13} "
    room = width - len(head) - len(time) - 2
    if room < LEAST_SUMMARY:  # no column for the time: it ends the text
        text = f"{head}{evidence.summary} · {time}" if evidence.summary else f"{head}{time}"
        return "\n".join(textwrap.wrap(text, max(width, LEAST_SUMMARY), subsequent_indent="   "))
    first, *rest = textwrap.wrap(evidence.summary, room) or [""]
    lines = [f"{head}{first:<{room}}  {time}", *(" " * len(head) + line for line in rest)]
    return "\n".join(lines)


def open_questions(passed: Iterable[Evidence], chosen: Sequence[str]) -> str:
    """The line about unanswered checkpoint questions of these phases, and what asks them; "" if there are none.

    `chosen` are the overrides of the run, its paper first: predictions are measured in what they describe.
    """
    counted = {one.phase: (one.questions.get("answered", 0), one.questions.get("total", 0)) for one in passed}
    left = {phase: total - answered for phase, (answered, total) in counted.items() if total > answered}
    if not left:
        return ""
    step = [f"step={phase}" for phase in left if len(left) == 1]
    command = shlex.join(["python", "-m", "repro", "quiz", *chosen, *step])
    return f"{sum(left.values())} of {sum(total for _, total in counted.values())} checkpoint questions open: {command}"


def finding_lines(evidence: Evidence) -> list[str]:
    """What is wrong, where, and what most likely causes it: of findings that keep the gate shut, or that warn; then
    code that looks like a piece which nobody has declared, and what to write where to have it checked.
    """
    blocking = told_once([finding for finding in evidence.findings if finding.blocks])
    lines = []
    told: set[Any] = set()
    for finding, others in blocking[:MOST_FINDINGS]:
        # the same check fails in the same way for another split or tensor: where and why were said
        same = (finding.check, finding.component, finding.outcome, finding.location, finding.likely, finding.alone)
        spelled = _spelled(finding)
        repeated = same in told and finding.outcome is Outcome.FAILED
        lines += [line for line in spelled[:1] if line not in lines] if repeated else spelled
        told.add(same)
        if others:
            lines.append(f"   The same ends {len(others)} more: {', '.join(others)}")
    left = [name for finding, others in blocking[MOST_FINDINGS:] for name in (_name(finding), *others)]
    if left:
        lines.append(f"   and {len(left)} more: {', '.join(left)}")
    for finding in evidence.findings:
        if finding.outcome is Outcome.WARNED:
            lines.append(f"   ! {finding.component}/{finding.check}: {finding.summary}")
        elif finding.details.get("switched_off"):
            lines.append(f"   ! {finding.component}/{finding.check}: {finding.reason}")
            if "python -m repro" in finding.observed:  # what would tell more
                lines.append(f"     {finding.observed}")
    for finding in evidence.findings:
        if finding.outcome is Outcome.NOT_RUN and (seen := finding.details.get("seen")):
            lines.append(f"   ? {seen['location']} looks like {finding.component}, which is not checked.")
            lines.append(f"     In {seen['config']} {finding.reason}")
    return lines


def told_once(findings: Sequence[Finding]) -> list[tuple[Finding, list[str]]]:
    """Each finding with the names of others that ended at the same line with the same words: one fault, many checks.

    Of such a fault only those causes are likely that every one of its checks names.
    """
    groups: dict[Any, list[Finding]] = {}
    for position, finding in enumerate(findings):
        last = finding.summary.rstrip().rpartition("\n")[2].strip()
        raised = finding.outcome is Outcome.ERROR
        groups.setdefault((finding.location, last) if raised else position, []).append(finding)
    told = []
    for first, *others in groups.values():
        common = tuple(cause for cause in first.likely if all(cause in other.likely for other in others))
        told.append((first.with_changes(likely=common), [_name(other) for other in others]))
    return told


def _name(finding: Finding) -> str:
    return f"{finding.component}/{finding.check}"


def _spelled(finding: Finding) -> list[str]:
    lines = [f"   {_name(finding)}: {_indent(finding.summary)}"]
    compared = [
        f"{name} {text}"
        for name, text in (
            ("expected", finding.expected),
            ("observed", finding.observed),
            ("allowed", "" if finding.threshold == "exact" else finding.threshold),
        )
        if text
    ]
    if compared:
        lines.append(f"   {_indent('; '.join(compared))}")
    if finding.reason and finding.reason != UNFINISHED:
        lines.append(f"   {_indent(finding.reason)}")
    if finding.location and finding.location not in finding.summary:
        lines.append(f"   {finding.location}")
    lines += _column("Likely:", [f"{rank}. {text}" for rank, text in enumerate(finding.likely, 1)])
    lines += _column("Alone:", finding.alone.splitlines())
    return lines


def _indent(text: str) -> str:
    return text.replace("\n", "\n   ")


def _column(name: str, lines: Iterable[str]) -> list[str]:
    return [f"   {name if index == 0 else '':<7} {line}" for index, line in enumerate(lines)]


def shares(times: dict[str, float], width: int = 110) -> str:
    """`Time: analysis 2 s (1 %) · … · together 3:04`; empty if nothing was run."""
    total = sum(times.values())
    if total <= 0:
        return ""
    parts = [f"{phase} {seconds(value)} ({100 * value / total:.0f} %)" for phase, value in times.items()]
    line = f"Time: {' · '.join(parts)} · together {seconds(total)}"
    return "\n".join(textwrap.wrap(line, width, subsequent_indent="      "))


#: What a wrapped line goes on under: a blank margin, a label such as `Likely:`, a number or a bullet.
_MARGIN = re.compile(r" *(?:[A-Z][a-z]+(?: do)?: +)?(?:\d+\. |- (?:\[.\] )?)?")
#: Lines to be copied or compared, and coloured ones: where they are too long, the terminal itself cuts them.
_AS_IT_IS = re.compile(r"python -m repro|wandb sync|\x1b|^\|")


def fitted(text: str, width: int) -> str:
    """`text` with its long lines wrapped between words, each going on under its own beginning.

    Commands, tables, coloured lines and what stands between ``` marks stay as they are: a line break of ours would be
    copied with them.
    """
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        margin = _MARGIN.match(line)
        assert margin is not None  # every part of it may be empty
        if len(line) <= width or fenced or _AS_IT_IS.search(line):
            lines.append(line)
            continue
        indent = len(margin[0]) if len(margin[0]) < width // 2 else 0
        body = textwrap.wrap(line[indent:], width - indent, break_long_words=False, break_on_hyphens=False)
        lines += [(" " * indent if number else line[:indent]) + part for number, part in enumerate(body)]
    return "\n".join(lines)


def printable(text: str, stream: IO[str] | None = None) -> str:
    """`text` as the stream can show it: wrapped for a terminal, and in its encoding; one without UTF-8 ends no run."""
    stream = stream or sys.stdout
    if stream.isatty():
        text = fitted(text, shutil.get_terminal_size().columns)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if encoding.lower().replace("-", "") == "utf8":
        return text
    for mark, plain in {
        "✓": "+",
        "✗": "x",
        "◌": "o",
        "◐": "o",
        "·": "-",
        "…": "...",
        "–": "-",
        "→": "->",
        "−": "-",
        "±": "+/-",
        "×": "x",
        "√": "sqrt ",
        "≤": "<=",
        "≥": ">=",
        "≈": "~",
        "Δ": "d",
        "’": "'",
    }.items():
        text = text.replace(mark, plain)
    return text.encode(encoding, "replace").decode(encoding)
