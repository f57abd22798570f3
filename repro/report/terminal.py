"""The report in a terminal: sentences, a short table, where the rest is, what to do next."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

from repro.report import finals, tasks, tree, words
from repro.report.numbers import plural

COLOURS = {
    "match": "34",
    "mismatch_worse": "31",
    "mismatch_better": "32",
    "inconclusive": "33",
    "paper_inconsistent": "35",
    "not_run": "2",
    "not_testable": "2",
}
#: Characters that verdict and reason get however narrow the terminal is.
LEAST_REASON = 24
#: Characters that the name of a row gets: the fewest, and the most where the terminal is wide.
LEAST_LABEL, MOST_LABEL = 30, 48
MOST_EDITS = 6
#: The order in which rows earn a line in a short table.
URGENT = ("mismatch_worse", "mismatch_better", "inconclusive", "paper_inconsistent", "match", "not_testable", "not_run")


def render(
    report: tree.Report,
    folder: Path | None = None,
    width: int = 100,
    colour: bool = False,
    most: int = 14,
    told: bool = False,
) -> str:
    """The text, `width` columns wide where the words allow; at most `most` rows, the rest are counted.

    `folder` is where report.html lies; without it the last line names no path. `told`: where the run stopped was said.
    """
    lines = list(report.sentences) or [words.first_sentence(report)]
    ended = report.newest.outcome if report.newest else ""
    stopped = [words.stopped(report)] if report.sentences and not told and ended in ("failed", "to_do") else []
    if ended == "failed":
        # rows would hide what has to be mended
        return "\n".join([*lines[:1], *stopped, *older_code(lines), *ending(report, folder, width)])
    if ended == "to_do":
        # what to write and the next commands were said where the run stopped
        place = [f"Report: {folder / 'report.html'}"] if folder else []
        return "\n".join([*lines[:1], *stopped, *older_code(lines), *place])
    lines[1:1] = finals.told(report)
    chosen, hidden = short(report, most)
    if chosen:
        lines += table(chosen, width, colour)
    if report.tasks is not None:
        lines += tasks.table(report.tasks, width)
    edits = [f"{row.label}: {name} {before} → {now}" for row in report.rows for name, before, now in row.edits]
    edits += [f"{name} {before} → {now}" for name, before, now in report.edits]
    lines += [words.clip(f"  edited after results were seen: {edit}", width) for edit in edits[:MOST_EDITS]]
    if len(edits) > MOST_EDITS:
        lines.append(f"  … and {len(edits) - MOST_EDITS} further edits: all are in the report")
    if hidden:
        lines.append("  … " + words.counted(hidden) + (": all rows are in the report" if folder else ""))
    command, gives = to_run(report, width)
    if command == words.next_command(report):
        return "\n".join(lines + ending(report, folder, width) + gives)
    return "\n".join(lines + ([f"Not run: {command}", *gives] if command else []) + ending(report, folder, width))


def older_code(sentences: list[str]) -> list[str]:
    """The sentence that says of the results that the code was edited since."""
    return [sentence for sentence in sentences if sentence.startswith(words.OLDER_CODE)]


def ending(report: tree.Report, folder: Path | None, width: int) -> list[str]:
    """Where the report lies and what to do next, in a line where both fit."""
    parts = [f"Report: {folder / 'report.html'}"] if folder else []
    parts.append(f"Next: {words.next_command(report)}")
    line = "     ".join(parts)
    return [line] if len(line) <= width else parts


def to_run(report: tree.Report, width: int) -> tuple[str, list[str]]:
    """The command that gives most of the paper's rows that were not run, and lines on how many and what it takes."""
    commands = Counter(row.command for row in report.results if row.verdict == "not_run" and row.command)
    if not commands:
        return "", []
    command, number = commands.most_common(1)[0]
    rest = len(commands) - 1
    more = f"; {plural(rest, 'further command')} in the report" if rest else ""
    lines = [f"  gives {plural(number, 'row')}{more}"]
    takes = next((row.estimate for row in report.results if row.command == command and row.estimate), "")
    if takes:
        lines += textwrap.wrap(f"takes {takes}", width, initial_indent="  ", subsequent_indent="    ")
    return command, lines


def short(report: tree.Report, most: int) -> tuple[list[tree.Row], tuple[tree.Row, ...]]:
    """The rows to show, in table order, and those left out; of rows not run that share a command one stands for all."""
    rows = (*report.facts, *report.results, *report.analogues)
    ranked = sorted(rows, key=lambda row: URGENT.index(row.verdict) if row.verdict in URGENT else 0)
    kept: list[str] = []
    told: dict[tuple[str, str], int] = {}
    for row in ranked:
        # rows that say the same are shown once (what it takes) or twice (a contradiction takes two)
        same = {"not_run": ("not_run", row.setting), "paper_inconsistent": ("paper_inconsistent", row.kind)}.get(
            row.verdict
        )
        if same is not None:
            told[same] = told.get(same, 0) + 1
            if told[same] > (1 if row.verdict == "not_run" else 2):
                continue
        kept.append(row.id)
    kept = kept[:most]
    return [row for row in rows if row.id in kept], tuple(row for row in rows if row.id not in kept)


def table(rows: list[tree.Row], width: int, colour: bool) -> list[str]:
    most = min(MOST_LABEL, max(LEAST_LABEL, width - LEAST_REASON - 46))  # 46: the numbers, at their usual size
    cells = [("row", "paper", "ours", "±", "verdict")]
    for row in rows:
        bare = row.kind == "claim" and row.paper in (None, 0.0)
        half = (
            "" if row.interval is None else words.style(row).show((row.interval[1] - row.interval[0]) / 2, suffix=False)
        )
        cells.append(
            (
                words.clip(label(row), most),
                words.clip("" if bare else words.printed(row), 14),
                words.ours(row),
                half,
                verdict(row),
            )
        )
    sizes = [max(len(line[place]) for line in cells) for place in range(4)]
    lines = []
    for place, line in enumerate(cells):
        start = "  " + "  ".join(text.ljust(size) for text, size in zip(line, sizes, strict=False)) + "  "
        # one line a row: what the reason lacks stands in the report
        text = words.clip(line[4], max(LEAST_REASON, width - len(start)))
        if place and colour:
            text = f"\x1b[{COLOURS.get(rows[place - 1].verdict, '0')}m{text}\x1b[0m"
        lines.append((start + text).rstrip())
    return lines


def label(row: tree.Row) -> str:
    return row.label if row.kind != "value" or not row.group else f"{row.label}, {row.group}"


def verdict(row: tree.Row) -> str:
    text = row.word
    if row.kind == "fact":
        text += " (fact)"
    elif row.setting == "analogue":
        text += " (other setting)"
    if row.verdict == "paper_inconsistent" and row.ours is not None:
        return f"{row.word}: its text has {words.ours(row)}"
    why = words.reason(row)
    return f"{text}: {why}" if why else text
