"""The report as Markdown for a pull request: the sentence, what needs a reader's eye first, the rest folded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from repro.report import finals, tasks, tree, words
from repro.report.markup import UNPRINTABLE
from repro.report.numbers import duration, plural, significant

SHAPES = {
    "match": "●",
    "mismatch_worse": "▼",
    "mismatch_better": "▲",
    "inconclusive": "◐",
    "not_run": "◌",
    "not_testable": "⊘",
    "paper_inconsistent": "◀▶",
}


FIRST_COMMANDS = 6
#: Characters of a failed check; the trace of an error can be long, and report.html has the whole.
MOST_SAID = 400


def render(report: tree.Report) -> str:
    """The whole report; every part is left out where there is nothing to say."""
    parts = [f"### {text(words.first_sentence(report))}"]
    stopped = [words.stopped(report)] if report.sentences else []
    if said := [*filter(None, stopped), *finals.told(report), *report.sentences[1:]]:
        parts.append(text(" ".join(said)))
    parts.append(text(" · ".join(run_facts(report.header))))
    parts += failures(report)
    if report.edits:
        told = "; ".join(f"{name} {before} → {now}" for name, before, now in report.edits)
        parts.append(f"Edited after results were seen: {text(told)}.")
    parts += results(report)
    if report.tasks is not None:
        parts += tasks_table(report.tasks)
    if report.finals:
        parts.append(
            folded(f"{plural(len(report.finals), 'final metric')} of the trained models", finals_table(report))
        )
    parts += [gap_table(gap, report) for gap in report.gaps]
    if report.effects:
        parts.append(effects_table(report.effects))
    if report.rates is not None and report.rates.usable:
        parts.append(rates_sentence(report.rates))
    if report.phases:
        parts.append(phases_table(report))
    if report.commands:
        parts.append(repeat(report.commands))
    return "\n\n".join(parts) + "\n"


def run_facts(header: tree.Header) -> list[str]:
    """What ran, and how it ended."""
    facts = [
        header.title,
        f"arXiv:{header.arxiv}" if header.arxiv else "",
        f"scale {header.scale}" if header.scale else "",
        f"run {header.run}",
        duration(header.seconds) if header.seconds else "",
        f"exit code {header.exit_code}" if header.exit_code is not None else "",
    ]
    return [fact for fact in facts if fact]


def results(report: tree.Report) -> list[str]:
    """Rows that were run, those that were not, facts, and what was tried in another setting."""
    parts = []
    done = tuple(row for row in report.results if row.verdict != "not_run")
    rest = tuple(row for row in report.results if row.verdict == "not_run")
    if done:
        parts.append(rows_table(done))
    if rest:
        parts.append(folded(f"{plural(len(rest), 'printed result')} not run", not_run(rest)))
    if report.facts:
        parts.append(
            folded(f"{plural(len(report.facts), 'fact')}: {words.counted(report.facts)}", rows_table(report.facts))
        )
    if report.analogues:
        tried = tuple(row for row in report.analogues if row.verdict != "not_run")
        left = tuple(row for row in report.analogues if row.verdict == "not_run")
        if tried:
            parts.append("Tried in another setting, counted for no printed result:")
            parts.append(rows_table(tried))
        if left:
            parts.append(folded(f"{plural(len(left), 'claim')} for another setting not run", not_run(left)))
    return parts


def gap_table(gap: tree.Gap, report: tree.Report) -> str:
    lines = ["| candidate | explains | effect | |", "|---|---|--:|---|"]
    for cause in gap.causes:
        cells = (text(cause.label), text(cause.share or "–"), words.change(cause.effect, gap.gap), text(cause.note))
        lines.append(f"| {' | '.join(cells)} |")
    row = next((row for row in report.rows if row.id == gap.row), None)
    name = row.label if row else gap.row
    body = "\n".join(lines) if gap.causes else "No candidate cause was measured."
    return folded(f"Gap of {name}: {gap.sentence or 'unexplained'}", body)


def effects_table(effects: Sequence[tree.Effect]) -> str:
    """The effects on the first metric; report.html has them all."""
    lines = ["| removed | effect | interval | the paper says |", "|---|--:|---|---|"]
    for effect in (one for one in effects if one.metric == effects[0].metric):
        like = max(map(abs, effect.interval or (effect.mean or 0.0,)))
        bounds = ", ".join(words.change(end, like) for end in effect.interval) if effect.interval else "–"
        cells = (text(effect.name), words.change(effect.mean, like), bounds, text(effect.says or "silent"))
        lines.append(f"| {' | '.join(cells)} |")
    return folded(f"Ablations: change in {words.metric(effects[0].metric)}", "\n".join(lines))


def rates_sentence(rates: tree.RateStudy) -> str:
    assert rates.usable is not None
    low, high = map(significant, rates.usable)
    inside = "" if rates.paper is None else f"; the paper uses {significant(rates.paper)}"
    learn = f"Only the learning rate {low} learns" if low == high else f"Learning rates from {low} to {high} learn"
    return " ".join(filter(None, (f"{learn}{inside}.", words.length_of_sweep(rates))))


def phases_table(report: tree.Report) -> str:
    lines = ["| phase | checks | time | |", "|---|---|--:|---|"]
    for phase in report.phases:
        counts = f"{phase.count('passed')} of {phase.count()} passed"
        lines.append(f"| {phase.name} | {counts} | {duration(phase.seconds)} | {text(phase.summary)} |")
    return folded(words.gates_sentence(report), "\n".join(lines))


def repeat(commands: Sequence[tree.Command]) -> str:
    fence = code("\n".join(f"# {one.gives}\n{one.command}" for one in commands[:FIRST_COMMANDS]))
    more = len(commands) - FIRST_COMMANDS
    if more > 0:
        fence += f"\n\n{plural(more, 'further command')} in report.html and report.json."
    return folded("How to repeat", fence)


def finals_table(report: tree.Report) -> str:
    several = len({one.system for one in report.finals}) > 1
    lines = ["| final metric | mean | seeds | split | computed by |", "|---|--:|--:|---|---|"]
    for one in report.finals:
        name = f"{one.system}: {one.metric}" if several else one.metric
        cells = (text(name), finals.mean(one), str(len(one.values)), text(one.split), text(one.signature or "–"))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def tasks_table(found: tree.Tasks) -> list[str]:
    head, *body = (f"| {' | '.join(map(text, line))} |" for line in (tasks.HEAD, *tasks.lines(found)))
    table = "\n".join([head, "|---|--:|--:|---|--:|--:|--:|---|", *body])
    return ["**Tasks side by side.** " + text(tasks.lede(found)), table, *(text(f"{note}.") for note in found.notes)]


def failures(report: tree.Report) -> list[str]:
    """Each failed check with what was expected and seen: what a reviewer must not overlook."""
    found = []
    for phase in report.phases:
        for check in phase.checks:
            if check.outcome in ("failed", "error"):
                seen = (
                    f"Expected {check.expected}, observed {check.observed}." if check.expected or check.observed else ""
                )
                where = f"{check.location}." if check.location else ""
                told = " ".join(filter(None, (f"{check.outcome}: {check.summary}.", seen, where)))
                found.append(f"- **{text(phase.name)}, {text(check.check)}** {text(words.clip(told, MOST_SAID))}")
    return ["\n".join(found)] if found else []


def not_run(rows: tuple[tree.Row, ...]) -> str:
    """Rows that were not run, by the reason that they share, each with what the paper prints."""
    by_reason: dict[str, list[tree.Row]] = {}
    for row in rows:
        by_reason.setdefault(row.reason or "no reason was recorded", []).append(row)
    lines = []
    for reason, members in by_reason.items():
        named = [f"{name_of(row)} ({row.printed})" if row.printed else name_of(row) for row in members]
        lines.append(f"- {text(reason)}: {text('; '.join(named))}")
    return "\n".join(lines)


def name_of(row: tree.Row) -> str:
    return f"{row.label}, {row.group}" if row.group and row.group not in row.label else row.label


def rows_table(rows: tuple[tree.Row, ...]) -> str:
    lines = ["| row | paper | ours | interval | tolerance | n | verdict |", "|---|--:|--:|---|--:|--:|---|"]
    for row in rows:
        name = name_of(row)
        why = words.reason(row)
        edits = "".join(f"; edited: {field} {before} → {now}" for field, before, now in row.edits)
        verdict = (
            f"{SHAPES.get(row.verdict, '')} {row.word}"
            + (f": {why}" if why else "")
            + (f"; {words.flag(row)}" if words.flag(row) else "")
            + edits
        )
        cells = (
            name,
            words.printed(row) or "–",
            words.ours(row),
            words.interval(row) or "–",
            words.tolerance(row),
            str(row.n or "–"),
            verdict,
        )
        # numbers do not break over lines, however narrow their column
        shown = [text(cell).replace(" ", "\u00a0") if 0 < place < 6 else text(cell) for place, cell in enumerate(cells)]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def folded(summary: str, body: str) -> str:
    return f"<details><summary>{text(summary)}</summary>\n\n{body}\n\n</details>"


def text(value: str) -> str:
    """User text that neither Markdown nor HTML takes for markup, on one line."""
    value = UNPRINTABLE.sub("\ufffd", value)
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    value = re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", value)
    value = re.sub(r"@(?=\w)", "@<!-- -->", value)  # a name in a pull request would call its owner
    return re.sub(r"\s+", " ", value).strip()


def code(value: str) -> str:
    """A fence longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", value)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{UNPRINTABLE.sub(chr(0xFFFD), value)}\n{fence}"
