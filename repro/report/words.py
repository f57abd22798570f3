"""Sentences that several outputs share, so that HTML, Markdown and terminal never count or word differently."""

from __future__ import annotations

import math
import shlex

from repro.findings import SYMPTOMS
from repro.phases import CHECKED
from repro.report import tree
from repro.report.numbers import Style, count, decimal, percent, plural
from repro.tracking.run_folder import choosing

#: How the sentence begins that says of results that the code was edited after them.
OLDER_CODE = "These results are of the code before its last edit"
SHORT = 120  # characters of a reason beside a verdict

EXIT_CODES = {
    0: "no row mismatches and at least one is decided",
    1: "a gate failed",
    2: "wrong usage or configuration",
    3: "a row mismatches",
    4: "nothing decided",
    5: "the harness itself failed",
    130: "interrupted; the same command resumes",
    143: "terminated; the same command resumes",
}


#: The words of a verdict that is counted, where more than one row has it.
SEVERAL = {
    "holds": "hold",
    "does not hold": "do not hold",
    "exceeds the claim": "exceed the claim",
    "differs": "differ",
}
#: Parts of the names of metrics that are written in capitals.
ACRONYMS = frozenset(("auc", "bleu", "elbo", "fid", "kl", "mse", "nll", "psnr", "ssim"))


def length_of_sweep(study: tree.RateStudy) -> str:
    """How long the trials of a learning-rate sweep were, beside the training that the rate is for; "" if not known."""
    if study.updates is None:
        return ""
    told = f"Each trial trained {plural(study.updates, 'update')}"
    full = study.full_updates
    if full is None:
        return f"{told}."
    if study.updates >= full:
        return f"{told}, the full training {count(full)}."
    part = f"{100 * study.updates / full:.2g} % of the full training’s {count(full)}"
    return (
        f"{told}, {part}. So short a sweep favours high rates: they fall fastest at first, and may end worse or "
        "diverge later."
    )


def first_sentence(report: tree.Report) -> str:
    """What the verdict wrote; a run that has none yet says how far it came."""
    if report.sentences:
        return report.sentences[0]
    if not report.phases:
        return "No phase has run yet."
    last = report.phases[-1]
    if last.outcome == "failed":
        return f"Stopped at the gate of {last.name}: {last.summary or 'a check failed'}."
    return f"No verdict yet: the run came as far as {last.name}."


def stopped(report: tree.Report) -> str:
    """Where the last run ended: at a gate that stayed shut, at a step to do, or "": a page of numbers would hide it."""
    last = report.newest
    where = {"failed": "Stopped at the gate of", "to_do": "The run came as far as"}
    return f"{where[last.outcome]} {last.name}: {last.summary}." if last and last.outcome in where else ""


def verdict_counts(rows: tuple[tree.Row, ...]) -> list[tuple[str, int, str]]:
    """(verdict, count, word) of the verdicts that occur, in the fixed order; rows of one kind use its words."""
    kinds = {row.kind for row in rows}
    words = (
        {"claim": tree.CLAIM_WORDS, "fact": tree.FACT_WORDS}.get(kinds.pop(), tree.VERDICTS)
        if len(kinds) == 1
        else tree.VERDICTS
    )
    return [
        (verdict, number, SEVERAL.get(word, word) if number > 1 else word)
        for verdict, number in tree.tally(rows).items()
        if number
        for word in (words.get(verdict, verdict),)
    ]


def counted(rows: tuple[tree.Row, ...]) -> str:
    return ", ".join(f"{number} {word}" for _, number, word in verdict_counts(rows))


def style(row: tree.Row) -> Style:
    """How the paper writes the row's number; a claim without one is written as its size needs."""
    if row.printed or row.ours is None:
        return Style.of(row.printed, row.paper)
    size = max(abs(value) for value in (row.ours, *(row.interval or ())) if value is not None)
    return Style(decimals=0 if size >= 10 else 1 if size >= 0.995 else 2)


def ours(row: tree.Row) -> str:
    if row.ours is None:
        return "–"
    # an exact fact is shown as exactly as it is known where the paper prints a whole number and ours is one
    shown = style(row)
    exact = row.kind == "fact" and shown.decimals == 0 and float(row.ours / shown.scale).is_integer()
    return shown.show(row.ours, more=0 if exact else 1)


def printed(row: tree.Row) -> str:
    """The number as the paper prints it, its sign as ours are written."""
    return "−" + row.printed[1:] if row.printed.startswith("-") else row.printed


def interval(row: tree.Row) -> str:
    if row.interval is None:
        return ""
    low, high = (style(row).show(end, suffix=False) for end in row.interval)
    return f"[{low}, {high}]"


def difference(row: tree.Row) -> str:
    if row.difference is None:
        return "–"
    shown = style(row)
    exact = row.kind == "fact" and float(row.difference / shown.scale).is_integer() and not shown.decimals
    return shown.show(row.difference, more=0 if exact else 1, sign=True, suffix=False)


def tolerance(row: tree.Row) -> str:
    if row.tolerance is None:
        return "–"
    if row.tolerance == 0:
        return "exact"
    shown = style(row)
    size = row.tolerance / shown.scale
    # one digit more than printed, but four digits say enough of a tolerance
    digits = min(shown.decimals + 1, max(0, 3 - math.floor(math.log10(size)))) if 0 < size < math.inf else 0
    text = decimal(size, digits)
    return "±" + (text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text)


def reason(row: tree.Row) -> str:
    """Why the verdict is what it is, in a few words: what stands beside the verdict."""
    if row.verdict == "inconclusive" and row.more_seeds:
        return f"{plural(row.more_seeds, 'more seed')} expected to decide"
    if row.verdict == "inconclusive" and row.kind == "value" and row.interval is not None:
        # the interval and the band stand in the row itself; the fold has the whole sentence
        return clip(row.reason.partition("; ")[2] or row.reason, SHORT)
    if row.verdict == "paper_inconsistent" and row.ours is not None:
        return f"the paper’s own text gives {ours(row)}"
    if row.kind == "curve" or row.verdict in ("not_run", "not_testable", "paper_inconsistent", "inconclusive"):
        return clip(row.reason, SHORT)
    return ""


def flag(row: tree.Row) -> str:
    """What a reader must know of the row's tolerance beside its verdict."""
    return "tolerance stricter than the paper’s own error" if row.stricter else ""


def clip(text: str, size: int) -> str:
    """At most `size` characters, cut at a word where there is one; the fold beside it holds the whole."""
    if len(text) <= size:
        return text
    start = text[: size - 1]
    return (start.rpartition(" ")[0] if " " in start[size // 2 :] else start).rstrip(" ,;:") + "…"


def shape_of(row: tree.Row) -> str:
    """The row read aloud: the text alternative of its strip."""
    parts = [f"{row.label}: paper {printed(row) or '–'}"]
    if row.tolerance is not None:
        parts.append(f"tolerance {tolerance(row)}")
    if row.ours is not None:
        parts.append(
            f"ours {ours(row)}"
            + (f" with interval {interval(row)[1:-1].replace(', ', ' to ')}" if row.interval else "")
        )
        if row.n:
            parts.append(plural(row.n, "seed"))
    return ", ".join(parts) + f"; verdict {row.word}"


def change(value: float | None, like: float | None = None) -> str:
    """An effect, with as many decimals as its size needs."""
    if value is None:
        return "–"
    size = abs(like if like is not None else value)
    return decimal(value, 1 if size >= 10 else 2 if size >= 0.995 else 3, sign=True)


def seeds_line(row: tree.Row) -> str:
    """Every seed's value and their mean and standard deviation; NaN is shown, never dropped."""
    shown = style(row)
    text = " ".join(shown.show(value, suffix=False) for value in row.values)
    if len(row.values) > 1 and row.ours is not None and all(abs(v) != float("inf") and v == v for v in row.values):
        from statistics import stdev  # exact in rationals, so that nothing overflows

        deviation = stdev(row.values)
        text += f" · standard deviation {shown.show(deviation, suffix=False)}"
    return text


def level(rows: tuple[tree.Row, ...]) -> str:
    """The level of the intervals, where all rows share one."""
    levels = {row.confidence for row in rows if row.interval is not None and row.confidence}
    return f"{percent(levels.pop())} interval" if len(levels) == 1 else "interval"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def metric(name: str) -> str:
    """A metric as a person says it; the total of the loss terms is the loss."""
    if name == "total":
        return "loss"
    return " ".join(part.upper() if part in ACRONYMS else part for part in name.split("_"))


def gates_sentence(report: tree.Report) -> str:
    """How the checks of all phases ended, and the questions."""
    passed = sum(phase.count("passed") for phase in report.phases)
    failed = sum(phase.count("failed", "error") for phase in report.phases)
    warned = sum(phase.count("warned") for phase in report.phases)
    silent = sum(phase.count("not_run") for phase in report.phases)
    parts = [f"{plural(passed, 'check')} passed", f"{failed} failed" if failed else "none failed"]
    if warned:
        parts.append(f"{warned} warned")
    if silent:
        parts.append(f"{silent} did not run")
    text = ", ".join(parts) + "."
    total = sum(phase.questions for phase in report.phases)
    if total:
        answered = sum(phase.answered for phase in report.phases)
        verb = "is" if 1 in (answered, total) else "are"
        text += f" {answered} of {plural(total, 'checkpoint question')} {verb} answered."
    return text


def next_command(report: tree.Report) -> str:
    """The command that helps most now: mend a shut gate, explain a gap, decide what is undecided, run what was not."""
    for phase in (*([report.newest] if report.newest else ()), *report.phases):
        if phase.outcome == "failed":
            return at_shut_gate(report.header, phase)
    rows = {row.id: row for row in (*report.results, *report.analogues)}
    for gap in report.gaps:
        row = rows.get(gap.row)
        # what is merely undecided may be no gap: it asks for seeds, if seeds can tell, not for another experiment
        if gap.next and (row is None or row.verdict != "inconclusive"):
            return gap.next
    for row in rows.values():
        if more := for_more_seeds(report.header, row):
            return more
    for row in report.analogues:
        if row.verdict == "inconclusive" and row.kind == "claim" and row.command:
            return row.command
    if report.phases and report.phases[-1].name in CHECKED:
        return shlex.join(["python", "-m", "repro", "run", *typed(report.header)])
    for row in (*report.analogues, *report.results):  # what can be tried here before what needs another scale
        if row.verdict == "not_run" and row.command:
            return row.command
    return "python -m repro status"


def for_more_seeds(header: tree.Header, row: tree.Row) -> str:
    """The command that adds as many seeds as are expected to decide an undecided row; "" for any other."""
    if row.verdict != "inconclusive" or not row.more_seeds:
        return ""
    seeds = (row.n or 0) + row.more_seeds
    if row.setting == "analogue":
        return f"{row.command} sweep.seeds={seeds}" if row.kind == "claim" and row.command else ""
    words = [word for word in typed(header) if not word.startswith("reproduction.max_seeds=")]
    return shlex.join(["python", "-m", "repro", "run", *words, f"reproduction.max_seeds={seeds}"])


def typed(header: tree.Header) -> list[str]:
    """What chose this run on its command line."""
    return [f"paper={header.paper}", *choosing(header.overrides)]


def at_shut_gate(header: tree.Header, phase: tree.Phase) -> str:
    """The ablation debug where one batch cannot be memorised and no check says why; else the page of the step."""
    failed = {check.check for check in phase.checks if check.outcome in ("failed", "error")}
    paper = typed(header)
    if failed and failed <= set(SYMPTOMS):
        return shlex.join(["python", "-m", "repro", "debug", *paper])
    return shlex.join(["python", "-m", "repro", "session", *paper, f"step={phase.name}"])
